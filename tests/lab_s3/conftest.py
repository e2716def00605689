"""One real server for all tests here; each test has its own bucket."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from lab.s3.client_api import S3Lab

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    """The server process; at the end its log must not hold a traceback."""
    with S3Lab(tmp_path_factory.mktemp("s3")) as lab:
        yield lab
        log = lab.log_file.read_text()
    assert "Traceback" not in log, log


@pytest.fixture
def lab(server: S3Lab) -> Iterator[S3Lab]:
    """The server without faults, before and after."""
    server.clear_faults()
    yield server
    server.clear_faults()


@pytest.fixture(scope="session")
def s3(server: S3Lab) -> Any:
    """A plain boto3 client that does not retry."""
    return server.client()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket."""
    name = f"bucket-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name
