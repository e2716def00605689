"""policy.py: what a job or a task says may be deleted."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.policy import checked_policy

NOW = datetime(2026, 11, 25, tzinfo=timezone.utc)
NOTHING: dict[str, Any] = {
    "keep_fulls": None,
    "older_than": None,
    "keep_incrementals_of": None,
    "orphans": False,
    "orphan_age": "7D",
}


def test_without_a_rule_there_is_no_policy() -> None:
    assert checked_policy(NOTHING) is None
    assert checked_policy({**NOTHING, "orphan_age": "9D"}) is None


def test_ages_count_from_the_moment_of_the_cleanup() -> None:
    policy = checked_policy({**NOTHING, "older_than": "180D", "orphans": True, "orphan_age": "2W"})
    assert policy is not None
    for now in (NOW, NOW + timedelta(days=30)):
        rules = policy.rules(now)
        assert (rules.older_than, rules.settled) == (now - timedelta(days=180), now - timedelta(weeks=2))
    assert policy.rules(NOW).delete_last_chain is False
    assert policy.rules(NOW, delete_last_chain=True).delete_last_chain is True


def test_the_other_rules_are_as_given() -> None:
    policy = checked_policy({**NOTHING, "keep_fulls": 8, "keep_incrementals_of": 2})
    assert policy is not None
    rules = policy.rules(NOW)
    assert (rules.keep_fulls, rules.keep_incrementals_of, rules.older_than, rules.orphans) == (8, 2, None, False)


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
