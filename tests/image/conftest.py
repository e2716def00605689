"""Images to test: ours, built by the role, and one of the same recipe with Python's own gzip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from docker import DockerClient

from lab import image as lab_image
from lab.places import CHECKOUT_ID

# As the modules start it: nothing writable but a tmpfs, no capability beyond what the verb needs.
HARDENED = {"read_only": True, "cap_drop": ["ALL"], "init": True, "network_mode": "none"}
STOCK = f"permafrost-lab/stock-{CHECKOUT_ID}:latest"

RunInImage = Callable[..., str]


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """The lab's container engine."""
    client = docker.from_env(timeout=300)
    yield client
    client.close()


@pytest.fixture(scope="session")
def ours(engine: DockerClient) -> str:
    """The image as the role builds it."""
    return lab_image.ensure()


@pytest.fixture(scope="session")
def stock(engine: DockerClient, ours: str) -> str:
    """The stage before the .pth file: duplicity as published, on the very same layers."""
    given = lab_image.variables()
    arguments = {**given["duplicity_image_build_args"], "BASE": given["duplicity_image_base"]}
    engine.images.build(
        path=given["duplicity_image_build_dir"], target="stock", tag=STOCK, buildargs=arguments, rm=True, forcerm=True
    )
    return STOCK


@pytest.fixture(scope="session")
def run(engine: DockerClient) -> RunInImage:
    """Run a command in a hardened container and return what it printed; a failure raises."""

    def run_in_image(image: str, command: list[str], **settings: Any) -> str:
        options = {**HARDENED, "tmpfs": {"/tmp": ""}, "hostname": "lab", **settings}
        output: bytes = engine.containers.run(
            image, command, remove=True, stderr=True, labels=["permafrost.lab"], **options
        )
        return output.decode()

    return run_in_image
