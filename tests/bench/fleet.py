"""The playbook site over many hosts, each a container with systemd and an engine of its own."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import hosts, play
from lab.molecule import surroundings
from lab.places import LabError


@dataclass(frozen=True)
class Pass:
    """One run of site over all hosts."""

    seconds_per_host: float
    tasks_per_host: float
    changed: int


def measure(count: int) -> tuple[Pass, Pass]:
    """Site on ``count`` new hosts, and once more."""
    names = [f"bench-host{number:02}" for number in range(1, count + 1)]
    with surroundings() as environment, hosts.booted(hosts.ensure(), names), tempfile.TemporaryDirectory() as work:
        inventory = Path(work, "inventory.yml")
        inventory.write_text(yaml.safe_dump(_inventory(names, environment)), encoding="utf-8")
        return _site(inventory, Path(work), count), _site(inventory, Path(work), count)


def _site(inventory: Path, work: Path, count: int) -> Pass:
    started = time.monotonic()
    run = play.start("permafrost.backup.site", work, "--forks", str(count), inventory=inventory).wait(3600)
    seconds = time.monotonic() - started
    if run.code:
        raise LabError(f"site failed:\n{run.output[-3000:]}")
    done = [task for task in run.tasks if task.status != "skipped"]
    changed = sum(bool(task.result.get("changed")) for task in done)
    return Pass(seconds / count, len(done) / count, changed)


def _inventory(names: list[str], environment: dict[str, str]) -> dict[str, Any]:
    job = {
        "name": "data",
        "source": "/srv",
        "target": "s3://fleet/{{ inventory_hostname }}/data",
        "endpoint_url": environment["LAB_S3_ENDPOINT"],
        "encryption": {"mode": "none"},
        "credentials": {
            "access_key": environment["LAB_S3_ACCESS_KEY"],
            "secret_key": environment["LAB_S3_SECRET_KEY"],
        },
    }
    variables = {
        "ansible_connection": "community.docker.docker",
        "ansible_python_interpreter": "/usr/bin/python3",
        "duplicity_image_source": "load",
        "duplicity_image_archive": environment["LAB_IMAGE_ARCHIVE"],
        "duplicity_jobs": [job],
    }
    return {"all": {"hosts": dict.fromkeys(names), "vars": variables}}
