# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the staging directory to the destination, in steps that a kill may fall between; and what was put there.

I/O. All of it happens under the job's lock. What is about to be done is on disk before it is done, so that the next
task finds either tree in place, or knows how to get there.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import disk, filling, mounts, records, tree
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    NotInPlace,
    ReplacementInterrupted,
    StateSpace,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

_STAGING, _PLACING, _RESTORED = "staging", "placing", "restored"
# So often what a restore has written is sent to the disk.
_WRITE_SECONDS = 1.0
# So many destinations are remembered.
_KEEP = 1000


def staging_of(job: Job, dest: Path) -> Path:
    """The hidden directory in which a restore is built: beside the destination, or in it when it is a mount point."""
    if mounts.is_point(dest):
        return dest / f".{job.name}{mounts.STAGING}"
    return dest.parent / f".{dest.name}.{job.name}{mounts.STAGING}"


# --- the staging directory ------------------------------------------------------------------------------------------


def stage(job: Job, place: Path) -> None:
    """Make an empty staging directory, and remember it in case that the task is killed. Call under the lock."""
    settle(job)
    records.forget(job, _PLACING)  # an old tree that cannot be removed: it was told, and is nobody's any more
    clear(job)
    _discard(place)
    records.write(job, _STAGING, {"path": str(place)})
    try:
        place.mkdir(mode=0o700)
    except OSError as error:
        raise BadInput(f"The directory {place} cannot be made: {error.strerror}.") from error


def clear(job: Job, only: Path | None = None) -> None:
    """Remove what a restore left in its staging directory. Call under the lock, with no restore running.

    A replacement that was begun comes first; where people must decide, all stays as it is.
    """
    with suppress(ReplacementInterrupted):
        settle(job)
        record = records.read(job, _STAGING)
        if record and only in (None, Path(record["path"])):
            _discard(Path(record["path"]))
            records.forget(job, _STAGING)


def _discard(staging: Path) -> None:
    if not mounts.below(staging):  # what is mounted is not ours to remove
        shutil.rmtree(staging, ignore_errors=True)


# --- putting in place -----------------------------------------------------------------------------------------------


def put(
    job: Job, data: Path, dest: Path, wish: dict[str, Any], told: Callable[[str], None] = lambda _digest: None
) -> tuple[tree.Counts, list[str]]:
    """Move the restored data to the destination, and remember that it holds them. Gives counts and warnings.

    What is there gives way: whether it may is the caller's to know. ``told`` gets the digest of the data before they
    move. Call under the lock.
    """
    try:
        filled = mounts.is_point(dest)
        digest, counts = tree.summary(str(data), mounted=filled)
        _sync(data)
    except OSError as error:
        raise NotInPlace(f"The restored data cannot be read back: {error}.") from error
    told(digest)
    _remember(job, dest, {**wish, "dest": str(dest), "digest": digest, "counts": counts.to_result()})
    if filled:
        return counts, _fill(job, data, dest)
    if not is_free(dest):
        return counts, _replace(job, data, dest)
    try:
        if dest.is_dir() and (data.is_symlink() or not data.is_dir()):
            dest.rmdir()  # an empty one; a directory would take its place by itself
        data.rename(dest)
    except OSError as error:
        raise NotInPlace(f"{data} cannot be moved to {dest}: {error.strerror}.") from error
    return counts, []


def is_free(dest: Path) -> bool:
    """Nothing is there, or an empty directory."""
    if not os.path.lexists(dest):
        return True
    return dest.is_dir() and not dest.is_symlink() and not mounts.contents(dest)


def _aside_of(job: Job, dest: Path) -> Path:
    """Where the old tree is, until it is removed."""
    names = (f".{dest.name}.{job.name}.permafrost-old{number or ''}" for number in itertools.count())
    return next(place for place in (dest.parent / name for name in names) if not os.path.lexists(place))


def _replace(job: Job, data: Path, dest: Path) -> list[str]:
    """The old tree aside, the new one in its place, the old one away."""
    aside = _aside_of(job, dest)
    record = {"data": str(data), "dest": str(dest), "aside": str(aside), "step": "rename"}
    records.write(job, _PLACING, record)
    try:
        dest.rename(aside)
        data.rename(dest)
    except OSError as error:
        back = os.path.lexists(aside) and not os.path.lexists(dest)
        with suppress(OSError):
            if back:
                aside.rename(dest)
        if os.path.lexists(aside):
            raise _torn(dest, aside, data, error) from error
        records.forget(job, _PLACING)
        raise NotInPlace(f"{dest} cannot be replaced: {error.strerror}.") from error
    return _finish(job, record)


def _fill(job: Job, data: Path, dest: Path) -> list[str]:
    """What is in the mount point aside, the new entries in its place, the old ones away."""
    if data.is_symlink() or not data.is_dir():
        raise NotInPlace(f"{dest} is a mount point, and what was restored is no directory: name a file below it.")
    record = filling.plan(data, dest)
    records.write(job, _PLACING, record)
    try:
        filling.go_on(record, lambda changed: records.write(job, _PLACING, changed))
    except (OSError, StateSpace) as error:
        try:
            filling.go_back(record)
        except OSError:
            raise _torn(dest, Path(record["aside"]), data, error) from error
        records.forget(job, _PLACING)
        raise NotInPlace(f"{dest} cannot be filled: {getattr(error, 'strerror', None) or error}.") from error
    return _finish(job, record)


def settle(job: Job) -> bool:
    """Bring to its end what a killed task had begun; true when that put the restored tree in place.

    Before the old tree was moved, nothing was begun. Raises ReplacementInterrupted when something else has come to the
    destination since. Call under the lock.
    """
    record = records.read(job, _PLACING)
    if record is None:
        return False
    data, dest, aside = Path(record["data"]), Path(record["dest"]), Path(record["aside"])
    moved = record["step"] in ("out", "in")
    if moved:
        try:
            if not data.is_dir():  # it goes last of all
                raise FileNotFoundError(f"{data} is not there: is its file system mounted?")
            filling.go_on(record, lambda changed: records.write(job, _PLACING, changed))
        except OSError as error:
            raise _torn(dest, aside, data, error) from error
    elif record["step"] == "rename" and os.path.lexists(aside) and not os.path.lexists(dest):
        moved = os.path.lexists(data)
        try:
            (data if moved else aside).rename(dest)
        except OSError as error:
            raise _torn(dest, aside, data, error) from error
    elif record["step"] == "rename" and os.path.lexists(aside) and os.path.lexists(data):
        raise _torn(dest, aside, data, f"{dest} has come meanwhile")
    _finish(job, record)
    return moved


def _torn(dest: Path, aside: Path, data: Path, why: object) -> ReplacementInterrupted:
    return ReplacementInterrupted(
        f"{dest} was to be replaced: what was there is now {aside}, what was restored is {data}, and neither can be "
        f"moved to the destination: {why}.",
        dest=str(dest),
        old=str(aside),
        restored=str(data),
    )


def _finish(job: Job, record: dict[str, Any]) -> list[str]:
    """Remove the old tree. What cannot be removed is tried again by the next task, and told."""
    aside = Path(record["aside"])
    if record["step"] == "in":
        record["step"] = "dress"
        records.write(job, _PLACING, record)
    why, warnings = _remove(aside), []
    if record["step"] == "dress":
        _discard(aside.parent)
        try:
            filling.dress(record)
        except OSError as error:
            warnings.append(f"{record['dest']} could not get mode, owner and mtime of what was restored: {error}.")
    if not os.path.lexists(aside):
        records.forget(job, _PLACING)
        return warnings
    records.write(job, _PLACING, {**record, "step": "dress" if "root" in record else "remove"})
    return [*warnings, f"The tree that was replaced could not be removed: {aside} ({why})."]


def _remove(aside: Path) -> str:
    below = mounts.below(aside)
    if below:
        return f"{below[0]} is a mount point"  # what is mounted is not ours to remove
    try:
        if aside.is_symlink() or not aside.is_dir():
            aside.unlink(missing_ok=True)
        else:
            shutil.rmtree(aside)
    except OSError as error:
        return str(error)
    return ""


def _sync(data: Path) -> None:
    """On disk, before the only other copy goes. One file system alone: another may hang."""
    descriptor = os.open(data.parent, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_meanwhile(place: Path) -> Iterator[None]:
    """Have what is written beside ``place`` go to the disk all the time, so that no long wait is left for the end.

    It is help and no promise: what cannot be written is the business of who writes it. At least half of the time
    nothing is asked of the disk, for others use it too. Nobody waits for the end of it, however far it is.
    """
    done = threading.Event()

    def write() -> None:
        pause = _WRITE_SECONDS
        while not done.wait(pause):
            started = time.monotonic()
            with suppress(OSError):
                _sync(place)
            pause = max(_WRITE_SECONDS, time.monotonic() - started)

    threading.Thread(target=write, daemon=True).start()
    try:
        yield
    finally:
        done.set()


# --- what was put where ---------------------------------------------------------------------------------------------


def remembered(job: Job, dest: Path) -> dict[str, Any] | None:
    """What was last restored to this destination, or None."""
    record = records.read(job, _record_of(dest))
    return record if record and record["dest"] == str(dest) else None


def unchanged(dest: Path, record: dict[str, Any]) -> bool:
    """Whether the destination still holds what the record says."""
    try:
        return tree.summary(str(dest), mounted=mounts.is_point(dest))[0] == record["digest"]
    except OSError:  # it changes while we look
        return False


def _remember(job: Job, dest: Path, record: dict[str, Any]) -> None:
    disk.make_private(str(Path(job.state_dir, _RESTORED)))
    records.write(job, _record_of(dest), record)
    for old in sorted(_records(job), key=lambda one: one.stat().st_mtime)[:-_KEEP]:
        old.unlink()


def _records(job: Job) -> Iterator[Path]:
    return Path(job.state_dir, _RESTORED).glob("*.json")


def _record_of(dest: Path) -> str:
    return f"{_RESTORED}/{hashlib.sha256(os.fsencode(dest)).hexdigest()[:32]}"
