# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job's directories on the host: lock, archive, run logs, temporary space, secrets on a tmpfs, records.

I/O. Everything lies below ``<state_dir>/<job>`` (0700, root) but for secrets, which never touch a disk, and the staging
directory of a restore, which must be on the file system of its destination (placing.py).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from ansible_collections.permafrost.backup.plugins.module_utils import log
from ansible_collections.permafrost.backup.plugins.module_utils.command import LOG_FILE, SECRET_HOMES
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    Busy,
    LockHeld,
    NoSecretPlace,
    PermafrostError,
    StateSpace,
    TemporarySpace,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_engine, to_stamp, to_w3

# The lock is held while a task looks, checks and starts, and during short runs (a plan, a listing).
_LOCK_SECONDS = 60.0
_LOCK_POLL_SECONDS = 0.05
_RESULT = "result.json"
# Log, manifest and signatures of a small run.
_LEAST_FREE = 1 << 20
# Who holds the lock of which job: a state directory and a thread, for the progress file is written by one of its own.
_held: set[tuple[str, int]] = set()
HISTORY = "history"
_HISTORY_RUNS = 400
# duplicity's statistics are the last that it logs.
_LOG_TAIL = 65536


@contextmanager
def locked(job: Job, verb: str, wait_seconds: float | None = _LOCK_SECONDS) -> Iterator[None]:
    """One task at a time looks at the job's containers and starts one; a killed task lets go by itself.

    A thread that holds the lock already just goes on. Raises Busy after ``wait_seconds``; None waits for ever.
    """
    holder = (job.state_dir, threading.get_ident())
    if holder in _held:
        yield
        return
    with _lock_file(job, "lock") as lock:
        _acquire(job, lock, wait_seconds)
        _held.add(holder)
        try:
            _tell_holder(lock, verb)
            yield
        finally:
            _held.discard(holder)


@contextmanager
def _lock_file(job: Job, name: str) -> Iterator[TextIO]:
    make_private(job.state_dir)
    place = Path(job.state_dir, name)
    with _room(place):
        place.touch()
    with place.open("a+", encoding="utf-8") as lock:
        yield lock


def _tell_holder(lock: TextIO, verb: str) -> None:
    """For those who wait. The lock is as good without it: a full disk must not keep a task from what ends its run."""
    told = json.dumps({"verb": verb, "since": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"})
    with suppress(OSError):
        os.ftruncate(lock.fileno(), 0)
        os.write(lock.fileno(), told.encode())


def _acquire(job: Job, lock: TextIO, wait_seconds: float | None) -> None:
    deadline = None if wait_seconds is None else time.monotonic() + wait_seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if deadline is not None and time.monotonic() > deadline:
            lock.seek(0)
            try:
                holder = json.loads(lock.read())
            except ValueError:  # just being written
                holder = {"verb": "task", "since": "a moment"}
            raise Busy(f"The {holder['verb']} of job {job.name} is at work since {holder['since']}.", **holder)
        time.sleep(_LOCK_POLL_SECONDS)


def make_private(path: str) -> None:
    """Create a directory that only root can enter, with one clear message where that cannot be."""
    try:
        with _room(path):
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The directory {path} cannot be made: {error.strerror}.") from error


# --- room -----------------------------------------------------------------------------------------------------------


@contextmanager
def _room(path: str | Path) -> Iterator[None]:
    """What cannot be written for lack of room raises StateSpace."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StateSpace(f"{path} cannot be written: {error.strerror}.", path=str(path)) from error


def _require_room(job: Job) -> None:
    """Raise StateSpace where not even a small run could keep what it has to."""
    for path in (job.state_dir, job.archive_dir):
        found = os.statvfs(path)
        free = found.f_bfree * found.f_frsize  # root may have what is reserved, too
        if found.f_blocks and free < _LEAST_FREE:
            raise StateSpace(f"The file system of {path} has {free} bytes free.", path=path, free_bytes=free)


def where_full(job: Job, error: PermafrostError) -> PermafrostError:
    """What a failed run says of a full disk, with the one that is full: duplicity does not name it."""
    if isinstance(error, TemporarySpace) and Path(job.temp_dir).stat().st_dev != Path(job.archive_dir).stat().st_dev:
        try:
            _require_room(job)
        except StateSpace as found:
            return StateSpace(f"{found.what} {error.what}", **error.facts, **found.facts)
    return error


# --- runs -----------------------------------------------------------------------------------------------------------


def run_dir(job: Job, verb: str) -> str:
    """Where a running verb's log and copies of manifests lie."""
    return f"{job.state_dir}/runs/{verb}"


def prepare(job: Job, verb: str) -> None:
    """Fresh run and temporary directories, and the archive directory. Call under the lock, with nothing running."""
    refuse_foreign(job)
    for path in (run_dir(job, verb), job.temp_dir):
        shutil.rmtree(path, ignore_errors=True)
    for path in (run_dir(job, verb), job.temp_dir, job.archive_dir):
        make_private(path)
    _require_room(job)


def write_file(job: Job, verb: str, name: str, content: bytes) -> None:
    """A file for the container of a verb, in its run directory. Call after ``prepare``."""
    place = Path(run_dir(job, verb), name)
    with _room(place):
        place.write_bytes(content)


def write_pieces(place: Path, pieces: Iterable[bytes]) -> None:
    """The same of what is too large to be held at once, at any place that this host's root alone can enter."""
    with _room(place), place.open("wb") as out:
        for piece in pieces:
            out.write(piece)


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


def keep_result(job: Job, verb: str, container: str, result: dict[str, Any], logs: int | None) -> None:
    """Put the run directory away with what became of the run, for all tasks that wait for it. Call under the lock.

    The last ``logs`` run directories of the verb stay, and their logs under names that people find; the run is noted in
    the history. Without a number the verb only reads: its last run directory stays, and no named log.
    """
    kept = _kept(job, verb, container)
    if kept.exists():
        return
    current = Path(run_dir(job, verb))
    make_private(str(current))
    with _room(current):
        (current / _RESULT).write_text(json.dumps(result), encoding="utf-8")
        if logs is not None:
            _remember(job, verb, result)
        current.rename(kept)
    by_age = sorted(kept.parent.glob(f"{verb}.*"), key=lambda one: one.stat().st_mtime)
    for old in by_age[: -(logs or 1)]:
        shutil.rmtree(old, ignore_errors=True)
    if logs is not None:
        _name_log(job, verb, kept, result["StartedAt"], logs)


def _remember(job: Job, verb: str, result: dict[str, Any]) -> None:
    """Add the run to the history. A task that was killed just after has added it already."""
    started, finished = from_engine(result["StartedAt"]), from_engine(result["FinishedAt"])
    run = {
        "time": to_w3(started),
        "verb": verb,
        "exit_code": result["ExitCode"],
        "elapsed_seconds": round((finished - started).total_seconds(), 1),
        "stored_bytes": _stored_bytes(Path(run_dir(job, verb), LOG_FILE)) if verb == "backup" else None,
    }
    before = [one for one in history(job) if (one["time"], one["verb"]) != (run["time"], verb)]
    write_record(job, HISTORY, {"runs": [*before, run][-_HISTORY_RUNS:]})


def _stored_bytes(path: Path) -> int | None:
    """What a backup stored, by the end of its log; None for one that did not come so far."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - _LOG_TAIL))
            lines = handle.read().decode("utf-8", "surrogateescape").split("\n")
    except FileNotFoundError:
        return None
    return log.summarize(log.parse(lines)).statistics.get("stored_bytes")


def history(job: Job) -> list[dict[str, Any]]:
    """The last runs of backups, restores and verifies on this host, oldest first."""
    runs: list[dict[str, Any]] = (read_record(job, HISTORY) or {}).get("runs", [])
    return runs


def _name_log(job: Job, verb: str, kept: Path, started: str, logs: int) -> None:
    """Give a run's log a second name that people find: the verb and the UTC time of its start."""
    place = Path(job.state_dir, "logs")
    make_private(str(place))
    stamp = re.sub(r"[-:]", "", started[:19]) + "Z"
    # duplicity may not have come so far
    with _room(place), suppress(FileNotFoundError, FileExistsError):
        os.link(kept / LOG_FILE, place / f"{verb}-{stamp}.log")
    for old in sorted(place.glob(f"{verb}-*.log"))[:-logs]:
        old.unlink(missing_ok=True)


def named_log(job: Job, verb: str, started: datetime) -> str:
    """The name that ``keep_result`` gave to the log of a run that began then."""
    return str(Path(job.state_dir, "logs", f"{verb}-{to_stamp(started)}.log"))


def kept_result(job: Job, verb: str, container: str) -> dict[str, Any] | None:
    """What ``keep_result`` kept of the run in this container, or None."""
    try:
        result: dict[str, Any] = json.loads((_kept(job, verb, container) / _RESULT).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result


def kept_log(job: Job, verb: str, container: str) -> str:
    """Where the log of a run lies once its result is kept."""
    return str(_kept(job, verb, container) / LOG_FILE)


def _kept(job: Job, verb: str, container: str) -> Path:
    return Path(f"{run_dir(job, verb)}.{container[:12]}")


# --- secrets --------------------------------------------------------------------------------------------------------


def secrets_dir(job: Job, verb: str) -> Path:
    """A directory on a tmpfs of the host. Raises NoSecretPlace when there is none."""
    return _secrets_home() / f"{job.name}-{verb}"


def _secrets_home() -> Path:
    rows = [line.split() for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()]
    mounted = {row[1]: row[2] for row in rows}
    for home in map(Path, SECRET_HOMES):
        if mounted.get(str(home.parent)) in ("tmpfs", "ramfs"):
            return home
    raise NoSecretPlace("Neither /run nor /dev/shm is a tmpfs.")


def write_secrets(job: Job, verb: str, files: dict[str, bytes]) -> str:
    """Write the files 0600 in a 0700 directory, and return it. A name may have a directory of its own before it."""
    place = secrets_dir(job, verb)
    remove_secrets(job, verb)
    try:
        with _room(place):
            _require_private_home(place.parent)
            place.mkdir(mode=0o700)
            for name, content in files.items():
                _write_secret(place / name, content)
    except StateSpace as error:
        remove_secrets(job, verb)
        raise NoSecretPlace(error.what) from error
    return str(place)


def _write_secret(place: Path, content: bytes) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)


def _require_private_home(home: Path) -> None:
    """Anybody may create directories in /dev/shm: one that is not ours, or is a link, is not used."""
    home.mkdir(mode=0o700, exist_ok=True)
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise NoSecretPlace(f"{home} is not a directory that only this user can enter.")


def remove_secrets(job: Job, verb: str) -> None:
    """Take a verb's secrets away; without any it does nothing."""
    shutil.rmtree(secrets_dir(job, verb), ignore_errors=True)


def remove_stale_secrets(job: Job, running: set[str]) -> None:
    """Take away what tasks left that were killed: all of the job but the secrets of running verbs."""
    with suppress(FileNotFoundError):
        for place in list(_secrets_home().iterdir()):
            name, _dash, verb = place.name.rpartition("-")
            if name == job.name and verb not in running:
                shutil.rmtree(place, ignore_errors=True)


# --- records --------------------------------------------------------------------------------------------------------


def local_manifest(job: Job, name: str) -> bytes | None:
    """A plain manifest of the archive directory, by its file name without the job's prefix; None without one."""
    try:
        return _manifest(job, name).read_bytes()
    except FileNotFoundError:
        return None


def manifest_lines(job: Job, name: str) -> Iterator[bytes]:
    """The same line by line: it may name a million files."""
    with _manifest(job, name).open("rb") as lines:
        yield from lines


def _manifest(job: Job, name: str) -> Path:
    return Path(job.archive, job.file_prefixes.manifest + name)


def local_signature(job: Job, stem: str) -> str | None:
    """The name of a plain signature file in the archive directory, by its name in the bucket without an ending."""
    names = (job.file_prefixes.signature + stem + ending for ending in (".gz", ""))
    return next((name for name in names if Path(job.archive, name).is_file()), None)


def local_manifests(job: Job) -> dict[str, bytes]:
    """The plain manifests of the archive directory, by file name without the job's prefix; without their file lists."""
    return {name: _volumes_part(path) for name, path in _manifests(job, ".manifest")}


def forget_manifest(job: Job, name: str) -> None:
    """Take a local copy of a manifest away; the one in the bucket stays."""
    _manifest(job, name).unlink(missing_ok=True)


def has_archive(job: Job) -> bool:
    """Whether this host has the job's archive directory. Who may not look must not take it for absent."""
    try:
        return stat.S_ISDIR(Path(job.archive).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"The directory {job.archive} cannot be looked at: {error.strerror}.") from error


def partial_manifests(job: Job) -> dict[str, bytes]:
    """The manifests of interrupted backups in the archive directory, by file name without the job's prefix."""
    return {name: _volumes_part(path) for name, path in _manifests(job, ".manifest.part")}


def _volumes_part(path: Path) -> bytes:
    """A manifest up to the list of changed files, which may have millions of lines.

    Of one that was cut off anywhere the last line break is missing, so that it is known for what it is.
    """
    head = bytearray()
    with path.open("rb") as handle:
        for line in handle:
            if line.startswith(b"Filelist "):
                break
            head += line
        handle.seek(max(0, path.stat().st_size - 1))
        whole = handle.read() == b"\n"
    return bytes(head) if whole else bytes(head).rstrip(b"\n")


def _manifests(job: Job, ending: str) -> Iterator[tuple[str, Path]]:
    prefix = job.file_prefixes.manifest
    for path in Path(job.archive).glob(f"{prefix}duplicity-*{ending}"):
        yield path.name[len(prefix) :], path


def forget_partial(job: Job) -> None:
    """Take away what a resumption needs: duplicity then deletes the set's volumes and starts over."""
    for path in Path(job.archive).glob("*duplicity-*.part"):
        path.unlink()


def write_record(job: Job, name: str, record: dict[str, Any]) -> None:
    """Replace ``<name>.json`` beside the archive directory in one step.

    Under a lock of its own, so that progress is written while a run holds the job's to its end.
    """
    with _lock_file(job, "records.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        final = Path(job.state_dir, f"{name}.json")
        draft = final.with_suffix(".json.new")
        try:
            with _room(final), draft.open("w", encoding="utf-8") as handle:
                json.dump(record, handle, indent=1, sort_keys=True)
                handle.flush()
                os.fsync(handle.fileno())
        except StateSpace:
            draft.unlink(missing_ok=True)
            raise
        draft.replace(final)


def read_record(job: Job, name: str) -> dict[str, Any] | None:
    """The record, or None when there is none yet, or one that a power failure cut off."""
    try:
        record: dict[str, Any] = json.loads(Path(job.state_dir, f"{name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record


def forget_record(job: Job, name: str) -> None:
    """Take the record away; without one it does nothing."""
    Path(job.state_dir, f"{name}.json").unlink(missing_ok=True)
