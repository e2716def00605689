# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket against its manifests: every set's volumes, manifest and signature, and what else lies there.

Pure. It needs a listing and the manifests, so no thaw. A finding is told for each thing that is wrong, and one does not
hide another: a manifest that cannot be read still leaves the numbers of the volumes to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import (
    BackupSet,
    Collection,
    Volume,
    listed_files,
    parse_manifest,
)
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

VOLUME_MISSING, VOLUME_EMPTY = "volume_missing", "volume_empty"
MANIFEST_MISSING, MANIFEST_UNREADABLE = "manifest_missing", "manifest_unreadable"
MANIFEST_UNCHECKED = "manifest_unchecked"
SIGNATURE_MISSING, SIGNATURE_EMPTY = "signature_missing", "signature_empty"
OVERWRITTEN, WRONG_CLASS = "overwritten", "wrong_class"
INTERRUPTED, ORPHANED, UNKNOWN, UPLOAD_PENDING = "interrupted", "orphaned", "unknown", "upload_pending"
# Damage to complete sets, and a prefix that is not as tidy as it could be.
DAMAGE = (
    VOLUME_MISSING, VOLUME_EMPTY, MANIFEST_MISSING, MANIFEST_UNREADABLE, SIGNATURE_MISSING, SIGNATURE_EMPTY,
    OVERWRITTEN,
)  # fmt: skip
KINDS = (
    VOLUME_MISSING, VOLUME_EMPTY, MANIFEST_MISSING, MANIFEST_UNREADABLE, MANIFEST_UNCHECKED, SIGNATURE_MISSING,
    SIGNATURE_EMPTY, OVERWRITTEN, WRONG_CLASS, INTERRUPTED, ORPHANED, UNKNOWN, UPLOAD_PENDING,
)  # fmt: skip
# duplicity writes the manifest last. All times are S3's own; the margin is for services of several servers.
_MARGIN = timedelta(minutes=5)
# The signature goes before the manifest: a large one may take hours, and counts from the begin of its upload.
_MANIFEST_MARGIN = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``name`` has no key prefix; ``present`` when there is an object of that name."""

    kind: str
    name: str
    time: datetime | None
    detail: str
    present: bool = True

    def to_result(self, key_prefix: str) -> dict[str, str | None]:
        """As part of a task's result."""
        return {
            "kind": self.kind,
            "name": self.name,
            "key": key_prefix + self.name if self.present else None,
            "time": to_w3(self.time) if self.time else None,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Reading:
    """What became of reading a manifest: ``volumes`` as far as it names them, and ``fault`` when it is not whole.

    ``unchecked`` when nobody could look, which says nothing about the manifest.
    """

    volumes: tuple[Volume, ...] = ()
    fault: str | None = None
    unchecked: bool = False


def read(content: bytes, one: BackupSet) -> Reading:
    """What a manifest in plain text says, and whether it is whole."""
    if not content:
        return Reading(fault="It is empty.")
    try:
        volumes = tuple(parse_manifest(content))
    except (KeyError, IndexError, ValueError):
        return Reading(fault="It is cut off, or not a manifest.")
    return Reading(volumes, _fault(content, volumes, one))


def _fault(content: bytes, volumes: tuple[Volume, ...], one: BackupSet) -> str | None:
    numbers = [volume.number for volume in volumes]
    announced, found = listed_files(content)
    stored = max(one.volumes, default=0)
    if not numbers:
        return "It names no volume."
    if numbers != list(range(1, len(numbers) + 1)):
        return f"It names {len(numbers)} volumes, the last as number {numbers[-1]}."
    if numbers[-1] < stored:
        return f"It names {numbers[-1]} volumes, and the bucket holds a volume {stored}."
    if not content.endswith(b"\n") or (announced is not None and announced != found):
        return "It is cut off."
    return None


def examine(
    listing: Mapping[str, S3Object],
    found: Collection,
    readings: Iterable[tuple[BackupSet, Reading]],
    uploads: Iterable[Upload],
    *,
    key_prefix: str,
    storage_class: str,
) -> list[Finding]:
    """All findings: of complete sets by time, then of what else lies below the prefix."""
    findings = [one for pair in readings for one in _of_set(*pair, listing, storage_class)]
    findings.sort(key=lambda one: str(one.time))  # stable, so that those of a set stay as they are
    bases = {one.start for one in [*found.orphaned, *found.interrupted] if one.start}
    findings += [_unfinished(one, listing, one.end in bases) for one in found.interrupted]
    for one in found.orphaned:
        findings.append(Finding(ORPHANED, _stem(one), one.end, "The set that it builds on is not there.", False))
    findings += [Finding(UNKNOWN, name, None, f"{listing[name].size_bytes} bytes.") for name in found.unknown]
    for upload in uploads:
        name = upload.key[len(key_prefix) :]
        if "/" not in name:  # else another job's
            text = f"Begun at {to_w3(upload.started)}, upload ID {upload.upload_id}."
            findings.append(Finding(UPLOAD_PENDING, name, None, text))
    return findings


def overwritten(found: Collection, current: Mapping[str, S3Object], older: Mapping[str, S3Object]) -> list[Finding]:
    """What was written after its set was complete, of which the bucket has the version that the set had stored."""
    findings = []
    for one in (one for chain in found.chains for one in chain.sets):
        for name in (*(name for _number, name in sorted(one.volumes.items())), one.signature, one.manifest):
            if name is not None and name in older:
                text = (
                    f"Written at {to_w3(current[name].last_modified)}, after its set was complete. The version of "
                    f"{to_w3(older[name].last_modified)} is there (ID {older[name].version_id}), and restores use it."
                )
                findings.append(Finding(OVERWRITTEN, name, one.end, text))
    return findings


def _of_set(one: BackupSet, reading: Reading, listing: Mapping[str, S3Object], storage_class: str) -> Iterator[Finding]:
    if reading.fault:
        kind = MANIFEST_UNCHECKED if reading.unchecked else MANIFEST_UNREADABLE
        yield Finding(kind, str(one.manifest), one.end, reading.fault)
    named = {volume.number for volume in reading.volumes}
    expected = named | set(range(1, max(one.volumes, default=0)))
    for number in sorted(expected - set(one.volumes)):
        why = "The manifest names it." if number in named else "Volumes with higher numbers are there."
        yield Finding(VOLUME_MISSING, f"{_stem(one)}.vol{number}", one.end, why, False)
    if one.signature is None:
        yield Finding(SIGNATURE_MISSING, f"{_stem(one)} signatures", one.end, "It is not in the bucket.", False)
    elif not listing[one.signature].size_bytes:
        yield Finding(SIGNATURE_EMPTY, one.signature, one.end, "It has no byte.")
    for _number, name in sorted(one.volumes.items()):
        if not listing[name].size_bytes:
            yield Finding(VOLUME_EMPTY, name, one.end, "It has no byte.")
    yield from _overwritten(one, listing)
    yield from _wrong_class(one, listing, storage_class)


def _overwritten(one: BackupSet, listing: Mapping[str, S3Object]) -> Iterator[Finding]:
    names = [*(name for _number, name in sorted(one.volumes.items())), *([one.signature] if one.signature else [])]
    written = listing[str(one.manifest)].last_modified
    for name in names:
        modified = listing[name].last_modified
        if modified > written + _MARGIN:
            text = f"Written at {to_w3(modified)}, and its set was complete at {to_w3(written)}."
            yield Finding(OVERWRITTEN, name, one.end, text)
    newest = max((listing[name].last_modified for name in names), default=written)
    if written > newest + _MANIFEST_MARGIN:
        text = f"Written at {to_w3(written)}, and the rest of its set was complete at {to_w3(newest)}."
        yield Finding(OVERWRITTEN, str(one.manifest), one.end, text)


def _wrong_class(one: BackupSet, listing: Mapping[str, S3Object], storage_class: str) -> Iterator[Finding]:
    wanted = {name: storage_class for _number, name in sorted(one.volumes.items())}
    wanted.update({name: "STANDARD" for name in (one.signature, one.manifest) if name})
    for name, right in wanted.items():
        if listing[name].storage_class != right:
            yield Finding(WRONG_CLASS, name, one.end, f"It is in {listing[name].storage_class}, not in {right}.")


def _unfinished(one: BackupSet, listing: Mapping[str, S3Object], is_base: bool) -> Finding:
    """A set without a manifest. duplicity never builds on one, so where a set does, the manifest was there once."""
    if is_base:
        return Finding(MANIFEST_MISSING, one.manifest_stem, one.end, "Other sets build on this one.", False)
    names = [*one.volumes.values(), *([one.signature] if one.signature else [])]
    size = sum(listing[name].size_bytes for name in names)
    text = f"{len(one.volumes)} volumes, {size} bytes, no manifest."
    if one.signature:  # the manifest is the only object after it
        text += " The signature is there: the manifest was taken away, or its upload was cut off."
    return Finding(INTERRUPTED, _stem(one), one.end, text, False)


def _stem(one: BackupSet) -> str:
    return one.manifest_stem[: -len(".manifest")]


# gpg has no key for a file, or could not use the one that it has: for want of its passphrase, most often.
_REFUSALS = ("[GNUPG:] NO_SECKEY", "[GNUPG:] ERROR pkdecrypt_failed")
_GPG_FILE = re.compile(r"\[GNUPG:\] FILE_START \d+ (?:\S*/)?(?P<name>[^/\s]+)\Z")
OPENED, REFUSED, BROKEN = "opened", "refused", "broken"


def decrypted(status: str) -> dict[str, str]:
    """What gpg says (``--status-file``) of each file: opened and whole, refused to this key, or broken."""
    files, name = {}, ""
    for line in status.splitlines():
        match = _GPG_FILE.match(line)
        if match:
            name = match["name"]
            files[name] = BROKEN
        elif line.startswith("[GNUPG:] DECRYPTION_OKAY"):
            files[name] = OPENED
        elif line.startswith(_REFUSALS) or "BAD_PASSPHRASE" in line:
            files[name] = REFUSED
    return files
