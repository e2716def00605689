"""A source and a server on which backups can be interrupted, for `test_attach` and `test_resuming`."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job

from lab import kills, trees
from lab.s3.client_api import S3Lab

SLOW_SECONDS = 0.6


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five volumes that do not compress."""
    place = tmp_path / "source"
    place.mkdir()
    refill(place, 0)
    return place


@pytest.fixture
def slow(job: Job, s3: S3Lab, source: Path) -> Job:
    """A job without a thaw, and an S3 server that needs a while for each volume."""
    job["storage_class"] = "STANDARD"
    s3.fault(operation="PutObject", kind="latency", seconds=SLOW_SECONDS)
    return job


@pytest.fixture
def watch(job: Job) -> Iterator[kills.Watch]:
    """Never two containers at once, in each of these tests."""
    with kills.watched(job["name"]) as found:
        yield found


def refill(place: Path, turn: int) -> None:
    """New content; duplicity's times are whole seconds."""
    if turn:
        time.sleep(1.1)
    data = random.Random(turn)
    for number in range(9):
        (place / f"data {number}").write_bytes(data.randbytes(500_000))


def backup(job: Job, **options: Any) -> kills.ModuleProcess:
    """A backup that runs."""
    return kills.ModuleProcess("duplicity_backup", job=job, **options)


def left_alone(job: Job, watch: kills.Watch) -> Any:
    """The container of a backup whose module was killed."""
    task = backup(job)
    container = watch.wait_running(task)
    task.kill(signal.SIGKILL)
    assert task.ended() == {}
    return container


def restores_well(job: Job, source: Path, dest: Path) -> None:
    """The last set is the source."""
    kills.succeeded(kills.run("duplicity_restore", job=job, dest=str(dest)))
    kills.same(trees.snapshot(source), dest)


def volumes_of(job: Job, s3: S3Lab) -> int:
    """Volumes in the job's bucket."""
    return sum("difftar" in one["key"] for one in s3.state(job["target"].split("/")[2]))
