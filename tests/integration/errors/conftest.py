"""One stage for all error tests: a backup is made once and copied."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from integration.conftest import s3_servers
from integration.errors.playing import Task, play, succeeded
from integration.errors.stage import PASSPHRASE, VOLUMES, Stage

from lab.s3.client_api import S3Lab


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    """One server for all errors, whose backups are made once."""
    yield from s3_servers(tmp_path_factory)


@pytest.fixture(scope="session")
def stage(s3_server: S3Lab, image: str, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A tree of a few MB and its backups: ``plain``, and ``sealed`` with a passphrase."""
    made = Stage(s3_server, tmp_path_factory.mktemp("stage"), image)
    _fill(made)
    tasks = {
        "plain": Task("duplicity_backup", {"job": made.job("plain")}),
        "sealed": Task("duplicity_backup", {"job": sealed(made)}),
    }
    for result in play(tasks, made.root).values():
        assert succeeded(result)["action"] == "full"
    assert len(made.keys("plain", ".difftar")) == VOLUMES
    made.copy("plain", "origin")  # stays as it is, for copies
    return made


@pytest.fixture(autouse=True)
def _well(stage: Stage) -> Iterator[None]:
    """Each test begins and ends without faults."""
    stage.s3.clear_faults()
    yield
    stage.s3.clear_faults()


def sealed(stage: Stage, passphrase: str = PASSPHRASE, **changes: object) -> dict[str, object]:
    """The job of the backup that has a passphrase."""
    encryption = {"mode": "symmetric", "passphrase": passphrase}
    return stage.job("sealed", encryption=encryption, **changes)


def _fill(stage: Stage) -> None:
    """Random data, so that what is in which volume does not depend on compression."""
    source = random.Random(1)
    for number in range(VOLUMES):
        directory = stage.source / f"part {number}"
        directory.mkdir()
        (directory / "data").write_bytes(source.randbytes(900_000))
