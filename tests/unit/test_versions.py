"""Which version a set had stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from ansible_collections.permafrost.backup.plugins.module_utils import manifest, versions
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object

WRITTEN = datetime(2026, 11, 1, 3, tzinfo=timezone.utc)
FULL = "duplicity-full.20261101T020000Z"
VOLUME, MANIFEST = f"{FULL}.vol1.difftar.gz", f"{FULL}.manifest"
SIGNATURE = "duplicity-full-signatures.20261101T020000Z.sigtar.gz"
Versions = dict[str, list[S3Object]]


def of(name: str, minutes: int, version: str, size: int = 10) -> S3Object:
    return S3Object(name, size, "STANDARD", version, WRITTEN + timedelta(minutes=minutes), version_id=version)


def bucket() -> Versions:
    """A volume of before the manifest, a signature, and the manifest, which came last."""
    return {VOLUME: [of(VOLUME, -30, "v1")], SIGNATURE: [of(SIGNATURE, -1, "s1")], MANIFEST: [of(MANIFEST, 0, "m1")]}


def found(there: Versions) -> dict[str, str | None]:
    """Names and version IDs; the newest version of each is the current one."""
    current = {name: max(several, key=lambda one: one.last_modified) for name, several in there.items()}
    sets = [one for chain in manifest.collect(current).chains for one in chain.sets]
    return {name: one.version_id for name, one in versions.stored(sets, current, there).items()}


def test_nothing_was_overwritten() -> None:
    assert found(bucket()) == {}


def test_all_was_overwritten() -> None:
    there = bucket()
    for several in there.values():
        several.insert(
            0, replace(several[0], etag="noise", last_modified=WRITTEN + timedelta(days=3), version_id="noise")
        )
    assert found(there) == {VOLUME: "v1", SIGNATURE: "s1", MANIFEST: "m1"}


def test_twice_and_at_once() -> None:
    there = bucket()
    there[VOLUME] += [of(VOLUME, 1, "noise"), of(VOLUME, 2, "more noise")]
    assert found(there) == {VOLUME: "v1"}


def test_a_resumption_counts() -> None:
    there = bucket()
    there[VOLUME] += [of(VOLUME, -10, "v2")]
    assert found(there) == {}
    there[VOLUME] += [of(VOLUME, 10, "noise")]
    assert found(there) == {VOLUME: "v2"}


def test_a_copy_in_place_is_as_good() -> None:
    there = bucket()
    there[VOLUME].append(replace(of(VOLUME, 60, "copy"), etag="v1"))
    assert found(there) == {}


def test_a_put_that_was_cut_off_is_no_version() -> None:
    there = bucket()
    there[MANIFEST].append(of(MANIFEST, -20, "m0", size=0))
    there[VOLUME] += [of(VOLUME, -5, "v2", size=0), of(VOLUME, 10, "noise")]
    assert found(there) == {VOLUME: "v1"}


def test_without_older_versions_nothing_can_be_had() -> None:
    there = bucket()
    there[VOLUME] = [of(VOLUME, 60, "noise")]
    assert found(there) == {}
    current = {name: several[0] for name, several in bucket().items()}
    sets = manifest.collect(current).chains[0].sets
    assert versions.stored(sets, current, {}) == {}
