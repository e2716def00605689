"""integrity.py: what it finds in recorded listings and manifests that are damaged one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import integrity, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from unit import transcript

PREFIX = "web01/data/"
NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


@dataclass
class Place:
    """What is in the bucket."""

    listing: dict[str, S3Object]
    manifests: dict[str, bytes]
    uploads: list[Upload]

    def name(self, *parts: str) -> str:
        return next(name for name in sorted(self.listing) if all(part in name for part in parts))

    def drop(self, *parts: str) -> str:
        name = self.name(*parts)
        del self.listing[name]
        return name

    def change(self, *parts: str, **changes: object) -> str:
        name = self.name(*parts)
        self.listing[name] = replace(self.listing[name], **changes)
        return name

    def later(self, name: str, **more: float) -> str:
        return self.change(name, last_modified=max(self.times()) + timedelta(**more))

    def times(self) -> list[datetime]:
        return [one.last_modified for one in self.listing.values()]

    def examine(self, storage_class: str = "STANDARD") -> list[integrity.Finding]:
        found = manifest.collect(self.listing)
        sets = [one for chain in found.chains for one in chain.sets]
        readings = [(one, integrity.read(self.manifests[one.manifest_stem], one)) for one in sets]
        return integrity.examine(
            self.listing, found, readings, self.uploads, key_prefix=PREFIX, storage_class=storage_class
        )


@pytest.fixture
def place() -> Place:
    listing = {key[len(PREFIX) :]: one for key, one in transcript.listing("life").items()}
    return Place(listing, transcript.manifests("life"), [])


def brief(findings: list[integrity.Finding]) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in findings]


def test_nothing_is_wrong(place: Place) -> None:
    assert place.examine() == []


def test_a_lost_volume_is_named_by_its_manifest(place: Place) -> None:
    last = max(volume.number for volume in manifest.parse_manifest(place.manifests[full(place)]))
    for number in (2, last):
        place.drop("full.", f".vol{number}.")
    stem = full(place).replace(".manifest", "")
    assert brief(place.examine()) == [("volume_missing", f"{stem}.vol2"), ("volume_missing", f"{stem}.vol{last}")]
    assert {one.detail for one in place.examine()} == {"The manifest names it."}
    assert place.examine()[0].to_result(PREFIX)["key"] is None


def full(place: Place) -> str:
    return place.name("duplicity-full.", ".manifest")


def test_empty_objects(place: Place) -> None:
    volume = place.change("full.", ".vol3.", size_bytes=0)
    signature = place.change("full-signatures", size_bytes=0)
    assert brief(place.examine()) == [("signature_empty", signature), ("volume_empty", volume)]
    assert place.examine()[1].to_result(PREFIX)["key"] == PREFIX + volume


def test_a_lost_signature(place: Place) -> None:
    place.drop("new-signatures")
    (found,) = place.examine()
    assert found.kind == "signature_missing"
    assert found.name.startswith("duplicity-inc.")


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (lambda _content: b"", "It is empty."),
        (lambda _content: b"not a manifest", "It names no volume."),
        (lambda content: content[: content.index(b"EndingPath")], "It is cut off, or not a manifest."),
        (lambda content: content[:-1], "It is cut off."),
        (lambda content: content[: content.rindex(b"    new")], "It is cut off."),
        (lambda content: content[: content.index(b"Volume 3")], "It names 2 volumes, and the bucket holds a volume "),
        (lambda content: content.replace(b"Volume 2:", b"Volume 200:"), "It names "),
    ],
)
def test_a_manifest_that_is_not_whole(place: Place, spoil: Callable[[bytes], bytes], detail: str) -> None:
    name = full(place)
    place.manifests[name] = spoil(place.manifests[name])
    lost = place.drop("full.", ".vol1.")
    found = place.examine()
    assert ("manifest_unreadable", name) in brief(found)
    assert found[0].detail.startswith(detail)
    # Numbers of volumes tell what the manifest cannot.
    assert ("volume_missing", lost.split(".difftar")[0]) in brief(found)


def test_an_older_manifest_has_no_list_of_files(place: Place) -> None:
    name = full(place)
    content = place.manifests[name]
    place.manifests[name] = content[: content.index(b"Filelist")]
    assert place.examine() == []


@pytest.mark.parametrize("part", [".vol1.", "full-signatures"])
def test_written_after_its_set_was_complete(place: Place, part: str) -> None:
    name = place.name("full", part)
    place.later(name, minutes=4)
    assert place.examine() == []
    place.later(name, minutes=6)
    assert brief(place.examine()) == [("overwritten", name)]


def test_a_manifest_that_was_written_much_later(place: Place) -> None:
    name = full(place)
    place.later(name, hours=23)
    assert place.examine() == []
    place.later(name, hours=25)
    assert brief(place.examine()) == [("overwritten", name)]


def test_volumes_of_an_interrupted_run_are_older_than_the_manifest(place: Place) -> None:
    for name in [name for name in place.listing if ".vol1." in name]:
        place.change(name, last_modified=min(place.times()) - timedelta(days=9))
    assert place.examine() == []


def test_classes(place: Place) -> None:
    volumes = [name for name in place.listing if ".difftar" in name]
    found = place.examine(storage_class="DEEP_ARCHIVE")
    assert {one.kind for one in found} == {"wrong_class"}
    assert sorted(one.name for one in found) == sorted(volumes)
    for name in volumes:
        place.change(name, storage_class="DEEP_ARCHIVE")
    assert place.examine(storage_class="DEEP_ARCHIVE") == []
    names = {
        place.change("full-signatures", storage_class="GLACIER"),
        place.change(full(place), storage_class="GLACIER"),
    }
    assert {one.name for one in place.examine(storage_class="DEEP_ARCHIVE")} == names


def test_what_does_not_belong_there(place: Place) -> None:
    place.listing["notes.txt"] = next(iter(place.listing.values()))
    place.uploads = [Upload(f"{PREFIX}some", "id", NOW), Upload(f"{PREFIX}other-job/some", "id", NOW)]
    assert brief(place.examine()) == [("unknown", "notes.txt"), ("upload_pending", "some")]


def test_an_interrupted_set() -> None:
    listing = {key[len(PREFIX) :]: one for key, one in transcript.listing("interrupted").items()}
    place = Place(listing, {}, [])
    (found,) = place.examine()
    assert (found.kind, found.detail.endswith("no manifest.")) == ("interrupted", True)


def test_a_manifest_that_was_taken_away(place: Place) -> None:
    name = place.drop("duplicity-inc.", ".manifest")
    (last,) = place.examine()
    assert (last.kind, "taken away" in last.detail) == ("interrupted", True)
    place.listing[name] = next(iter(place.listing.values()))
    lost = place.drop("duplicity-full.", ".manifest")
    assert sorted(brief(place.examine())) == [
        ("manifest_missing", lost), ("orphaned", name.replace(".manifest", "")),
    ]  # fmt: skip


def test_kinds() -> None:
    assert set(integrity.DAMAGE) < set(integrity.KINDS)
    assert len(set(integrity.KINDS)) == len(integrity.KINDS)


# What gpg 2.4 says of a good file, garbage, a good file by its full path, one cut off, one of another passphrase, and
# one for a key that is not there.
STATUS = """\
[GNUPG:] FILE_START 3 /permafrost/run/0.gpg
[GNUPG:] BEGIN_DECRYPTION
[GNUPG:] PLAINTEXT 62 1795479499 p0
[GNUPG:] DECRYPTION_OKAY
[GNUPG:] GOODMDC
[GNUPG:] END_DECRYPTION
[GNUPG:] FILE_DONE
[GNUPG:] FILE_START 3 2.gpg
[GNUPG:] NODATA 1
[GNUPG:] FILE_DONE
[GNUPG:] FILE_START 3 1.gpg
[GNUPG:] FILE_DONE
[GNUPG:] FILE_START 3 4.gpg
[GNUPG:] BEGIN_DECRYPTION
[GNUPG:] ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE
[GNUPG:] DECRYPTION_FAILED
[GNUPG:] FILE_DONE
[GNUPG:] FILE_START 3 5.gpg
[GNUPG:] NO_SECKEY 0123456789ABCDEF
[GNUPG:] FILE_DONE
[GNUPG:] FILE_START 3 6.gpg
[GNUPG:] ERROR pkdecrypt_failed 11
[GNUPG:] DECRYPTION_FAILED
[GNUPG:] FILE_DONE
[GNUPG:] FAILURE gpg-exit 33554433
"""


def test_what_gpg_says_of_each_file() -> None:
    assert integrity.decrypted(STATUS) == {
        "0.gpg": "opened", "2.gpg": "broken", "1.gpg": "broken", "4.gpg": "refused", "5.gpg": "refused",
        "6.gpg": "refused",
    }  # fmt: skip
