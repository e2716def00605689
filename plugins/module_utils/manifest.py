# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""duplicity's file names and manifests: sets, chains, volumes, and which volumes a path needs.

Pure. Formats and rules are those of duplicity 3.2 (file_naming.py, manifest.py); the volume rule equals duplicity's own
``restore --dry-run``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BeforeFirstBackup, NoBackup
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_stamp, to_stamp, to_w3

_T = r"(?P<{}>\d{{8}}T\d{{6}}Z)"
_FULL = r"duplicity-full\." + _T.format("end")
_INC = r"duplicity-inc\." + _T.format("start") + r"\.to\." + _T.format("end")
_TAIL = r"(?P<tail>\.[a-z.]*)?\Z"
_PATTERNS = (
    ("volume", re.compile(_FULL + r"\.vol(?P<volume>\d+)\.difftar" + _TAIL)),
    ("volume", re.compile(_INC + r"\.vol(?P<volume>\d+)\.difftar" + _TAIL)),
    ("manifest", re.compile(_FULL + r"\.manifest" + _TAIL)),
    ("manifest", re.compile(_INC + r"\.manifest" + _TAIL)),
    ("signature", re.compile(r"duplicity-full-signatures\." + _T.format("end") + r"\.sigtar" + _TAIL)),
    (
        "signature",
        re.compile(
            r"duplicity-new-signatures\." + _T.format("start") + r"\.to\." + _T.format("end") + r"\.sigtar" + _TAIL
        ),
    ),
)


@dataclass(frozen=True)
class FileName:
    """What a duplicity file name says. ``kind`` is volume, manifest or signature; ``start`` is None for a full."""

    kind: str
    start: datetime | None
    end: datetime
    volume: int = 0
    partial: bool = False

    @property
    def set_id(self) -> tuple[datetime | None, datetime]:
        return (self.start, self.end)


@dataclass(frozen=True)
class FilePrefixes:
    """What a job's file names begin with (duplicity's ``--file-prefix-archive``, ``-manifest``, ``-signature``)."""

    volume: str = ""
    manifest: str = ""
    signature: str = ""

    def of(self, kind: str) -> str:
        return {"volume": self.volume, "manifest": self.manifest, "signature": self.signature}[kind]


NO_PREFIXES = FilePrefixes()


def parse_name(name: str, prefixes: FilePrefixes = NO_PREFIXES) -> FileName | None:
    """The parts of a duplicity file name without its key prefix, or None for any other object."""
    for kind, pattern in _PATTERNS:
        prefix = prefixes.of(kind)
        match = pattern.match(name[len(prefix) :]) if name.startswith(prefix) else None
        if match:
            try:
                return _file_name(kind, match.groupdict())
            except ValueError:  # a time that no clock shows
                return None
    return None


def _file_name(kind: str, parts: dict[str, str | None]) -> FileName:
    start, end = parts.get("start"), parts["end"] or ""
    return FileName(
        kind=kind,
        start=from_stamp(start) if start else None,
        end=from_stamp(end),
        volume=int(parts.get("volume") or 0),
        partial=".part" in (parts["tail"] or ""),
    )


@dataclass(frozen=True)
class Volume:
    """One volume of a manifest: the range of paths that it holds (tuples of bytes) and the SHA1 of the object."""

    number: int
    start: tuple[bytes, ...]
    end: tuple[bytes, ...]
    sha1: str | None

    def needed_for(self, path: tuple[bytes, ...]) -> bool:
        """duplicity's rule: the volume may hold the path or something below it."""
        return self.start[: len(path)] <= path <= self.end


def unquote(field_bytes: bytes) -> bytes:
    """The original of a field that duplicity quoted: white space, quotes and backslashes become ``\\xHH``."""
    if not field_bytes.startswith(b'"'):
        return field_bytes
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), field_bytes[1:-1])


def path_index(path: str | bytes) -> tuple[bytes, ...]:
    """A path relative to the source as duplicity compares it; outer slashes do not count, ``""`` is the whole tree."""
    raw = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    stripped = raw.strip(b"/")
    return tuple(stripped.split(b"/")) if stripped else ()


def _index(quoted: bytes) -> tuple[bytes, ...]:
    raw = unquote(quoted)
    return () if raw == b"." else tuple(raw.split(b"/"))


def parse_manifest(content: bytes) -> list[Volume]:
    """The volumes of a manifest, by number.

    A resumed run writes volumes anew (1, 2, 3, 2): what stands above the last listed number is void.
    """
    volumes: dict[int, Volume] = {}
    latest = 0
    for block in re.split(rb"(?m)^(?=Volume \d+:)", b"".join(without_files(_lines(content))))[1:]:
        volume = _parse_volume(block)
        volumes[volume.number] = volume
        latest = volume.number
    return [volumes[number] for number in sorted(volumes) if number <= latest]


def _lines(content: bytes) -> Iterator[bytes]:
    """One at a time; only \\n ends one."""
    return (match[0] for match in re.finditer(rb"[^\n]*\n|[^\n]+", content))


def without_files(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a manifest without its lists of changed files, which may be a million names each.

    Volumes may stand behind such a list: a run that was killed at its very end had written it, and its resumption goes
    on from there.
    """
    files = False
    for line in lines:
        if line.startswith((b"Filelist ", b"Volume ")):
            files = line.startswith(b"Filelist ")
        if not files:
            yield line


def usable_volumes(content: bytes | None, backup_set: BackupSet, *, fetched: bool = False) -> list[Volume] | None:
    """The volumes of a set's manifest, or None when the manifest is absent or was cut off.

    A local copy may be short after a full disk or a power failure; duplicity would believe it and restore a part. One
    that was ``fetched`` just now is whole: what the bucket has above its last volume an interrupted run left behind.
    """
    try:
        volumes = parse_manifest(content or b"")
    except (KeyError, IndexError, ValueError):
        return None
    numbers = [volume.number for volume in volumes]
    in_order = bool(numbers) and numbers == list(range(1, len(numbers) + 1))
    whole = in_order and (content or b"").endswith(b"\n")  # else the last path may be cut off
    return volumes if whole and (fetched or numbers[-1] >= max(backup_set.volumes, default=0)) else None


def _parse_volume(block: bytes) -> Volume:
    lines = block.split(b"\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines[1:]:
        words = line.split()
        if words:
            fields.setdefault(words[0], words[1:])
    hash_words = fields.get(b"Hash", [])
    sha1 = hash_words[1].decode() if len(hash_words) == 2 and hash_words[0] == b"SHA1" else None
    return Volume(
        number=int(lines[0][len(b"Volume ") :].split(b":")[0]),
        start=_index(fields[b"StartingPath"][0]),
        end=_index(fields[b"EndingPath"][0]),
        sha1=sha1,
    )


@dataclass
class BackupSet:
    """A full or an incremental as it lies in the bucket. Sizes in bytes."""

    start: datetime | None
    end: datetime
    volumes: dict[int, str] = field(default_factory=dict)  # number -> file name
    manifest: str | None = None
    signature: str | None = None

    @property
    def kind(self) -> str:
        return "full" if self.start is None else "incremental"

    @property
    def complete(self) -> bool:
        """A set counts only when its manifest is in the bucket: duplicity writes it last."""
        return self.manifest is not None

    @property
    def manifest_stem(self) -> str:
        """The name of the plain manifest in the archive directory, without a file prefix."""
        if self.start is None:
            return f"duplicity-full.{to_stamp(self.end)}.manifest"
        return f"duplicity-inc.{to_stamp(self.start)}.to.{to_stamp(self.end)}.manifest"

    @property
    def signature_stem(self) -> str:
        """The same of its signature file, which in the archive directory may have an ending."""
        if self.start is None:
            return f"duplicity-full-signatures.{to_stamp(self.end)}.sigtar"
        return f"duplicity-new-signatures.{to_stamp(self.start)}.to.{to_stamp(self.end)}.sigtar"


@dataclass
class Chain:
    """A full and the incrementals that build on it, in order of time. Complete sets only."""

    sets: list[BackupSet]

    @property
    def start(self) -> datetime:
        return self.sets[0].end

    @property
    def end(self) -> datetime:
        return self.sets[-1].end

    def up_to(self, time: datetime) -> list[BackupSet]:
        return [backup_set for backup_set in self.sets if backup_set.end <= time]


@dataclass
class Collection:
    """What a listing of names says: chains of complete sets, interrupted sets, sets without their base, the rest."""

    chains: list[Chain]
    interrupted: list[BackupSet]
    orphaned: list[BackupSet]
    unknown: list[str]


def collect(names: Iterable[str], prefixes: FilePrefixes = NO_PREFIXES) -> Collection:
    """Sort the file names of a key prefix (without that prefix) into chains, oldest first."""
    sets: dict[tuple[datetime | None, datetime], BackupSet] = {}
    unknown: list[str] = []
    for name in names:
        parsed = parse_name(name, prefixes)
        if parsed is None:
            unknown.append(name)
            continue
        backup_set = sets.setdefault(parsed.set_id, BackupSet(*parsed.set_id))
        if parsed.kind == "volume":
            backup_set.volumes[parsed.volume] = name
        elif parsed.kind == "signature":
            backup_set.signature = name
        elif not parsed.partial:
            backup_set.manifest = name
    ordered = sorted(sets.values(), key=lambda one: one.end)
    chains, orphaned = _chain([one for one in ordered if one.complete])
    return Collection(chains, [one for one in ordered if not one.complete], orphaned, sorted(unknown))


def _chain(sets: list[BackupSet]) -> tuple[list[Chain], list[BackupSet]]:
    chains: list[Chain] = []
    by_end: dict[datetime, Chain] = {}
    orphaned: list[BackupSet] = []
    for backup_set in sets:
        if backup_set.start is None:
            chain = Chain([backup_set])
            chains.append(chain)
        else:
            found = by_end.pop(backup_set.start, None)
            if found is None:
                orphaned.append(backup_set)
                continue
            chain = found
            chain.sets.append(backup_set)
        by_end[backup_set.end] = chain
    return chains, orphaned


def sets_at(collection: Collection, time: datetime) -> list[BackupSet]:
    """The sets that a restore as of ``time`` reads: the newest full not after it, and its incrementals up to it."""
    if not collection.chains:
        raise NoBackup("No complete backup was found.")
    usable = [chain for chain in collection.chains if chain.start <= time]
    if not usable:
        first = to_w3(collection.chains[0].start)
        raise BeforeFirstBackup(f"{to_w3(time)} is before the first backup, which is of {first}.", first_backup=first)
    return max(usable, key=lambda chain: chain.start).up_to(time)


def gaps(sets: Iterable[BackupSet]) -> list[str]:
    """Volumes that the names of ``sets`` lack: numbers begin at 1 and have no hole.

    That the last volumes of a set are gone is known from its manifest only.
    """
    return [
        f"{one.manifest_stem[: -len('.manifest')]}.vol{number}"
        for one in sets
        for number in range(1, max(one.volumes, default=1) + 1)
        if number not in one.volumes
    ]


@dataclass(frozen=True)
class NeededVolume:
    """A volume that a restore reads. ``name`` is None when the bucket does not have it."""

    set_end: datetime
    number: int
    name: str | None
    sha1: str | None
    described_as: str


def needed_volumes(
    sets: list[BackupSet], manifests: dict[str, list[Volume]], path: tuple[bytes, ...]
) -> list[NeededVolume]:
    """The volumes of ``sets`` that hold ``path``. ``manifests`` maps manifest_stem to the volumes listed there."""
    needed = []
    for backup_set in sets:
        stem = backup_set.manifest_stem
        for volume in manifests[stem]:
            if volume.needed_for(path):
                described = f"{stem[: -len('.manifest')]}.vol{volume.number}"
                name = backup_set.volumes.get(volume.number)
                needed.append(NeededVolume(backup_set.end, volume.number, name, volume.sha1, described))
    return needed


@dataclass(frozen=True)
class Change:
    """A regular file that a set stored or noted: path relative to the source, and new, changed or deleted."""

    path: bytes
    kind: str


_FILELIST = re.compile(rb"Filelist (\d+)\s*\Z")
_CHANGE = re.compile(rb" {4}(new|changed|deleted) +(\S+)\n")


def changes(lines: Iterable[bytes]) -> Iterator[Change | int]:
    """The list of files in a manifest: first their number, then each. Without such a list, nothing.

    One at a time, so that a million files need no memory. duplicity lists regular files only.
    """
    inside = False
    for line in lines:
        head = None if inside else _FILELIST.match(line)
        if head:
            inside = True
            yield int(head[1])
        elif inside:
            match = _CHANGE.match(line)
            if not match:
                return
            yield Change(unquote(match[2]), match[1].decode())


def listed_files(content: bytes) -> tuple[int | None, int]:
    """How many files a manifest says that it lists (None without a list), and how many there are."""
    announced, found = None, 0
    for one in changes(_lines(content)):
        if isinstance(one, Change):
            found += 1
        else:
            announced = one
    return announced, found
