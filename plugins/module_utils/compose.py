# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job becomes a compose file: what runs on a host without Ansible.

Pure. The services run the image's own program with the job as one secret file. It makes the same command lines as the
modules do, so here is only what a container is given: mounts, capabilities, limits, labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import command
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job, Limits
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    LABEL_COMMAND,
    LABEL_JOB,
    LABEL_VERB,
    RUN,
    ContainerSpec,
)

JOB_FILE = "job.json"
# Where the program writes metrics, whatever node_exporter's directory on the host is.
METRICS = "/permafrost/metrics"
CLEANUP_FILE = "cleanup.json"
# What a container of a timer has in the place of a module's identity: no task attaches to its run.
_NOT_A_TASK = "timer"
# The program gets SIGTERM, ends duplicity and writes its record.
_STOP_SECONDS = 40
_CLOCK = "/etc/localtime"


def project(job: Job, *, time_zone: bool = False) -> dict[str, Any]:
    """The compose file of a job: what its timers run, or the container with a scheduler of its own.

    ``time_zone``: the host has /etc/localtime, by which the scheduler's clock goes then.
    """
    if job.scheduler == "container":
        services = {"scheduler": _scheduler(job, time_zone)}
    else:
        services = {verb: _run(job, verb) for verb in ("backup", "verify")}
    secrets = {"job": {"file": f"./{JOB_FILE}"}}
    if job.cleans_up:
        services["cleanup"] = _cleanup(job)
        secrets["cleanup"] = {"file": f"./{CLEANUP_FILE}"}
    return {"name": f"permafrost-{job.name}".lower(), "services": services, "secrets": secrets}


def for_backups(options: Mapping[str, Any]) -> dict[str, Any]:
    """A checked job's options as its backups get them: they never see who may delete."""
    return {**options, "cleanup_on": "keeper", "cleanup_credentials": None}


def for_cleanup(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the cleanup, which reads no backup and stores none."""
    return {**options, "credentials": None, "encryption": {"mode": "none"}, "hooks": None}


def container_name(job: str, verb: str) -> str:
    """Fixed, as that of a module's container, so that the engine itself refuses a second one."""
    return f"permafrost-{job}-{verb}"


def directories(job: Job) -> list[str]:
    """What has to be there before a container starts, for root alone."""
    spec = command.backup(job, "/nowhere", full=False, dry_run=False)
    return [place for place, _target, read_only in _mounts(job, spec) if not read_only]


def _run(job: Job, verb: str) -> dict[str, Any]:
    """What a timer runs. Its output is the unit's."""
    spec = command.backup(job, "/nowhere", full=False, dry_run=False)
    labels = {LABEL_JOB: job.name, LABEL_VERB: verb, LABEL_COMMAND: _NOT_A_TASK}
    return {**_service(job, verb, spec), "secrets": ["job"], "labels": labels, "logging": {"driver": "none"}}


def _cleanup(job: Job) -> dict[str, Any]:
    """Another job file in the same place, and neither source nor the files of the backup's profile."""
    other = replace(job, source=None, credentials=job.cleanup_credentials)
    spec = command.fetch_metadata(other, "/nowhere")
    labels = {LABEL_JOB: job.name, LABEL_VERB: "cleanup", LABEL_COMMAND: _NOT_A_TASK}
    secrets = [{"source": "cleanup", "target": "job"}]
    service = _service(other, "cleanup", spec)
    return {**service, "secrets": secrets, "labels": labels, "logging": {"driver": "none"}}


def _scheduler(job: Job, time_zone: bool) -> dict[str, Any]:
    """It runs for ever, so it has no job's label, by which modules would take it for a backup that is on."""
    spec = command.backup(job, "/nowhere", full=False, dry_run=False)
    service = _service(job, "scheduler", spec)
    return {
        **service,
        "volumes": [*service["volumes"], *([_volume(_CLOCK, _CLOCK, True)] if time_zone else [])],
        "container_name": container_name(job.name, "scheduler"),
        "secrets": ["job"],
        "restart": "unless-stopped",
        "stop_grace_period": f"{_STOP_SECONDS}s",
        "healthcheck": {
            "test": ["CMD", "permafrost", "healthy"],
            "interval": "30s",
            "timeout": "20s",
            "retries": 3,
            "start_period": "30s",
        },
        # With rotation, unlike the engine's default.
        "logging": {"driver": "local", "options": {"max-size": "10m", "max-file": "3"}},
    }


def _service(job: Job, command_word: str, spec: ContainerSpec) -> dict[str, Any]:
    """What all containers of a job have."""
    return {
        "image": job.image,
        "pull_policy": "never",
        "command": ["permafrost", command_word],
        "user": "0:0",
        "hostname": job.hostname,
        "network_mode": job.network,
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": list(spec.capabilities),
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp:size=64m,mode=0700", "/run:size=16m,mode=0755", "/permafrost:size=1m,mode=0755"],
        "volumes": [
            *(_volume(source, target, read_only) for source, target, read_only in _mounts(job, spec)),
            *_metrics(job.reports.metrics_dir),
        ],
        **_limits(job.limits),
    }


def _mounts(job: Job, spec: ContainerSpec) -> list[tuple[str, str, bool]]:
    """The job's directories at their own paths; the source where a module's container has it."""
    places = {job.state_dir: False}
    for mount in spec.mounts:
        outside = not f"{mount.source}/".startswith(f"{job.state_dir}/")
        if mount.target not in (job.source_in_container, RUN) and outside:
            places[mount.source] = mount.read_only
    own = [(place, place, read_only) for place, read_only in places.items()]
    if job.source is None:
        return own
    lists = [(rule.value, rule.value, True) for rule in job.rules if rule.is_list]
    return [*own, *lists, (job.source, job.source_in_container, True)]


def _metrics(directory: str | None) -> list[dict[str, Any]]:
    """A directory of others, and no reason for a backup to fail: the engine makes one that is not there."""
    if not directory:
        return []
    return [{**_volume(directory, METRICS, read_only=False), "bind": {"create_host_path": True}}]


def _volume(source: str, target: str, read_only: bool) -> dict[str, Any]:
    # A source that is not there must be an error, and not a new empty directory.
    return {
        "type": "bind",
        "source": _literal(source),
        "target": _literal(target),
        "read_only": read_only,
        "bind": {"create_host_path": False},
    }


def _literal(text: str) -> str:
    """Compose replaces ``$NAME``."""
    return text.replace("$", "$$")


def _limits(limits: Limits) -> dict[str, Any]:
    given = {
        "cpus": limits.cpus,
        "mem_limit": limits.memory and f"{limits.memory}m",
        "memswap_limit": limits.memory and f"{limits.memory}m",
        "pids_limit": limits.pids,
        "blkio_config": limits.io_weight and {"weight": limits.io_weight},
    }
    return {name: value for name, value in given.items() if value is not None}
