"""retention.py on what else lies in the bucket: orphans, unfinished uploads, objects of other jobs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import errors, manifest, retention
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp
from unit.listings import (
    EPOCH,
    NOW,
    RULES,
    SETTLED,
    THREE,
    Bucket,
    Chains,
    at,
    filled,
    going,
    histories,
    hours,
    names_of,
)

# --- orphans --------------------------------------------------------------------------------------------------------


@given(histories(), RULES, st.booleans(), st.booleans(), st.booleans())
def test_what_is_being_written_now_never_goes(
    chains: Chains, rules: dict[str, Any], full: bool, orphans: bool, last: bool
) -> None:
    bucket = filled(chains)
    writing = bucket.add(None if full else chains[-1][-1], 600, complete=False, written=at(600))
    bucket.put(writing[0], SETTLED)
    bucket.upload(writing[0].replace("vol1", "vol3"), at(600))
    plan = bucket.plan(**rules, orphans=orphans, delete_last_chain=last)
    assert not set(writing) & {one.key for one in plan.objects}
    assert plan.uploads == ()
    assert 600 in hours(plan.left)


def test_orphans_go_when_their_newest_object_is_old_or_when_they_are_ours() -> None:
    bucket = filled(THREE)
    bucket.add(70, 80, complete=False)
    bucket.add(None, 90, complete=False, written=NOW)
    bucket.add(85, 95)  # no set of hour 85
    assert going(bucket.plan(orphans=True)) == [95, 80]
    assert going(bucket.plan(orphans=True, settled=at(1))) == []
    ours = bucket.plan(orphans=True, settled=at(1), ours=frozenset({(None, at(90))}))
    assert going(ours) == [90]
    assert hours(ours.left) == [80, 95]
    assert going(bucket.plan(keep_fulls=1)) == [30, 20, 10, 50, 40], "only when asked for"


def test_unfinished_uploads() -> None:
    bucket = filled(THREE)
    volume = names_of(None, 10)[0]
    bucket.upload(volume, at(10))  # of a complete set: each for itself
    bucket.upload(volume, NOW)
    bucket.add(70, 80, complete=False)
    bucket.upload(names_of(70, 80)[1], NOW)  # the set is at work
    bucket.upload(names_of(70, 85)[0], at(85))  # nothing else of its set
    bucket.upload("somebody's", at(1))
    plan = bucket.plan(orphans=True)
    assert [one.upload_id for one in plan.uploads] == ["0", "3"]
    assert going(plan) == []
    assert bucket.plan(keep_fulls=1).uploads == ()


def test_an_old_set_that_was_written_late_is_no_leftover() -> None:
    bucket = filled(THREE)
    bucket.add(None, 5, complete=False, written=NOW)
    bucket.add(None, 6, complete=False)
    assert going(bucket.plan(keep_fulls=9)) == [6]
    assert bucket.plan(keep_fulls=9).going[0].reasons == ("leftover",)
    assert going(bucket.plan(orphans=True, settled=EPOCH)) == []


def test_a_killed_end_of_a_job() -> None:
    bucket = filled([[10]])
    bucket.add(10, 20, complete=False)
    bucket.add(10, 21, complete=False, written=NOW)
    assert going(bucket.plan(older_than=at(21), delete_last_chain=True)) == [10, 20]
    assert going(bucket.plan(older_than=at(22), delete_last_chain=True)) == [10, 20]
    assert going(bucket.plan(older_than=at(22))) == []


def test_incrementals_without_a_manifest_among_kept_fulls() -> None:
    bucket = filled([[10], [40, 50]])
    bucket.add(10, 20, complete=False)
    assert going(bucket.plan(keep_incrementals_of=1)) == [20]
    assert going(bucket.plan(keep_incrementals_of=2)) == []
    assert going(bucket.plan(keep_fulls=2)) == []


# --- other jobs -----------------------------------------------------------------------------------------------------


def signs(bucket: Bucket) -> list[str]:
    return retention.foreign(bucket.found, bucket.prefixes)


@given(histories())
def test_one_job_is_no_other(chains: Chains) -> None:
    bucket = filled(chains)
    bucket.put("readme.txt")
    bucket.put(f"duplicity-full.{to_stamp(at(0))}.jsonstat.gz")
    bucket.add(None, 600, complete=False)
    assert signs(bucket) == []
    retention.require_one_job(signs(bucket))


def test_an_older_chain_that_grew_after_a_newer_full() -> None:
    (sign,) = signs(filled([[10, 50], [40, 60]]))
    assert "got an incremental at 2026-01-03T02:00:00Z, after the full of 2026-01-02T16:00:00Z" in sign
    with pytest.raises(errors.ForeignChains, match=re.escape(sign)):
        retention.require_one_job([sign])


def test_two_incrementals_on_one_set() -> None:
    bucket = filled([[10, 20]])
    bucket.add(10, 30)
    (sign,) = signs(bucket)
    assert sign.startswith("2 incrementals build on the set of")


@pytest.mark.parametrize(
    ("own", "name", "foreign"),
    [
        ("", "x-duplicity-full.20260101T000000Z.manifest", True),
        ("", "duplicity-duplicity-full.20260101T000000Z.manifest.gpg", True),
        ("v-", "duplicity-full.20260101T000000Z.vol1.difftar.gz", True),
        ("v-", "v-duplicity-full.20260101T000000Z.vol1.difftar.gz", False),
        ("", "duplicity-full.20261301T000000Z.manifest", False),
        ("", "about duplicity-full.txt", False),
    ],
)
def test_other_file_prefixes(own: str, name: str, foreign: bool) -> None:
    bucket = Bucket(prefixes=manifest.FilePrefixes(own, own, own))
    bucket.put(name)
    assert bool(signs(bucket)) == foreign


@pytest.mark.parametrize(
    ("head", "host"),
    [
        (b"Hostname web01\nLocaldir /source\n", "web01"),
        (b'Hostname "web\\x2001"\nLocaldir /source\n', "web 01"),
        (b"encrypted", None),
        (b"", None),
    ],
)
def test_the_host_in_a_manifest(head: bytes, host: str | None) -> None:
    assert retention.hostname_of(head) == host
