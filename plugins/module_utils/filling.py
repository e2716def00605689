# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Into a mount point, which no rename can replace: entry by entry, in steps that a kill may fall between.

I/O. The record of a filling says what goes out and what comes in, and is on disk before anything moves, so that the
next task can go on. What is not in the record came from elsewhere and is never moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import mounts

Record = dict[str, Any]


def plan(data: Path, dest: Path) -> Record:
    """What is to be moved. Old and new tree lie in the same hidden directory of the mount point."""
    found = data.lstat()
    kept = mounts.LOST if mounts.is_empty(data / mounts.LOST) and os.path.lexists(dest / mounts.LOST) else None
    return {
        "data": str(data),
        "dest": str(dest),
        "aside": str(data.with_name("old")),
        "out": mounts.contents(dest),
        "in": [one.name for one in data.iterdir() if one.name != kept],
        "root": [found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_mtime_ns],
        "step": "out",
    }


def go_on(record: Record, save: Callable[[Record], None]) -> None:
    """From wherever it is to the end. Raises OSError, FileExistsError where something else has come meanwhile."""
    data, dest, aside = _places(record)
    if record["step"] == "out":
        _refuse_foreign(record, dest)
        aside.mkdir(mode=0o700, exist_ok=True)
        _move(record["out"], dest, aside)
        record["step"] = "in"
        save(record)
    _refuse_foreign(record, dest)
    _move(record["in"], data, dest)


def go_back(record: Record) -> None:
    """The old tree as it was. Raises OSError."""
    data, dest, aside = _places(record)
    if record["step"] == "in":
        _move(record["in"], dest, data)
    if aside.exists():
        _move(record["out"], aside, dest)


def dress(record: Record) -> None:
    """The mount point gets the mode, owner and mtime of what was restored. Once nothing is moved in it any more."""
    mode, owner, group, mtime = record["root"]
    dest = Path(record["dest"])
    os.chown(dest, owner, group)
    dest.chmod(mode)  # after chown, which takes setuid and setgid away
    os.utime(dest, ns=(dest.stat().st_atime_ns, mtime))


def _places(record: Record) -> tuple[Path, Path, Path]:
    return Path(record["data"]), Path(record["dest"]), Path(record["aside"])


def _refuse_foreign(record: Record, dest: Path) -> None:
    foreign = set(mounts.contents(dest)) - set(record[record["step"]])
    if foreign:
        raise FileExistsError(f"{dest / min(foreign)} has come meanwhile")


def _move(names: list[str], source: Path, target: Path) -> None:
    for name in names:
        if not os.path.lexists(source / name):
            continue  # moved before
        if os.path.lexists(target / name) and not (name == mounts.LOST and mounts.is_empty(target / name)):
            raise FileExistsError(f"{target / name} has come meanwhile")
        (source / name).rename(target / name)
