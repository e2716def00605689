# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job becomes a compose file: what a timer starts without Ansible.

Pure. The services run the image's own program with the job as one secret file. It makes the same command lines as the
modules do, so here is only what a container is given: mounts, capabilities, limits, labels.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import command
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job, Limits

JOB_FILE = "job.json"
# Where the program writes metrics, whatever node_exporter's directory on the host is.
METRICS = "/permafrost/metrics"
# What a container of a timer has in the place of a module's identity: no task attaches to its run.
_NOT_A_TASK = "timer"


def project(job: Job) -> dict[str, Any]:
    """The compose file of a job whose timers run its backup and its integrity check."""
    return {
        "name": f"permafrost-{job.name}".lower(),
        "services": {verb: _service(job, verb) for verb in ("backup", "verify")},
        "secrets": {"job": {"file": f"./{JOB_FILE}"}},
    }


def container_name(job: str, verb: str) -> str:
    """Fixed, as that of a module's container, so that the engine itself refuses a second one."""
    return f"permafrost-{job}-{verb}"


def directories(job: Job) -> list[str]:
    """What has to be there before a container starts, for root alone."""
    spec = command.backup(job, "/nowhere", full=False, dry_run=False)
    return [place for place, _target, read_only in _mounts(job, spec) if not read_only]


def _service(job: Job, verb: str) -> dict[str, Any]:
    spec = command.backup(job, "/nowhere", full=False, dry_run=False)
    return {
        "image": job.image,
        "pull_policy": "never",
        "command": ["permafrost", verb],
        "user": "0:0",
        "hostname": job.hostname,
        "network_mode": job.network,
        "init": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": list(spec.capabilities),
        "security_opt": ["no-new-privileges:true"],
        "labels": {
            command.LABEL_JOB: job.name,
            command.LABEL_VERB: verb,
            command.LABEL_COMMAND: _NOT_A_TASK,
        },
        "tmpfs": ["/tmp:size=64m,mode=0700", "/run:size=16m,mode=0755", "/permafrost:size=1m,mode=0755"],
        "volumes": [
            *(_volume(source, target, read_only) for source, target, read_only in _mounts(job, spec)),
            *_metrics(job.reports.metrics_dir),
        ],
        "secrets": ["job"],
        "logging": {"driver": "none"},
        **_limits(job.limits),
    }


def _mounts(job: Job, spec: command.ContainerSpec) -> list[tuple[str, str, bool]]:
    """The job's directories at their own paths; the source where a module's container has it."""
    places = {job.state_dir: False}
    for mount in spec.mounts:
        outside = not f"{mount.source}/".startswith(f"{job.state_dir}/")
        if mount.target not in (job.source_in_container, command.RUN) and outside:
            places[mount.source] = mount.read_only
    places.update((rule.value, True) for rule in job.rules if rule.is_list)
    return [
        *((place, place, read_only) for place, read_only in places.items()),
        (str(job.source), job.source_in_container, True),
    ]


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
