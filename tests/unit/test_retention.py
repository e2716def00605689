"""retention.py against duplicity's rules written anew, and against kills at any request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import errors, manifest, retention
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOW = EPOCH + timedelta(days=400)
SETTLED = NOW - timedelta(days=7)
Chains = list[list[int]]


def at(hour: int) -> datetime:
    return EPOCH + timedelta(hours=hour)


def names_of(base: int | None, hour: int, volumes: int = 2, *, complete: bool = True) -> list[str]:
    """What the bucket holds of one set."""
    end = to_stamp(at(hour))
    if base is None:
        kind, signature = f"duplicity-full.{end}", f"duplicity-full-signatures.{end}"
    else:
        start = to_stamp(at(base))
        kind, signature = f"duplicity-inc.{start}.to.{end}", f"duplicity-new-signatures.{start}.to.{end}"
    names = [f"{kind}.vol{number}.difftar.gz" for number in range(1, volumes + 1)]
    return [*names, *([f"{signature}.sigtar.gz", f"{kind}.manifest"] if complete else [])]


@dataclass
class Bucket:
    """A listing that tests change. Objects are written at the time of their set."""

    objects: dict[str, S3Object] = field(default_factory=dict)
    uploads: list[tuple[str, Upload]] = field(default_factory=list)
    prefixes: manifest.FilePrefixes = manifest.NO_PREFIXES

    def add(self, base: int | None, hour: int, *, written: datetime | None = None, **options: Any) -> list[str]:
        """A set; gives its names."""
        names = names_of(base, hour, **options)
        for name in names:
            self.put(name, written or at(hour))
        return names

    def put(self, name: str, written: datetime = EPOCH) -> None:
        self.objects[name] = S3Object(name, 10, "DEEP_ARCHIVE" if "vol" in name else "STANDARD", "", written)

    def upload(self, name: str, started: datetime) -> None:
        self.uploads.append((name, Upload(name, str(len(self.uploads)), started)))

    @property
    def found(self) -> manifest.Collection:
        return manifest.collect(self.objects, self.prefixes)

    def plan(self, **rules: Any) -> retention.Plan:
        contents = retention.sort_contents(self.objects, self.uploads, self.prefixes)
        return retention.make_plan(self.found, self.objects, contents, retention.Rules(**{"settled": SETTLED, **rules}))

    def requests(self, **rules: Any) -> list[list[str]]:
        return requests_of(self.plan(**rules))

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            del self.objects[key]


def requests_of(plan: retention.Plan) -> list[list[str]]:
    """What a cleanup sends, as cleaning.py does."""
    sent = [[one.key for one in part] for of in plan.going for part in (of.contents.manifests, of.contents.others)]
    return [keys for keys in sent if keys]


def filled(chains: Chains) -> Bucket:
    bucket = Bucket()
    for chain in chains:
        for base, hour in zip([None, *chain], chain):
            bucket.add(base, hour)
    return bucket


def hours(sets: Any) -> list[int]:
    return [round((one.end - EPOCH).total_seconds() / 3600) for one in sets]


def going(plan: retention.Plan) -> list[int]:
    return hours(one.backup_set for one in plan.going)


THREE: Chains = [[10, 20, 30], [40, 50], [60, 70]]


@st.composite
def histories(draw: st.DrawFn) -> Chains:
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    every = iter(sorted(draw(st.sets(st.integers(0, 500), min_size=sum(lengths), max_size=sum(lengths)))))
    return [[next(every) for _set in range(length)] for length in lengths]


COUNTS = st.none() | st.integers(1, 6)
RULES = st.fixed_dictionaries(
    {"keep_fulls": COUNTS, "older_than": st.none() | st.integers(-1, 501).map(at), "keep_incrementals_of": COUNTS}
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


@st.composite
def damaged(draw: st.DrawFn) -> Bucket:
    """Chains of which objects are gone or empty, beside what interrupted backups left."""
    bucket = filled(draw(histories()))
    for hour in draw(st.sets(st.integers(501, 600), max_size=2)):
        bucket.add(draw(st.none() | st.just(500)), hour, complete=draw(st.booleans()), written=at(hour))
    for name in draw(st.sets(st.sampled_from(sorted(bucket.objects)), max_size=3)):
        if draw(st.booleans()):
            del bucket.objects[name]
        else:
            bucket.objects[name] = replace(bucket.objects[name], size_bytes=0)
    for hour in draw(st.sets(st.integers(0, 600), max_size=2)):
        bucket.upload(names_of(None, hour)[0], at(hour))
    return bucket


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
