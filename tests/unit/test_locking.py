"""locking.py: who holds a job's lock, and who waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors, locking, records
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job


def in_a_thread(work: Callable[[], object]) -> object:
    """What it gives, or raises, in another thread of this process."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result(timeout=30)


def test_a_thread_that_holds_the_lock_goes_on_and_another_one_waits(job: Job) -> None:
    def take() -> str:
        with locking.locked(job, "second", wait_seconds=0):
            return "got it"

    with locking.locked(job, "first"):
        assert take() == "got it", "the same thread"
        with pytest.raises(errors.Busy, match="The first of job web01-data is at work since 20"):
            in_a_thread(take)
    assert in_a_thread(take) == "got it"


def test_a_thread_that_holds_the_lock_keeps_it_from_the_main_thread(job: Job) -> None:
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locking.locked(job, "progress"):
            holds.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(30)
    with pytest.raises(errors.Busy), locking.locked(job, "backup", wait_seconds=0):
        pass
    done.set()
    thread.join()


def test_records_are_written_while_a_run_holds_the_lock(job: Job) -> None:
    with locking.locked(job, "backup"):
        in_a_thread(lambda: records.write(job, "progress", {"percent": 50}))
        assert records.read(job, "progress") == {"percent": 50}


def test_a_lock_needs_no_room(job: Job) -> None:
    Path(job.state_dir, "lock").symlink_to("/dev/full")
    with locking.locked(job, "backup"):
        pass
