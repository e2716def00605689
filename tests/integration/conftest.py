"""What integration tests share: an S3 server, the image, jobs, and ansible-playbook."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import image as lab_image
from lab import kills, play
from lab.s3.client_api import S3Lab

NUMBERS = itertools.count(1)

RunPlaybook = Callable[..., play.Run]
Job = dict[str, Any]

# Files that take a minute and more come first, the longest of them before the others: one of them that began last would
# be waited for by all other workers.
LONG = (
    "test_kills", "test_attach", "test_resuming", "test_drill", "test_runbook_trouble", "test_lost_host",
    "test_ransomware", "test_runbook_kills", "test_runbook", "test_policies", "test_gnupg", "test_job_options",
    "test_bill", "test_spoilt", "test_paths", "test_status", "test_secrets", "test_running", "test_prove",
    "test_adopt", "test_verify", "test_restore_again", "test_cleanup", "test_playbooks", "test_check_mode",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files in the order in which workers take them."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    """The server of a file of tests, since a clock that one of them turns is turned for all."""
    yield from s3_servers(tmp_path_factory)


def s3_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    """A server process; at the end its log must not hold a traceback."""
    with S3Lab(tmp_path_factory.mktemp("s3")) as lab:
        yield lab
        log = lab.log_file.read_text()
    assert "Traceback" not in log, log


@pytest.fixture
def s3(s3_server: S3Lab) -> Iterator[S3Lab]:
    """The S3 server, without faults before and after."""
    s3_server.clear_faults()
    yield s3_server
    s3_server.clear_faults()


@pytest.fixture
def bucket(s3: S3Lab) -> str:
    """The name of a new bucket."""
    name = f"integration-{next(NUMBERS)}"
    s3.client().create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def image() -> str:
    """The image, as the role builds it."""
    return lab_image.ensure()


@pytest.fixture
def playbook(tmp_path: Path, image: str) -> RunPlaybook:
    """Run `playbook(TASKS | TEXT | "permafrost.backup.NAME", *OPTIONS, **VARIABLES)` and get a lab.play.Run."""
    work = tmp_path / "plays"
    work.mkdir()

    def run_playbook(what: play.Playbook, *options: str, **variables: Any) -> play.Run:
        return play.run(what, work, *options, **variables)

    return run_playbook


@pytest.fixture
def job(s3: S3Lab, bucket: str, image: str, tmp_path: Path) -> Iterator[Job]:
    """A job that backs up `tmp_path/source` (for the test to make); its containers are removed at the end."""
    name = f"job-{next(NUMBERS)}-{os.getpid()}"
    yield {
        "name": name,
        "source": str(tmp_path / "source"),
        "target": f"s3://{bucket}/web01/data",
        "volume_size": 1,
        "encryption": {"mode": "none"},
        "credentials": {"access_key": s3.access_key, "secret_key": s3.secret_key},
        "endpoint_url": s3.endpoint_url,
        "region": s3.region,
        "image": image,
        "docker_host": os.environ["DOCKER_HOST"],
        "state_dir": str(tmp_path / "state"),
    }
    kills.remove_containers(name)
