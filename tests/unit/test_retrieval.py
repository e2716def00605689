"""retrieval.py: which objects a thaw is about, and for which of them S3 has to be asked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import glacier, manifest, retrieval
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BeforeFirstBackup,
    NothingToThaw,
    TierUnavailable,
    VolumesMissing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan, PlannedObject, S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=timezone.utc)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc))
DAY = timedelta(days=1)


def found(key: str, storage_class: str = "DEEP_ARCHIVE", size_bytes: int = 10) -> S3Object:
    return S3Object(key, size_bytes, storage_class, "etag", NOW)


def copy(expires: datetime, key: str = "copy") -> PlannedObject:
    return PlannedObject(key, 1, "GLACIER", "thawed", to_w3(expires))


def plan(*volumes: PlannedObject) -> Plan:
    return Plan("bucket", volumes)


# --- which objects ----------------------------------------------------------------------------------------------------


@given(st.lists(st.text("ab/", min_size=1, max_size=6), min_size=1, max_size=8))
def test_every_given_key_is_below_a_listed_prefix(keys: list[str]) -> None:
    chosen = retrieval.by_keys(keys)
    assert set(chosen.keys) == set(keys)
    assert len(set(chosen.keys)) == len(chosen.keys)
    for key in keys:
        assert any(key.startswith(prefix) for prefix in chosen.prefixes)
    assert len(chosen.prefixes) == len({key.rpartition("/")[0] for key in keys})


FULL, LATER = "20261101T000000Z", "20261102T000000Z"
CHAIN = [
    f"duplicity-full.{FULL}.manifest",
    f"duplicity-full.{FULL}.vol1.difftar.gz",
    f"duplicity-full.{FULL}.vol2.difftar.gz",
    f"duplicity-full-signatures.{FULL}.sigtar.gz",
    f"duplicity-inc.{FULL}.to.{LATER}.manifest",
    f"duplicity-inc.{FULL}.to.{LATER}.vol1.difftar.gz",
]


def chain_at(names: list[str], time: datetime) -> tuple[str, ...]:
    return retrieval.by_chain(names, "web/", manifest.NO_PREFIXES, time)[0].keys


def test_a_chain_is_its_volumes_up_to_the_time() -> None:
    assert chain_at(CHAIN, NOW) == tuple(f"web/{CHAIN[at]}" for at in (1, 2, 5))
    assert chain_at(CHAIN, datetime(2026, 11, 1, 12, tzinfo=timezone.utc)) == (f"web/{CHAIN[1]}", f"web/{CHAIN[2]}")
    with pytest.raises(BeforeFirstBackup):
        chain_at(CHAIN, datetime(2026, 10, 31, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("gone", "named"), [(1, f"duplicity-full.{FULL}.vol1"), (5, f"duplicity-inc.{FULL}.to.{LATER}.vol1")]
)
def test_a_gap_in_the_numbers_is_refused(gone: int, named: str) -> None:
    with pytest.raises(VolumesMissing, match=named) as caught:
        chain_at([name for name in CHAIN if name != CHAIN[gone]], NOW)
    assert caught.value.facts["volumes"] == [named]


def test_below_a_prefix_are_archived_objects_and_counts_of_the_rest() -> None:
    objects = [
        found("restic/data/ab", "GLACIER"), found("restic/data/cd"), found("restic/data/marker", size_bytes=0),
        found("restic/index", "STANDARD"), found("restic/keys", "STANDARD", 5),
        found("restic/x", "INTELLIGENT_TIERING"),
    ]  # fmt: skip
    chosen, below = retrieval.by_prefix(objects, "restic/", None)
    assert chosen.keys == ("restic/data/ab", "restic/data/cd", "restic/data/marker")
    assert below.left_out["STANDARD"] == {"objects": 2, "size_bytes": 15}
    assert "1 objects of INTELLIGENT_TIERING" in below.warnings[0]
    # An empty object of another tool is no volume that was cut off.
    states = [one.state for one in chosen.plan("bucket", below.archived, NOW).volumes]
    assert states == ["frozen"] * 3


def test_a_pattern_is_of_the_rest_of_the_key() -> None:
    objects = [found("a/b/1"), found("a/b/c/1"), found("a/b/2"), found("a/b/1", "STANDARD")]
    chosen, below = retrieval.by_prefix(objects, "a/b/", "*1")
    assert chosen.keys == ("a/b/1", "a/b/c/1")
    assert (below.other_names, list(below.left_out)) == (1, ["STANDARD"])


def test_a_thaw_of_nothing_is_refused() -> None:
    with pytest.raises(NothingToThaw, match="No key begins with 'rustic/'"):
        retrieval.by_prefix([], "rustic/", None)
    with pytest.raises(NothingToThaw, match=r"goes on as '\*.pack'"):
        retrieval.by_prefix([found("a/b")], "a/", "*.pack")


# --- what to ask for --------------------------------------------------------------------------------------------------


ALL = plan(
    PlannedObject("frozen", 1, "GLACIER", "frozen"), PlannedObject("thawing", 1, "GLACIER", "thawing"),
    copy(NOW + DAY), PlannedObject("ready", 1, "STANDARD", "ready"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        (Wish("Standard", 7), "frozen"),
        (Wish("Standard", 7, upgrade=True), "frozen thawing"),
        (Wish("Bulk", 7, upgrade=True), "frozen"),
        (Wish("Standard", 7, extend=True), "frozen copy"),
        (Wish("Standard", 2, extend=True), "frozen"),
        (Wish("Bulk", 7, upgrade=True, extend=True), "frozen copy"),
    ],
)
def test_what_is_asked_for(wish: Wish, asked: str) -> None:
    work = retrieval.work_of(ALL, wish, NOW)
    assert [one.key for one in work] == asked.split()
    assert len(work) == len(asked.split())


@pytest.mark.parametrize("state", ["frozen", "thawing", "thawed"])
def test_a_tier_that_a_class_lacks_is_refused_for_whatever_would_be_asked(state: str) -> None:
    deep = plan(PlannedObject("deep", 1, "DEEP_ARCHIVE", state, to_w3(NOW)))
    with pytest.raises(TierUnavailable):
        retrieval.work_of(deep, Wish("Expedited", 7, upgrade=True, extend=True), NOW)


@given(MOMENTS, st.integers(1, 60), st.floats(0, 1))
def test_what_was_extended_is_left_alone_for_a_day(now: datetime, days: int, part: float) -> None:
    wish = Wish("Bulk", days, extend=True)
    until = retrieval.extended_until(now, days)
    assert until - now >= timedelta(days=days)
    assert (until.hour, until.minute, until.second) == (0, 0, 0)
    assert until - now < timedelta(days=days + 1)
    again = now + part * min(DAY, timedelta(days=days) / 2)
    assert len(retrieval.work_of(plan(copy(until)), wish, again)) == 0


@given(MOMENTS, st.integers(2, 60), st.floats(0, 90))
def test_after_a_task_that_extends_a_copy_is_there_for_all_days_but_one(now: datetime, days: int, left: float) -> None:
    before = plan(copy(now + timedelta(days=left)))
    wish = Wish("Bulk", days, extend=True)
    after = retrieval.foreseen(before, retrieval.work_of(before, wish, now), wish, now)
    assert str(after.expires_first) >= to_w3(now + timedelta(days=days - 1))


def test_what_is_foreseen() -> None:
    wish = Wish("Standard", 7, upgrade=True, extend=True)
    after = retrieval.foreseen(ALL, retrieval.work_of(ALL, wish, NOW), wish, NOW)
    assert [one.state for one in after.volumes] == ["thawing", "thawing", "thawed", "ready"]
    assert after.expires_first == "2026-11-30T00:00:00Z"


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_copies_that_expire_before_the_rest_is_thawed() -> None:
    thawing = PlannedObject("thawing", 1, "GLACIER", "thawing")
    early, late = copy(NOW + timedelta(hours=30)), copy(NOW + 9 * DAY)
    (warning,) = glacier.expiry_warnings(plan(late, early, thawing), 48, NOW)
    assert "expires at 2026-11-23T16:30:00Z" in warning
    assert "as late as 2026-11-24T10:30:00Z" in warning
    assert glacier.expiry_warnings(plan(late, early, thawing), 12, NOW) == []
    assert glacier.expiry_warnings(plan(late, early), 48, NOW) == []
    assert glacier.expiry_warnings(plan(thawing), 48, NOW) == []


def test_copies_that_expire_within_a_day() -> None:
    (warning,) = glacier.expiry_warnings(plan(copy(NOW + timedelta(hours=23))), 0, NOW)
    assert "read them before" in warning
    assert glacier.expiry_warnings(plan(copy(NOW + timedelta(hours=25))), 0, NOW) == []


def test_days_that_are_shorter_than_the_thaw() -> None:
    two = plan(PlannedObject("a", 1, "DEEP_ARCHIVE", "frozen"), PlannedObject("b", 1, "DEEP_ARCHIVE", "frozen"))
    assert "48 hours, and a copy stays 24 hours" in retrieval.days_warnings(two, 1, 48.0)[0]
    assert retrieval.days_warnings(two, 2, 48.0) == []
    assert retrieval.days_warnings(plan(*two.volumes[:1]), 1, 48.0) == []
