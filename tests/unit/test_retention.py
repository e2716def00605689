"""retention.py against duplicity's rules written anew, and against kills at any request."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import errors, manifest, retention
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp
from unit.listings import (
    EPOCH,
    NOW,
    RULES,
    THREE,
    Bucket,
    Chains,
    at,
    damaged,
    filled,
    going,
    histories,
    hours,
    names_of,
    requests_of,
)

# --- the rules ------------------------------------------------------------------------------------------------------


def by_duplicity(chains: Chains, keep_fulls: Any, older_than: Any, keep_incrementals_of: Any) -> list[int]:
    """remove_all_but_n_full and remove_old of dup_main.py, one after the other; the newest chain is the active one."""
    starts = sorted((chain[0] for chain in chains), reverse=True)
    gone: set[int] = set()
    left = [list(chain) for chain in chains]

    def older(limit: int | None, first: int) -> None:
        for chain in left[:-1]:
            if limit is not None and chain and chain[-1] < limit:
                gone.update(chain[first:])
                del chain[first:]

    def full(count: int | None) -> int | None:
        return None if count is None or count > len(starts) else starts[count - 1]

    older(full(keep_incrementals_of), 1)
    older(full(keep_fulls), 0)
    older(None if older_than is None else round((older_than - EPOCH).total_seconds() / 3600), 0)
    return [hour for chain in chains for hour in reversed(chain) if hour in gone]


@given(histories(), RULES)
def test_a_set_goes_when_any_of_duplicitys_rules_says_so(chains: Chains, rules: dict[str, Any]) -> None:
    plan = filled(chains).plan(**rules)
    assert going(plan) == by_duplicity(chains, **rules)
    kept = [hour for chain in plan.kept for hour in hours(chain.sets)]
    assert sorted(kept + going(plan)) == [hour for chain in chains for hour in chain]


@settings(deadline=None)
@given(histories(), RULES)
def test_a_kill_at_any_request_leaves_chains_and_the_next_run_ends_the_work(
    chains: Chains, rules: dict[str, Any]
) -> None:
    whole = filled(chains)
    requests = whole.requests(**rules)
    for keys in requests:
        whole.delete(keys)
    for sent in range(len(requests)):
        bucket = filled(chains)
        for keys in requests[:sent]:
            bucket.delete(keys)
        assert bucket.found.orphaned == []
        assert len(bucket.found.interrupted) <= 1
        assert not any(retention.gaps(chain.sets, bucket.objects) for chain in bucket.found.chains)
        for keys in bucket.requests(**rules):
            bucket.delete(keys)
        assert bucket.objects == whole.objects


@given(histories(), RULES, st.booleans())
def test_a_second_run_finds_nothing(chains: Chains, rules: dict[str, Any], last: bool) -> None:
    bucket = filled(chains)
    for keys in bucket.requests(**rules, delete_last_chain=last):
        bucket.delete(keys)
    assert bucket.requests(**rules, delete_last_chain=last) == []


# --- minimum storage ------------------------------------------------------------------------------------------------

# Volumes of DEEP_ARCHIVE are free so many hours after they were written.
MINIMUM = 180 * 24


@settings(deadline=None)
@given(histories(), RULES, st.integers(-1, 501))
def test_what_is_paid_for_stays_with_all_that_it_builds_on(chains: Chains, rules: dict[str, Any], border: int) -> None:
    bucket = filled(chains)
    whole = going(bucket.plan(**rules))
    plan = bucket.plan(**rules, free_at=at(border + MINIMUM))
    held = {hour: one.free_from for hour, one in zip(hours(one.backup_set for one in plan.held), plan.held)}
    assert sorted([*going(plan), *held]) == sorted(whole)
    assert all(hour <= border for hour in going(plan))
    for chain in chains:
        for hour in set(chain) & set(held):
            reason = max(one for one in chain if one in held)
            assert (reason > border, held[hour]) == (True, at(reason + MINIMUM))
    for keys in requests_of(plan):
        bucket.delete(keys)
    assert bucket.found.orphaned == bucket.found.interrupted == []
    for keys in bucket.requests(**rules, free_at=max([NOW, *(free for free in held.values() if free)])):
        bucket.delete(keys)
    rest = filled(chains)
    for keys in rest.requests(**rules):
        rest.delete(keys)
    assert bucket.objects == rest.objects


def test_an_interrupted_set_that_is_paid_for_stays_and_can_be_resumed() -> None:
    bucket = filled(THREE)
    bucket.add(None, 80, complete=False)
    bucket.upload(names_of(None, 80, 3)[2], at(80))
    ours = frozenset({(None, at(80))})
    plan = bucket.plan(orphans=True, ours=ours, free_at=NOW - timedelta(days=390))
    assert (going(plan), hours(one.backup_set for one in plan.held), plan.uploads) == ([], [80], ())
    assert hours(plan.left) == [80]
    free = bucket.plan(orphans=True, ours=ours, free_at=at(80 + MINIMUM))
    assert (going(free), len(free.uploads), free.held) == ([80], 1, ())


def test_a_full_without_its_incrementals_is_as_old_as_itself() -> None:
    plan = filled(THREE).plan(older_than=at(41), keep_incrementals_of=1)
    assert going(plan) == [30, 20, 10, 50, 40]
    assert going(filled(THREE).plan(older_than=at(41))) == [30, 20, 10]


def test_reasons() -> None:
    plan = filled(THREE).plan(keep_fulls=2, older_than=at(31), keep_incrementals_of=1)
    reasons = {hour: one.reasons for hour, one in zip(going(plan), plan.going)}
    assert reasons == {
        30: ("keep_fulls", "older_than", "keep_incrementals_of"),
        20: ("keep_fulls", "older_than", "keep_incrementals_of"),
        10: ("keep_fulls", "older_than"),
        50: ("keep_incrementals_of",),
    }


def test_the_newest_chain_goes_by_age_only_with_permission() -> None:
    plan = filled(THREE).plan(older_than=NOW)
    assert going(plan) == [30, 20, 10, 50, 40]
    assert plan.newest_is_old
    plan = filled(THREE).plan(older_than=NOW, delete_last_chain=True)
    assert going(plan) == [30, 20, 10, 50, 40, 70, 60]
    assert not plan.newest_is_old
    assert plan.kept == ()


def test_jsonstat_files_go_with_their_set() -> None:
    bucket = filled(THREE)
    name = f"duplicity-full.{to_stamp(at(10))}.jsonstat.gz"
    bucket.put(name)
    (sent,) = [keys for keys in bucket.requests(keep_fulls=2) if name in keys]
    assert not any(key.endswith(".manifest") for key in sent)


# --- the last chain -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoilt", ["gap", "empty", "manifest"])
def test_nothing_goes_while_what_stays_cannot_be_restored(spoilt: str) -> None:
    bucket = filled(THREE)
    full = f"duplicity-full.{to_stamp(at(60))}"
    if spoilt == "gap":
        del bucket.objects[f"{full}.vol1.difftar.gz"]
    else:
        name = f"{full}.vol2.difftar.gz" if spoilt == "empty" else f"{full}.manifest"
        bucket.objects[name] = replace(bucket.objects[name], size_bytes=0)
    for rules in ({"keep_fulls": 1}, {"keep_incrementals_of": 1, "keep_fulls": 2}):
        with pytest.raises(errors.LastChain, match=rf"{full}.*" if spoilt != "manifest" else "manifest"):
            bucket.plan(**rules)
        assert bucket.plan(**rules, delete_last_chain=True).going
    assert going(bucket.plan(keep_fulls=2)) == [30, 20, 10], "the one in the middle can be restored"


def test_a_full_that_lost_its_manifest_keeps_its_incrementals() -> None:
    bucket = filled([[10, 20, 30]])
    del bucket.objects[f"duplicity-full.{to_stamp(at(10))}.manifest"]
    with pytest.raises(errors.LastChain, match="no chain at all"):
        bucket.plan(orphans=True)
    assert going(bucket.plan(orphans=True, delete_last_chain=True)) == [30, 20, 10]


def restorable(found: manifest.Collection, bucket: Bucket) -> list[manifest.Chain]:
    return [chain for chain in found.chains if not retention.gaps(chain.sets, bucket.objects)]


@given(damaged(), RULES, st.booleans())
def test_the_last_chain_that_can_be_restored_never_goes(bucket: Bucket, rules: dict[str, Any], orphans: bool) -> None:
    before = restorable(bucket.found, bucket)
    try:
        requests = bucket.requests(**rules, orphans=orphans)
    except errors.LastChain:
        return
    for keys in requests:
        bucket.delete(keys)
        assert [one for one in restorable(bucket.found, bucket) if one in before] or not before


@given(damaged(), RULES, st.booleans(), st.booleans())
def test_a_set_never_stays_without_its_base(bucket: Bucket, rules: dict[str, Any], orphans: bool, last: bool) -> None:
    """At no moment does a set lose the one that it builds on; one that had lost it before goes, or is told."""
    before = {retention.set_id(one) for one in bucket.found.orphaned}
    try:
        plan = bucket.plan(**rules, orphans=orphans, delete_last_chain=last)
    except errors.LastChain:
        return
    for keys in requests_of(plan):
        bucket.delete(keys)
        assert {retention.set_id(one) for one in bucket.found.orphaned} <= before
    told = {retention.set_id(one) for one in plan.left}
    assert {retention.set_id(one) for one in (*bucket.found.orphaned, *bucket.found.interrupted)} == told


@given(damaged(), RULES, st.booleans(), st.booleans())
def test_the_diff_names_what_goes_and_nothing_else(
    bucket: Bucket, rules: dict[str, Any], orphans: bool, last: bool
) -> None:
    try:
        plan = bucket.plan(**rules, orphans=orphans, delete_last_chain=last)
    except errors.LastChain:
        return
    found = bucket.found
    diff = {name: text.splitlines() for name, text in retention.diff(found, plan).items()}
    every = [one for chain in found.chains for one in chain.sets] + found.interrupted + found.orphaned
    named = [line for line in diff["before"] if line[0] != " " and not line.startswith("unfinished upload")]
    assert sorted(line[2:] for line in diff["before"] if line[0] == " ") == sorted(
        key for keys in requests_of(plan) for key in keys
    )
    assert len(named) == len(every)
    assert len(diff["after"]) == len(every) - len(plan.going)
    uploads = [line for line in diff["before"] if line.startswith("unfinished upload of ")]
    assert sorted(uploads) == sorted(f"unfinished upload of {one.key}" for one in plan.uploads)


# --- words ----------------------------------------------------------------------------------------------------------


def test_the_diff_names_sets_and_objects_that_go() -> None:
    bucket = filled([[10], [40]])
    bucket.add(40, 50, complete=False, written=NOW)
    bucket.upload(names_of(40, 45)[0], at(45))
    plan = bucket.plan(keep_fulls=1, orphans=True)
    diff = retention.diff(bucket.found, plan)
    staying = ["full 2026-01-02T16:00:00Z", "incremental 2026-01-03T02:00:00Z (interrupted)"]
    assert diff["after"].splitlines() == staying
    names = [f"  {name}" for name in (names_of(None, 10)[-1], *names_of(None, 10)[:-1])]
    upload = f"unfinished upload of {names_of(40, 45)[0]}"
    assert diff["before"].splitlines() == ["full 2026-01-01T10:00:00Z", *names, *staying, upload]


def test_sizes_by_class() -> None:
    assert retention.sizes(filled([[10]]).objects.values()) == {"DEEP_ARCHIVE": 20, "STANDARD": 20}
