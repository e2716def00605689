"""A source and a server on which backups can be interrupted, for `test_attach` and `test_resuming`."""

from __future__ import annotations

import random
import re
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
# How a manifest begins what it says of a volume.
VOLUME = re.compile(r"^Volume (\d+):", re.MULTILINE)


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


def takes_no_more_than(s3: S3Lab, volumes: int) -> None:
    """S3 is busy for all volumes of a set behind that one, and for nothing else.

    So a run is killed with that many stored, however long the kill takes, and nothing of it lands afterwards.
    """
    s3.clear_faults()
    for number in range(volumes + 1, 10):
        s3.fault("PutObject", f".vol{number}.")


def interrupt(job: Job, s3: S3Lab, watch: kills.Watch, volumes: int) -> None:
    """A set whose container is killed when that many volumes are stored, and are known to be."""
    takes_no_more_than(s3, volumes)
    task = backup(job)
    kills.until(lambda: last_listed(job) == volumes, f"{volumes} volumes in the partial manifest")
    assert watch.kill(signal.SIGKILL)
    assert kills.cause(task.ended()) == "killed"
    s3.clear_faults()


def last_listed(job: Job) -> int:
    """The number of the last volume in a partial manifest."""
    archive = Path(job["state_dir"], job["name"], "archive", job["name"])
    found = [number for part in archive.glob("*.manifest.part") for number in VOLUME.findall(part.read_text())]
    return int(found[-1]) if found else 0


def restores_well(job: Job, source: Path, dest: Path) -> None:
    """The last set is the source."""
    kills.succeeded(kills.run("duplicity_restore", job=job, dest=str(dest)))
    kills.same(trees.snapshot(source), dest)


def volumes_of(job: Job, s3: S3Lab) -> int:
    """Volumes in the job's bucket."""
    return sum("difftar" in one["key"] for one in s3.state(job["target"].split("/")[2]))
