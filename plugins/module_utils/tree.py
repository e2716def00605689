# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tree on this host: its digest and counts, and its files in the order of duplicity's lists.

I/O, read only. No content is read: size and mtime stand for it, as they do for a backup.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import mounts
from ansible_collections.permafrost.backup.plugins.module_utils.comparison import Entry

_TYPES = {
    stat.S_IFREG: "reg",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "sym",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "sock",
    stat.S_IFCHR: "chr",
    stat.S_IFBLK: "blk",
}


@dataclass(frozen=True)
class Counts:
    """What a tree holds. ``size_bytes`` is that of its files."""

    files: int = 0
    directories: int = 0
    others: int = 0
    size_bytes: int = 0

    def to_result(self) -> dict[str, Any]:
        return asdict(self)


def summary(top: str, *, mounted: bool = False) -> tuple[str, Counts]:
    """A digest over names, types, sizes, mtimes, modes, owners and the targets of links; and the counts.

    Equal for a copy that keeps all of these: neither ctime nor inode count, and no mtime of a link. The sum over the
    entries does not depend on the order of the walk, so that it needs no memory. With ``mounted`` it is what a mount
    point holds, or will hold: without what is no content there, and without the mtime of the root, which a restore's
    own directory in it changes.
    """
    total = files = directories = others = size = 0
    for path, found in _walk(top, mounted):
        timeless = stat.S_ISLNK(found.st_mode) or (mounted and path == top)
        mtime = None if timeless else found.st_mtime_ns
        total += int.from_bytes(hashlib.sha256(_facts(path, len(top), found, mtime)).digest(), "big")
        if stat.S_ISREG(found.st_mode):
            files, size = files + 1, size + found.st_size
        elif stat.S_ISDIR(found.st_mode):
            directories += 1
        else:
            others += 1
    return f"{total % (1 << 256):064x}", Counts(files, directories, others, size)


def _walk(top: str, mounted: bool) -> Iterator[tuple[str, os.stat_result]]:
    """Every path from ``top`` on with its lstat."""
    found = os.lstat(top)
    yield top, found
    pending = [top] if stat.S_ISDIR(found.st_mode) else []
    while pending:
        place = pending.pop()
        with os.scandir(place) as children:
            for child in children:
                if mounted and place == top and not _is_content(top, child.name):
                    continue
                found = child.stat(follow_symlinks=False)
                yield child.path, found
                if stat.S_ISDIR(found.st_mode):
                    pending.append(child.path)


def _is_content(top: str, name: str) -> bool:
    return mounts.is_content(Path(top), name)


def _facts(path: str, cut: int, found: os.stat_result, mtime: int | None) -> bytes:
    """One entry as bytes, with its path from the root on. A path holds no NUL, so no two entries give the same."""
    special: object = ""
    if stat.S_ISREG(found.st_mode):
        special = found.st_size
    elif stat.S_ISLNK(found.st_mode):
        special = os.fsencode(Path(path).readlink())
    elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        special = found.st_rdev
    return os.fsencode(path[cut:]) + b"\0" + repr((found.st_mode, found.st_uid, found.st_gid, mtime, special)).encode()


def entries(top: str, *, mounted: bool = False) -> Iterator[Entry]:
    """Every file in the order of duplicity's lists: by the names of its path, one after the other."""
    pending: list[tuple[bytes, ...]] = [()]
    while pending:
        path = pending.pop()
        place = b"/".join((os.fsencode(top), *path))
        found = os.lstat(place)
        yield Entry(path, _TYPES[stat.S_IFMT(found.st_mode)], int(found.st_mtime))
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(place) as children:
                names = sorted((child.name for child in children), reverse=True)
            if mounted and not path:
                names = [name for name in names if _is_content(top, os.fsdecode(name))]
            pending.extend((*path, name) for name in names)
