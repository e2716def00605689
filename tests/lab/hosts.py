"""Hosts with systemd, and an engine of their own, as containers. `python -m lab.hosts` makes their images."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
import yaml
from docker.models.containers import Container

from lab import recipes
from lab.places import CHECKOUT, LabError

# What stands between hosts and their package indexes, if anything does.
AUTHORITY = "/usr/local/share/lab-ca.pem"
CONTEXT = Path(__file__).with_name("hosts_image")
ALSO = (Path(__file__).with_name("bytecode") / "sitecustomize.py",)
# As a scenario of molecule gets its hosts.
_SCENARIO = CHECKOUT / "molecule" / "fleet" / "molecule.yml"
_BOOT_SECONDS = 300


def ensure() -> str:
    """The image of a host with all prerequisites."""
    return recipes.ensure("host", CONTEXT, "host", ALSO)


def ensure_blank() -> str:
    """The image of a host with Python and an engine, and nothing of what modules need."""
    return recipes.ensure("host-blank", CONTEXT, "blank", ALSO)


def ensure_bare() -> str:
    """The image of a host with Python only."""
    return recipes.ensure("host-bare", CONTEXT, "bare", ALSO)


@contextmanager
def booted(image: str, names: Sequence[str], volumes: Sequence[str] = ()) -> Iterator[list[Container]]:
    """Hosts that have booted, with further volumes as `docker run -v` takes them; they are gone afterwards."""
    settings = yaml.safe_load(os.path.expandvars(_SCENARIO.read_text(encoding="utf-8")))["platforms"][0]
    with ExitStack() as stack:
        client = docker.from_env(timeout=300)
        stack.callback(client.close)
        started = []
        for name in names:
            container = client.containers.run(
                image,
                name=name,
                hostname=name,
                detach=True,
                cgroupns=settings["cgroupns_mode"],
                cap_add=settings["capabilities"],
                security_opt=settings["security_opts"],
                tmpfs=dict((*place.split(":"), "")[:2] for place in settings["tmpfs"]),
                volumes=["/var/lib/docker", *volumes],
                labels=settings["labels"],
            )
            stack.callback(container.remove, v=True, force=True)
            started.append(container)
        for container in started:
            _wait(container)
        yield started


def _wait(container: Container) -> None:
    until = time.monotonic() + _BOOT_SECONDS
    while container.exec_run(["docker", "info"]).exit_code:
        if time.monotonic() > until:
            raise LabError(f"{container.name} does not boot:\n{container.logs()[-2000:].decode(errors='replace')}")
        time.sleep(1)


if __name__ == "__main__":
    print(ensure_bare(), ensure_blank(), ensure())
