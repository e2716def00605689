# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The containers of a job, in the words of the engine's API: found, made, removed.

I/O. container.py decides what is done with them; the library comes from there, too.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.credentials import (
    TASK_PROOF,
    TASK_PROOF_FILE,
    TASK_ROLE_VARIABLES,
    TaskRole,
)
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import busy
from ansible_collections.permafrost.backup.plugins.module_utils.errors import ImageMissing, NoCredentials
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job, Limits
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    HOME,
    KEYRING,
    KEYRING_DIR,
    LABEL_COMMAND,
    LABEL_JOB,
    LABEL_VERB,
    SECRETS,
    ContainerSpec,
)

# A request of a killed task may still be at work in the engine.
_TRIES = 50
_TRY_SECONDS = 0.2
_CONFLICT = 409


class Containers:
    """The containers of a job. ``library`` is the Docker SDK, ``api`` its client."""

    def __init__(self, job: Job, api: Any, library: Any) -> None:
        self._job, self._api, self._types = job, api, library.types
        self._api_error, self._not_found = library.errors.APIError, library.errors.NotFound
        self._image_not_found = library.errors.ImageNotFound

    def of_job(self) -> Iterator[dict[str, Any]]:
        """All that bear the job's name, running or not."""
        for summary in self._api.containers(all=True, filters={"label": f"{LABEL_JOB}={self._job.name}"}):
            with contextlib.suppress(self._not_found):  # its task collected it meanwhile
                yield self._api.inspect_container(summary["Id"])

    def make(self, spec: ContainerSpec, secrets: str) -> str:
        """Make the container of a run, with the directory of its secrets, and give its ID."""
        for turn in range(_TRIES):
            try:
                created: dict[str, Any] = self._api.create_container(
                    image=spec.image,
                    name=spec.name,
                    hostname=spec.hostname,
                    entrypoint=[spec.argv[0]],
                    command=list(spec.argv[1:]),
                    environment=spec.environment,
                    user="0:0",
                    labels={LABEL_JOB: spec.job, LABEL_VERB: spec.verb, LABEL_COMMAND: spec.identity},
                    host_config=self._host_config(spec, secrets),
                )
            except self._image_not_found as error:
                raise no_image(spec.image) from error
            except self._api_error as error:
                if "invalid reference format" in str(error.explanation):
                    raise ImageMissing(f"'{spec.image}' is not the name of an image.", image=spec.image) from error
                if error.status_code != _CONFLICT or turn == _TRIES - 1:
                    raise
                time.sleep(_TRY_SECONDS)
                self._remove_late(spec)
            else:
                return str(created["Id"])
        raise AssertionError

    def _remove_late(self, spec: ContainerSpec) -> None:
        """What a killed task's last request made after we looked: it never started, for starting is another request."""
        with contextlib.suppress(self._not_found):
            found = self._api.inspect_container(spec.name)
            if found["State"]["Running"]:
                raise busy(found, self._job)
            self.remove(found["Id"])

    def _host_config(self, spec: ContainerSpec, secrets: str) -> dict[str, Any]:
        mount = self._types.Mount
        mounts = [mount(one.target, one.source, type="bind", read_only=one.read_only) for one in spec.mounts]
        mounts.append(mount(SECRETS, secrets, type="bind", read_only=True))
        if spec.keyring:
            mounts.append(mount(KEYRING, f"{secrets}/{KEYRING_DIR}", type="bind", read_only=False))
        logs: dict[str, Any] = {"type": "json-file", "config": {"max-size": "5m"}}
        if spec.verb == "list":
            # It prints every name, which its log file holds already: what the engine is too slow for may be dropped.
            logs["config"].update({"mode": "non-blocking", "max-buffer-size": "1m"})
        config: dict[str, Any] = self._api.create_host_config(
            mounts=mounts,
            network_mode=spec.network,
            init=True,  # as PID 1 duplicity would ignore SIGTERM
            read_only=True,
            cap_drop=["ALL"],
            cap_add=list(spec.capabilities),
            security_opt=["no-new-privileges"],
            tmpfs={HOME: "size=64m,mode=0700"},  # and the sockets of gpg-agent
            log_config=logs,
            **_limits(spec.limits),
        )
        return config

    def remove(self, container: str) -> None:
        """Remove one, running or not; without it this does nothing."""
        for turn in range(_TRIES):
            try:
                self._api.remove_container(container, force=True)
                return
            except self._not_found:
                return
            except self._api_error as error:
                if error.status_code != _CONFLICT or turn == _TRIES - 1:  # a removal is under way
                    raise
            time.sleep(_TRY_SECONDS)


def task_role() -> TaskRole | None:
    """What leads this process to the role of its task: the SDK does as much beside the container."""
    found = {name: os.environ[name] for name in TASK_ROLE_VARIABLES if os.environ.get(name)}
    if not found:
        return None
    token, place = os.environ.get(TASK_PROOF), os.environ.get(TASK_PROOF_FILE)
    if not place:
        return TaskRole(found, token.encode() if token else None)
    try:
        return TaskRole(found, Path(place).read_bytes())
    except OSError as error:
        raise NoCredentials(f"{TASK_PROOF_FILE} is {place}: {error.strerror}.") from error


def _limits(limits: Limits) -> dict[str, Any]:
    """The engine's words for what a container may take. Swap counts as memory, or the limit would be none."""
    memory = f"{limits.memory}m" if limits.memory else None
    wanted = {
        "nano_cpus": int(limits.cpus * 1_000_000_000) if limits.cpus else None,
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": limits.pids,
        "blkio_weight": limits.io_weight,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def no_image(image: str) -> ImageMissing:
    """What is raised where the engine does not have it."""
    return ImageMissing(f"The image {image} is not on this host.", image=image)
