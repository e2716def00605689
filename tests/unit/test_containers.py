"""containers.py: what the engine is asked for, in the words of its API. No engine answers here."""

from __future__ import annotations

from typing import Any

import docker

from ansible_collections.permafrost.backup.plugins.module_utils import command, surroundings
from ansible_collections.permafrost.backup.plugins.module_utils.containers import Containers
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.stage import job_params

LIMITS = {"cpus": 1.5, "memory": 512, "pids": 200, "io_weight": 100}
NONE = {"NanoCpus": None, "Memory": None, "MemorySwap": None, "PidsLimit": None, "BlkioWeight": None}


def host_config(**changes: Any) -> dict[str, Any]:
    job = Job.from_params(job_params(**changes))
    spec = command.backup(job, "/run-dir", full=False, dry_run=False)
    return Containers(job, docker.APIClient(version="1.41"), docker)._host_config(spec, "/secrets")


def limits_of(config: dict[str, Any]) -> dict[str, Any]:
    return {name: config.get(name) for name in NONE}


def test_limits() -> None:
    mb = 1024 * 1024
    assert limits_of(host_config(limits=LIMITS)) == {
        "NanoCpus": 1_500_000_000, "Memory": 512 * mb, "MemorySwap": 512 * mb, "PidsLimit": 200, "BlkioWeight": 100,
    }  # fmt: skip
    assert limits_of(host_config()) == NONE


def test_what_a_container_may_not_do() -> None:
    config = host_config()
    assert (config["Init"], config["ReadonlyRootfs"]) == (True, True)
    assert (config["CapDrop"], config["CapAdd"]) == (["ALL"], ["DAC_READ_SEARCH"])
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config.get("Privileged") in (None, False)
    assert "/var/run/docker.sock" not in {one["Source"] for one in config["Mounts"]}
    written = {one["Target"] for one in config["Mounts"] if not one["ReadOnly"]}
    assert written == {surroundings.ARCHIVE, surroundings.TEMP, surroundings.RUN}
