"""policy.py: what a job or a task says may be deleted."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.policy import checked_policy, fitting_fulls
from ansible_collections.permafrost.backup.plugins.module_utils.retention import Rules

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
NOTHING: dict[str, Any] = {
    "keep_fulls": None,
    "older_than": None,
    "keep_incrementals_of": None,
    "orphans": False,
    "orphan_age": "7D",
    "early_delete": "refuse",
}


def test_without_a_rule_there_is_no_policy() -> None:
    assert checked_policy(NOTHING) is None
    assert checked_policy({**NOTHING, "orphan_age": "9D"}) is None


def test_ages_count_from_the_moment_of_the_cleanup() -> None:
    policy = checked_policy({**NOTHING, "older_than": "180D", "orphans": True, "orphan_age": "2W"})
    assert policy is not None
    for now in (NOW, NOW + timedelta(days=30)):
        rules = Rules.of(policy, now)
        assert (rules.older_than, rules.settled) == (now - timedelta(days=180), now - timedelta(weeks=2))
    assert Rules.of(policy, NOW).delete_last_chain is False
    assert Rules.of(policy, NOW, delete_last_chain=True).delete_last_chain is True


def test_the_other_rules_are_as_given() -> None:
    policy = checked_policy({**NOTHING, "keep_fulls": 8, "keep_incrementals_of": 2})
    assert policy is not None
    rules = Rules.of(policy, NOW)
    assert (rules.keep_fulls, rules.keep_incrementals_of, rules.older_than, rules.orphans) == (8, 2, None, False)


def test_what_is_paid_for_stays_by_default() -> None:
    held = {}
    for word in ("refuse", "warn", "allow"):
        policy = checked_policy({**NOTHING, "keep_fulls": 8, "early_delete": word})
        assert policy is not None
        held[word] = Rules.of(policy, NOW).free_at
    assert held == {"refuse": NOW, "warn": None, "allow": None}


@pytest.mark.parametrize(
    ("rules", "storage_class", "period", "says"),
    [
        ({"keep_fulls": 7}, "DEEP_ARCHIVE", "4W", ["keep_fulls is 7: with a full every 28 days", "; 8 would fit"]),
        ({"keep_fulls": 8}, "DEEP_ARCHIVE", "4W", []),
        ({"keep_fulls": 4, "keep_incrementals_of": 2}, "GLACIER", "4W", ["keep_fulls is 4", "; 5 would fit",
         "keep_incrementals_of is 2"]),
        ({"keep_fulls": 1}, "STANDARD", "4W", []),
        ({"keep_fulls": 180}, "DEEP_ARCHIVE", "1s", []),
        ({"keep_fulls": 179}, "DEEP_ARCHIVE", "12h", ["; 180 would fit"]),
        ({"keep_fulls": 2}, "DEEP_ARCHIVE", "179D", []),
        ({"keep_fulls": 2}, "DEEP_ARCHIVE", "178D", ["; 3 would fit"]),
        ({"older_than": "26W"}, "DEEP_ARCHIVE", "4W", []),
        ({"older_than": "80D"}, "GLACIER_IR", "4W", ["GLACIER_IR is paid for 90 days; 90D would fit"]),
        ({"older_than": "2026-01-01"}, "DEEP_ARCHIVE", "4W", []),
        ({"orphans": True}, "DEEP_ARCHIVE", "4W", []),
    ],
)  # fmt: skip
def test_retention_that_comes_before_the_minimum(
    rules: dict[str, Any], storage_class: str, period: str, says: list[str]
) -> None:
    policy = checked_policy({**NOTHING, **rules})
    assert policy is not None
    told = policy.unfit(storage_class, period)
    assert bool(told) == bool(says)
    for text in says:
        assert text in " ".join(told)


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_fewest_fulls_that_fit(minimum: int, period: int) -> None:
    """The youngest set of a chain, of the day before the next full, is past the minimum when its chain goes."""
    fits = fitting_fulls(minimum, period)
    ages = {count: count * period - (period - 1) for count in (fits - 1, fits)}
    assert ages[fits] >= minimum
    assert fits == 1 or ages[fits - 1] < minimum


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"keep_fulls": 0}, BadInput, "job.retention.keep_fulls is 0: at least 1"),
        ({"keep_incrementals_of": -1}, BadInput, "job.retention.keep_incrementals_of is -1"),
        ({"older_than": "long ago"}, BadTime, "'long ago' is not a time"),
        ({"orphans": True, "orphan_age": "23h"}, BadInput, "job.retention.orphan_age is 23h: at least 1D"),
        ({"orphans": True, "orphan_age": "9999Y"}, BadInput, "job.retention.orphan_age '9999Y' is not an interval"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(change: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        checked_policy({**NOTHING, **change}, "job.retention.")
