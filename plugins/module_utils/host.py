# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job's directories on the host: lock, archive, run logs, temporary space, secrets on a tmpfs, records.

I/O. Everything lies below ``<state_dir>/<job>`` (0700, root) but for secrets, which never touch a disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, NoSecretPlace
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

_TMPFS_CANDIDATES = ("/run", "/dev/shm")  # noqa: S108


@contextmanager
def locked(job: Job) -> Iterator[None]:
    """One task at a time looks at the job's containers and starts one; a killed task lets go by itself."""
    make_private(job.state_dir)
    with Path(job.state_dir, "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_private(path: str) -> None:
    """Create a directory that only root can enter, with one clear message where that cannot be."""
    try:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The directory {path} cannot be made: {error.strerror}.") from error


def run_dir(job: Job, verb: str) -> str:
    """Where a verb's log and copies of manifests lie; the last run's stay until the next."""
    return f"{job.state_dir}/runs/{verb}"


def prepare(job: Job, verb: str) -> None:
    """Fresh run and temporary directories, and the archive directory. Call under the lock, with nothing running."""
    for path in (run_dir(job, verb), job.temp_dir):
        shutil.rmtree(path, ignore_errors=True)
    for path in (run_dir(job, verb), job.temp_dir, job.archive_dir):
        make_private(path)


def secrets_dir(job: Job, verb: str) -> Path:
    """A directory on a tmpfs of the host. Raises NoSecretPlace when there is none."""
    mounted = {line.split()[1]: line.split()[2] for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()}
    for candidate in _TMPFS_CANDIDATES:
        if mounted.get(candidate) in ("tmpfs", "ramfs"):
            return Path(candidate, "permafrost", f"{job.name}-{verb}")
    raise NoSecretPlace(f"Neither {' nor '.join(_TMPFS_CANDIDATES)} is a tmpfs.")


def write_secrets(job: Job, verb: str, files: dict[str, str]) -> str:
    """Write the files 0600 in a 0700 directory, and return the directory."""
    place = secrets_dir(job, verb)
    remove_secrets(job, verb)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(mode=0o700)
    for name, content in files.items():
        descriptor = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(content)
    return str(place)


def remove_secrets(job: Job, verb: str) -> None:
    """Take a verb's secrets away; without any it does nothing."""
    shutil.rmtree(secrets_dir(job, verb), ignore_errors=True)


def local_manifests(job: Job) -> dict[str, bytes]:
    """The plain manifests of the archive directory, by file name."""
    directory = Path(job.archive_dir, job.name)
    return {path.name: path.read_bytes() for path in directory.glob("duplicity-*.manifest")}


def write_record(job: Job, name: str, record: dict[str, Any]) -> None:
    """Replace ``<name>.json`` beside the archive directory in one step."""
    make_private(job.state_dir)
    final = Path(job.state_dir, f"{name}.json")
    draft = final.with_suffix(".json.new")
    draft.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    draft.replace(final)


def read_record(job: Job, name: str) -> dict[str, Any] | None:
    """The record, or None when there is none yet."""
    path = Path(job.state_dir, f"{name}.json")
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record
