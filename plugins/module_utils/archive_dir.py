# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies in duplicity's archive directory of a job: manifests, signatures, what interrupted backups left, its lock.

I/O, on this host alone: what is taken away here stays in the bucket.
"""

from __future__ import annotations

import fcntl
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, LockHeld
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import without_files


def exists(job: Job) -> bool:
    """Whether this host has the job's archive directory. Who may not look must not take it for absent."""
    try:
        return stat.S_ISDIR(Path(job.archive).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"The directory {job.archive} cannot be looked at: {error.strerror}.") from error


def refuse_foreign(job: Job) -> None:
    """Raise LockHeld when a duplicity that is not ours works in the archive directory.

    To be known before ours starts: one that does not get the lock deletes the lock file, and the next one gets in.
    """
    path = Path(job.archive, "lockfile")
    with suppress(FileNotFoundError), path.open("r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockHeld(f"Another duplicity holds the lock {path}.", lock=str(path)) from None


def manifest(job: Job, name: str) -> bytes | None:
    """A plain manifest of the archive directory, by its file name without the job's prefix; None without one."""
    try:
        return _place(job, name).read_bytes()
    except FileNotFoundError:
        return None


def manifest_lines(job: Job, name: str) -> Iterator[bytes]:
    """The same line by line: it may name a million files."""
    with _place(job, name).open("rb") as lines:
        yield from lines


def manifests(job: Job) -> dict[str, bytes]:
    """The plain manifests of the archive directory, by file name without the job's prefix; without their file lists."""
    return {name: _volumes_part(path) for name, path in _found(job, ".manifest")}


def partial_manifests(job: Job) -> dict[str, bytes]:
    """The manifests of interrupted backups in the archive directory, by file name without the job's prefix."""
    return {name: _volumes_part(path) for name, path in _found(job, ".manifest.part")}


def signature(job: Job, stem: str) -> str | None:
    """The name of a plain signature file in the archive directory, by its name in the bucket without an ending."""
    names = (job.file_prefixes.signature + stem + ending for ending in (".gz", ""))
    return next((name for name in names if Path(job.archive, name).is_file()), None)


def forget_manifest(job: Job, name: str) -> None:
    """Take a local copy of a manifest away; the one in the bucket stays."""
    _place(job, name).unlink(missing_ok=True)


def forget_partial(job: Job) -> None:
    """Take away what a resumption needs: duplicity then deletes the set's volumes and starts over."""
    for path in Path(job.archive).glob("*duplicity-*.part"):
        path.unlink()


def _place(job: Job, name: str) -> Path:
    return Path(job.archive, job.file_prefixes.manifest + name)


def _found(job: Job, ending: str) -> Iterator[tuple[str, Path]]:
    prefix = job.file_prefixes.manifest
    for path in Path(job.archive).glob(f"{prefix}duplicity-*{ending}"):
        yield path.name[len(prefix) :], path


def _volumes_part(path: Path) -> bytes:
    """A manifest without its lists of changed files.

    Of one that was cut off anywhere the last line break is missing, so that it is known for what it is.
    """
    with path.open("rb") as handle:
        head = b"".join(without_files(handle))
        handle.seek(max(0, path.stat().st_size - 1))
        whole = handle.read() == b"\n"
    return head if whole else head.rstrip(b"\n")
