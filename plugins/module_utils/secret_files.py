# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets of a run, as files on a tmpfs of the host: they never touch a disk.

I/O. They live as long as the run's container.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import disk
from ansible_collections.permafrost.backup.plugins.module_utils.errors import NoSecretPlace, StateSpace
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import SECRET_HOMES


def directory(job: Job, verb: str) -> Path:
    """A directory on a tmpfs of the host. Raises NoSecretPlace when there is none."""
    return _home() / f"{job.name}-{verb}"


def _home() -> Path:
    rows = [line.split() for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()]
    mounted = {row[1]: row[2] for row in rows}
    for home in map(Path, SECRET_HOMES):
        if mounted.get(str(home.parent)) in ("tmpfs", "ramfs"):
            return home
    raise NoSecretPlace("Neither /run nor /dev/shm is a tmpfs.")


def write(job: Job, verb: str, files: dict[str, bytes]) -> str:
    """Write the files 0600 in a 0700 directory, and return it. A name may have a directory of its own before it."""
    place = directory(job, verb)
    remove(job, verb)
    try:
        with disk.writing(place):
            _require_private_home(place.parent)
            place.mkdir(mode=0o700)
            for name, content in files.items():
                _write(place / name, content)
    except StateSpace as error:
        remove(job, verb)
        raise NoSecretPlace(error.what) from error
    return str(place)


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)


def _require_private_home(home: Path) -> None:
    """Anybody may create directories in /dev/shm: one that is not ours, or is a link, is not used."""
    home.mkdir(mode=0o700, exist_ok=True)
    found = home.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise NoSecretPlace(f"{home} is not a directory that only this user can enter.")


def remove(job: Job, verb: str) -> None:
    """Take a verb's secrets away; without any it does nothing."""
    shutil.rmtree(directory(job, verb), ignore_errors=True)


def remove_stale(job: Job, running: set[str]) -> None:
    """Take away what tasks left that were killed: all of the job but the secrets of running verbs."""
    with suppress(FileNotFoundError):
        for place in list(_home().iterdir()):
            name, _dash, verb = place.name.rpartition("-")
            if name == job.name and verb not in running:
                shutil.rmtree(place, ignore_errors=True)
