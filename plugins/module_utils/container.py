# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one argv in the image, through the Docker SDK: start, attach, collect, stop.

I/O. A run outlives its caller: the container has a fixed name and labels and is not removed by the engine, so the next
task of the same verb finds it. Never two containers of one job at once.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import host
from ansible_collections.permafrost.backup.plugins.module_utils.command import (
    LABEL_COMMAND,
    LABEL_JOB,
    LABEL_VERB,
    LOG_FILE,
    SECRETS,
    ContainerSpec,
)
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    Busy,
    EngineRefused,
    EngineUnavailable,
    ImageMissing,
    MissingLibrary,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

# Once duplicity gets SIGTERM through the init it ends at once; the rest is for a slow disk.
_STOP_SECONDS = 30
_API_TIMEOUT = 120
_OUTPUT_LINES = 60
# An uncollected result that is older than this is told, but does not stand in for the backup that was asked for now.
_COLLECT_WITHIN = timedelta(hours=1)


@dataclass(frozen=True)
class Finished:
    """A run that ended. ``output`` is the tail of what it printed; ``attached`` when another task had started it."""

    exit_code: int
    out_of_memory: bool
    output: str
    log_file: str
    started: datetime
    finished: datetime
    attached: bool
    previous: dict[str, Any] | None = None


class Engine:
    """The container engine of this host. Raises MissingLibrary or EngineUnavailable on creation."""

    def __init__(self, job: Job) -> None:
        try:
            import docker  # noqa: PLC0415  imported late, so that its absence is one clear message
            from docker.errors import APIError, DockerException, ImageNotFound, NotFound  # noqa: PLC0415
        except ImportError as error:
            raise MissingLibrary(f"The Python library docker cannot be imported: {error}.", library="docker") from error
        self._job = job
        self._api_error, self._image_not_found, self._not_found = APIError, ImageNotFound, NotFound
        self._types = docker.types
        try:
            self._api = docker.APIClient(base_url=job.docker_host, version="auto", timeout=_API_TIMEOUT)
        except DockerException as error:
            raise EngineUnavailable(f"No container engine answers at {job.docker_host}: {error}.") from error

    def run(self, spec: ContainerSpec) -> Finished:
        """Start the run, or attach to the one that is on, and wait for its end. Whatever ends the wait stops the run."""
        try:
            with host.locked(self._job):
                attached, previous = self._start_or_attach(spec)
            # The engine's reply comes at the end of the run, which may take days.
            self._api.wait(spec.name, timeout=None)
        except (KeyboardInterrupt, Interrupted):
            self._stop(spec)
            raise
        except self._api_error as error:
            self._remove(spec.name)
            raise EngineRefused(f"The engine refused the container {spec.name}: {error.explanation or error}.") from error
        return self._collect(spec, attached, previous)

    def has_run(self, spec: ContainerSpec) -> bool:
        """Whether ``run`` would attach to a run of another task, or collect its result."""
        with host.locked(self._job):
            own = self.refuse_others(spec)
            return own is not None and (bool(own["State"]["Running"]) or self._collectable(own, spec))

    def copy_in(self, spec: ContainerSpec, name: str, content: bytes) -> None:
        """Put a file into the run directory of the spec's verb, for a run that reads it."""
        with host.locked(self._job):
            self.refuse_others(spec)
            host.prepare(self._job, spec.verb)
            Path(host.run_dir(self._job, spec.verb), name).write_bytes(content)

    # --- starting ---------------------------------------------------------------------------------------------------

    def _start_or_attach(self, spec: ContainerSpec) -> tuple[bool, dict[str, Any] | None]:
        own = self.refuse_others(spec)
        previous = None
        if own is not None:
            state = own["State"]
            if state["Running"]:
                if own["Config"]["Labels"].get(LABEL_COMMAND) != spec.identity:
                    raise self._busy(own)
                return True, None
            if self._collectable(own, spec):
                return True, None
            previous = _previous(state)
            self._remove(spec.name)
        self._create(spec)
        self._api.start(spec.name)
        return False, previous

    def refuse_others(self, spec: ContainerSpec) -> dict[str, Any] | None:
        """Raise Busy when another verb of the job runs; return the container of this verb, running or ended."""
        own = None
        for summary in self._api.containers(all=True, filters={"label": f"{LABEL_JOB}={spec.job}"}):
            try:
                found: dict[str, Any] = self._api.inspect_container(summary["Id"])
            except self._not_found:
                continue  # its task collected it meanwhile
            verb = found["Config"]["Labels"].get(LABEL_VERB, "")
            if verb == spec.verb:
                own = found
            elif found["State"]["Running"]:
                raise self._busy(found)
            else:
                host.remove_secrets(self._job, verb)
        return own

    def _busy(self, found: dict[str, Any]) -> Busy:
        verb, since = found["Config"]["Labels"].get(LABEL_VERB, "?"), found["State"]["StartedAt"][:19] + "Z"
        name = found["Name"].lstrip("/")
        return Busy(f"The {verb} of job {self._job.name} runs since {since} (container {name}).", verb=verb, since=since)

    def _collectable(self, own: dict[str, Any], spec: ContainerSpec) -> bool:
        state, labels = own["State"], own["Config"]["Labels"]
        return bool(
            spec.verb in ("backup", "restore")
            and labels.get(LABEL_COMMAND) == spec.identity
            and state["Status"] == "exited"
            and state["ExitCode"] == 0
            and datetime.now(timezone.utc) - _time(state["FinishedAt"]) < _COLLECT_WITHIN
        )

    def _create(self, spec: ContainerSpec) -> None:
        keep = spec.verb == "passphrase"  # its input was put into the run directory already
        if not keep:
            host.prepare(self._job, spec.verb)
        secrets = host.write_secrets(self._job, spec.verb, spec.secrets)
        try:
            self._api.create_container(
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
            host.remove_secrets(self._job, spec.verb)
            raise ImageMissing(f"The image {spec.image} is not on this host.", image=spec.image) from error

    def _host_config(self, spec: ContainerSpec, secrets: str) -> dict[str, Any]:
        mount = self._types.Mount
        mounts = [mount(one.target, one.source, type="bind", read_only=one.read_only) for one in spec.mounts]
        mounts.append(mount(SECRETS, secrets, type="bind", read_only=True))
        # A listing prints every name, which the log file holds already.
        logs = {"type": "none"} if spec.verb == "list" else {"type": "json-file", "config": {"max-size": "5m"}}
        config: dict[str, Any] = self._api.create_host_config(
            mounts=mounts,
            network_mode=spec.network,
            init=True,  # as PID 1 duplicity would ignore SIGTERM
            read_only=True,
            cap_drop=["ALL"],
            cap_add=list(spec.capabilities),
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "size=64m,mode=0700"},  # noqa: S108  HOME and the sockets of gpg-agent
            log_config=logs,
        )
        return config

    # --- ending -----------------------------------------------------------------------------------------------------

    def _collect(self, spec: ContainerSpec, attached: bool, previous: dict[str, Any] | None) -> Finished:
        state = self._api.inspect_container(spec.name)["State"]
        output = "" if spec.verb == "list" else self._api.logs(spec.name, tail=_OUTPUT_LINES).decode("utf-8", "replace")
        self._remove(spec.name)
        return Finished(
            exit_code=state["ExitCode"],
            out_of_memory=bool(state.get("OOMKilled")),
            output=output,
            log_file=f"{host.run_dir(self._job, spec.verb)}/{LOG_FILE}",
            started=_time(state["StartedAt"]),
            finished=_time(state["FinishedAt"]),
            attached=attached,
            previous=previous,
        )

    def _stop(self, spec: ContainerSpec) -> None:
        with contextlib.suppress(self._not_found):
            self._api.stop(spec.name, timeout=_STOP_SECONDS)
        self._remove(spec.name)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(self._not_found):
            self._api.remove_container(name, force=True)
        host.remove_secrets(self._job, name.rpartition("-")[2])


class Interrupted(Exception):
    """A signal asked this task to end; raised by the handlers of module.py."""


def _previous(state: dict[str, Any]) -> dict[str, Any] | None:
    """What is told of an earlier run that nobody collected; a container that never started tells nothing."""
    if state["Status"] == "created":
        return None
    return {"exit_code": state["ExitCode"], "started": state["StartedAt"][:19] + "Z", "finished": state["FinishedAt"][:19] + "Z"}


def _time(text: str) -> datetime:
    """The engine's time, which has nanoseconds."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
