# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a restore may go: what is there, what must never be replaced, and whether there is room.

I/O, read only.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import estimate, mounts
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    DestinationNotEmpty,
    DestinationSpace,
    PermafrostError,
    TemporarySpace,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

# Directories of the system (Filesystem Hierarchy Standard 3.0, chapter 3): replaced by their own backup only.
_SYSTEM = frozenset({
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin",
    "srv", "sys", "tmp", "usr", "var",
})  # fmt: skip
_SYSTEM_PARENTS = (Path("/"), Path("/usr"))
# duplicity's own sum (dup_main.py, check_resources).
_TEMPORARY_VOLUMES = 2.3


def checked(dest: str) -> Path:
    """The dest option as a path whose parents are no links. Raises BadInput for what never can be."""
    if not dest.startswith("/") or ".." in dest.split("/"):
        raise BadInput(f"dest '{dest}' is not an absolute path without '..'.")
    given = Path(os.path.normpath(dest))
    place = Path(os.path.realpath(given.parent), given.name)
    if not place.parent.is_dir():
        raise BadInput(f"The parent directory of dest {dest} does not exist.")
    if mounts.is_point(place) and not place.is_dir():
        raise BadInput(f"dest {dest} is a mount point and no directory, so nothing can take its place.")
    return place


def not_empty(place: Path) -> DestinationNotEmpty:
    """The refusal of a destination of which nothing is known."""
    return DestinationNotEmpty(f"The destination {place} exists and is not an empty directory.", dest=str(place))


def refuse_to_replace(job: Job, place: Path, path: str) -> None:
    """Raise BadInput for what force must not take away, whatever the backup holds."""
    origin = _origin(job, path)
    why = _own(job, place) or _mounted(place) or _around(origin, place)
    if not why and place.name in _SYSTEM and place.parent in _SYSTEM_PARENTS and place != origin:
        why = "is a directory of the system, and not where the path comes from"
    if why:
        raise BadInput(f"dest {place} cannot be replaced: it {why}.")


def _origin(job: Job, path: str) -> Path | None:
    """Where on this host the path was backed up."""
    return Path(os.path.realpath(job.source), path) if job.source else None


def _own(job: Job, place: Path) -> str:
    for name in ("state_dir", "archive_dir", "temp_dir"):
        own = Path(os.path.realpath(getattr(job, name)))
        if own == place or place in own.parents or own in place.parents:
            return f"holds, or lies in, the job's {name} {own}"
    return ""


def _mounted(place: Path) -> str:
    found = [point for point in mounts.below(place) if point != place]
    return f"holds the mount point {found[0]}" if found else ""


def _around(origin: Path | None, place: Path) -> str:
    if origin is None or place not in origin.parents:
        return ""
    return f"holds more than the path that is restored, which comes from {origin}"


def refuse_other_kind(place: Path, there: str | None, comes: str | None) -> None:
    """A directory is replaced by a directory, a link by a link, a file by a file: all else is a slip.

    ``there`` and ``comes`` are duplicity's words for types.
    """
    words = {"dir": "a directory", "sym": "a symbolic link"}
    is_there, is_coming = words.get(there or "", "a file"), words.get(comes or "", "a file")
    if is_there != is_coming:
        raise BadInput(
            f"dest {place} is {is_there}, and what would replace it is {is_coming}. force replaces like by like: give "
            "the name of what is to be replaced, or remove what is there."
        )


# --- room -----------------------------------------------------------------------------------------------------------


def check_room(job: Job, place: Path, plan: Plan, path: str) -> list[str]:
    """Raise DestinationSpace or TemporarySpace where a restore cannot fit; words of warning where it may not."""
    check_temporary(job)
    there, least = free(base(place)), estimate.least_room(plan, path)
    if there < least:
        raise DestinationSpace(
            f"The file system of {place} has {_mb(there)} free, and what is restored takes {_mb(least)} or more.",
            free_bytes=there,
            needed_bytes=least,
        )
    read = estimate.size_bytes(plan)
    if not path and there < read:
        return [
            f"The file system of {place} has {_mb(there)} free, and the volumes that are read hold {_mb(read)}: "
            "unless later sets deleted much of it, it does not fit."
        ]
    return []


def inodes_suffice(place: Path, most: int) -> bool:
    """Whether so many files can be made in any case. Some file systems have no limit, and say 0."""
    found = os.statvfs(base(place))
    return not found.f_files or found.f_favail >= most


def check_inodes(place: Path, files: int) -> None:
    """Raise DestinationSpace where so many files cannot be made."""
    found = os.statvfs(base(place))
    if not inodes_suffice(place, files):
        raise DestinationSpace(
            f"The file system of {place} has {found.f_favail} free inodes, and what is restored has {files} files and "
            "directories.",
            free_inodes=found.f_favail,
            needed_inodes=files,
        )


def where_full(job: Job, place: Path, error: PermafrostError) -> PermafrostError:
    """What a failed run says of a full disk, with the one that is full: duplicity does not name it."""
    if isinstance(error, TemporarySpace) and free(base(place)) <= free(Path(job.temp_dir)):
        return DestinationSpace(f"The file system of {place} is full: {error.what}", **error.facts)
    return error


def base(place: Path) -> Path:
    """A directory on the file system on which a restore to this place is built."""
    return place if mounts.is_point(place) else place.parent


def free(place: Path) -> int:
    """Free bytes where a directory is, or is to be made."""
    return shutil.disk_usage(_there(place)).free


def same_disk(one: Path, other: Path) -> bool:
    """Whether two directories are, or will be, on one file system."""
    return _there(one).stat().st_dev == _there(other).stat().st_dev


def _there(place: Path) -> Path:
    return next(one for one in (place, *place.parents) if one.exists())


def temporary_bytes(job: Job) -> int:
    """The temporary space that duplicity wants."""
    return int((job.concurrency + _TEMPORARY_VOLUMES) * job.volume_size * estimate.MB)


def check_temporary(job: Job) -> None:
    """Raise TemporarySpace where a backup of the job, a restore or a verify would have too little."""
    there, needed = free(Path(job.temp_dir)), temporary_bytes(job)
    if there < needed:
        raise TemporarySpace(
            f"The temporary directory {job.temp_dir} has {_mb(there)} free, and {_mb(needed)} are needed.",
            free_bytes=there,
            needed_bytes=needed,
        )


def _mb(size: int) -> str:
    return f"{size / estimate.MB:.1f} MB"
