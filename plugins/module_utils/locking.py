# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task at a time works on a job of this host.

I/O. The kernel lets go of a lock with the process that holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from ansible_collections.permafrost.backup.plugins.module_utils import disk
from ansible_collections.permafrost.backup.plugins.module_utils.errors import Busy
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

# The lock is held while a task looks, checks and starts, and during short runs (a plan, a listing).
_SECONDS = 60.0
_POLL_SECONDS = 0.05
# Who holds the lock of which job: a state directory and a thread, for the progress file is written by one of its own.
_held: set[tuple[str, int]] = set()


@contextmanager
def locked(job: Job, verb: str, wait_seconds: float | None = _SECONDS) -> Iterator[None]:
    """One task at a time looks at the job's containers and starts one; a killed task lets go by itself.

    A thread that holds the lock already just goes on. Raises Busy after ``wait_seconds``; None waits for ever.
    """
    holder = (job.state_dir, threading.get_ident())
    if holder in _held:
        yield
        return
    with lock_file(job, "lock") as lock:
        _acquire(job, lock, wait_seconds)
        _held.add(holder)
        try:
            _tell_holder(lock, verb)
            yield
        finally:
            _held.discard(holder)


@contextmanager
def lock_file(job: Job, name: str) -> Iterator[TextIO]:
    """A file to lock in the job's state directory, open; made when it is not there."""
    disk.make_private(job.state_dir)
    place = Path(job.state_dir, name)
    with disk.writing(place):
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
        time.sleep(_POLL_SECONDS)
