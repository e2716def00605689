# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one argv in the image, through the Docker SDK: start, attach, collect, stop.

I/O. A backup, a restore or a verify outlives its caller: the container has a fixed name and labels and is not removed
by the engine, so the next task of the same verb finds it. All other verbs only read and are short: their tasks hold the
job's lock to the end, so that a container of such a verb without a task is known to be a killed task's, and is removed.
Never two containers of one job at once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Optional

from ansible_collections.permafrost.backup.plugins.module_utils import host, locking, placing, secret_files
from ansible_collections.permafrost.backup.plugins.module_utils.command import import_keys
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import (
    TASK_PROOF,
    TASK_PROOF_FILE,
    TASK_ROLE_VARIABLES,
    TaskRole,
)
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    Busy,
    EngineLost,
    EngineRefused,
    EngineUnavailable,
    ImageMissing,
    MissingLibrary,
    NoCredentials,
    PermafrostError,
    RunVanished,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job, Limits
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    ARCHIVE,
    KEYRING,
    KEYRING_DIR,
    LABEL_COMMAND,
    LABEL_JOB,
    LABEL_VERB,
    SECRETS,
    ContainerSpec,
    with_task_role,
)
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_engine

LASTING = ("backup", "restore", "verify")
# What is done before a run starts. The spec that it gives, if any, is the run's.
Before = Callable[[], Optional[ContainerSpec]]
# Once duplicity gets SIGTERM through the init it ends at once; the rest is for a slow disk.
_STOP_SECONDS = 30
_API_TIMEOUT = 120
# How long a waiting task waits for an engine that restarts.
_ENGINE_BACK_SECONDS = 60.0
_OUTPUT_LINES = 60
# An uncollected result that is older than this is told, but does not stand in for the backup that was asked for now.
_COLLECT_WITHIN = timedelta(hours=1)
# A request of a killed task may still be at work in the engine.
_TRIES = 50
_TRY_SECONDS = 0.2
_CONFLICT = 409


@dataclass(frozen=True)
class Finished:
    """A run that ended. ``output`` is the tail of what it printed; ``attached`` when another task had started it.

    Times are cut to whole seconds, as those of sets are; ``elapsed_seconds`` is exact.
    """

    exit_code: int
    output: str
    log_file: str
    started: datetime
    finished: datetime
    elapsed_seconds: float
    attached: bool
    previous: dict[str, Any] | None = None
    out_of_memory: bool = False  # the engine saw that the kernel killed a process; it misses some


@dataclass
class _Current:
    """The run that a task waits for, as far as it has got. Without ``container`` there is nothing to stop."""

    container: str = ""
    attached: bool = False
    previous: dict[str, Any] | None = None


class Engine:
    """The container engine of this host. Raises MissingLibrary or EngineUnavailable on creation."""

    def __init__(self, job: Job) -> None:
        try:
            import docker  # late, so that its absence is one clear message
            from docker.errors import APIError, DockerException, ImageNotFound, NotFound
            from requests.exceptions import RequestException
        except ImportError as error:
            raise MissingLibrary(f"The Python library docker cannot be imported: {error}.", library="docker") from error
        self._job = job
        self._api_error, self._image_not_found, self._not_found = APIError, ImageNotFound, NotFound
        self._lost = RequestException
        self._types = docker.types
        try:
            self._api = docker.APIClient(base_url=job.docker_host, version="auto", timeout=_API_TIMEOUT)
        except DockerException as error:
            raise EngineUnavailable(f"No container engine answers at {job.docker_host}: {error}.") from error

    def run(self, spec: ContainerSpec, before: Before | None = None) -> Finished:
        """Start the run, or attach to the one that is on, and wait for its end. A signal to the task stops the run.

        ``before`` is called when a new run is to be started: it may refuse by raising, make ready what the run needs,
        run short verbs, and give another way to do the same work. Until the run has started no other task of the job
        does anything.
        """
        current = _Current()
        with self._explained(spec):
            try:
                with locking.locked(self._job, spec.verb):
                    self._start_or_attach(spec, before, current)
                    if spec.verb not in LASTING:
                        return self._finish(spec, current)
                return self._finish(spec, current)
            except (KeyboardInterrupt, Interrupted):
                self._stop(spec, current)
                raise

    def has_run(self, spec: ContainerSpec) -> bool:
        """Whether ``run`` would attach to a run of another task, or collect its result."""
        with self._explained(spec), locking.locked(self._job, spec.verb):
            return self._joinable(self._look(spec), spec)

    def refuse_others(self, spec: ContainerSpec) -> None:
        """Raise Busy when a backup, a restore or a verify of the job runs that is not this verb's."""
        with self._explained(spec), locking.locked(self._job, spec.verb):
            self._look(spec)

    def image_labels(self) -> dict[str, str]:
        """The labels of the job's image."""
        image = self._job.image
        try:
            labels: dict[str, str] | None = self._api.inspect_image(image)["Config"].get("Labels")
        except self._image_not_found as error:
            raise _no_image(image) from error
        except self._api_error as error:
            raise ImageMissing(f"'{image}' is not the name of an image.", image=image) from error
        except self._lost as error:
            raise EngineLost(f"The engine at {self._job.docker_host} does not answer any longer: {error}.") from error
        return labels or {}

    @contextlib.contextmanager
    def _explained(self, spec: ContainerSpec) -> Iterator[None]:
        try:
            yield
        except self._api_error as error:  # first, for it is a RequestException too
            raise EngineRefused(
                f"The engine refused the container {spec.name}: {error.explanation or error}."
            ) from error
        except self._lost as error:
            raise EngineLost(f"The engine at {self._job.docker_host} does not answer any longer: {error}.") from error

    # --- looking ----------------------------------------------------------------------------------------------------

    def _look(self, spec: ContainerSpec) -> dict[str, Any] | None:
        """The container of this verb, running or ended; what killed tasks of other verbs left is tidied up.

        Raises Busy when another lasting verb runs. Call under the lock.
        """
        own, running, staged = None, set(), False
        for found in self._of_job(spec.job):
            verb = found["Config"]["Labels"].get(LABEL_VERB, "")
            alive = found["State"]["Running"]
            if alive and not self._same_place(found):
                raise self._busy(found)
            if verb not in LASTING and (alive or verb != spec.verb) and self._same_place(found):
                self._remove(found["Id"])  # its task is gone, or it would hold the lock
                continue
            if alive and verb != spec.verb:
                raise self._busy(found)
            if alive:
                running.add(verb)
            if verb == spec.verb:
                own = found
            staged = staged or (verb == "restore" and (alive or _ended_well(found)))
        secret_files.remove_stale(self._job, running)
        if not staged and spec.verb not in ("restore", "prove"):  # a proof looks at what a restore has built
            placing.clear(self._job)
        return own

    def _of_job(self, job: str) -> Iterator[dict[str, Any]]:
        for summary in self._api.containers(all=True, filters={"label": f"{LABEL_JOB}={job}"}):
            with contextlib.suppress(self._not_found):  # its task collected it meanwhile
                yield self._api.inspect_container(summary["Id"])

    def _same_place(self, found: dict[str, Any]) -> bool:
        """Whether it is of this job, and not of one with the same name and another state directory."""
        places = [one["Source"] for one in found["Mounts"] if one["Destination"] == ARCHIVE]
        return places == [self._job.archive_dir]

    def _busy(self, found: dict[str, Any]) -> Busy:
        verb, since = found["Config"]["Labels"].get(LABEL_VERB, "?"), _second(found["State"]["StartedAt"])
        name = found["Name"].lstrip("/")
        return Busy(
            f"The {verb} of job {self._job.name} runs since {since} (container {name}).", verb=verb, since=since
        )

    def _joinable(self, own: dict[str, Any] | None, spec: ContainerSpec) -> bool:
        if own is None or spec.verb not in LASTING:
            return False
        if own["State"]["Running"]:
            if own["Config"]["Labels"].get(LABEL_COMMAND) != spec.identity:
                raise self._busy(own)
            return True
        return self._collectable(own, spec)

    def _collectable(self, own: dict[str, Any], spec: ContainerSpec) -> bool:
        return (
            _ended_well(own) and own["Config"]["Labels"].get(LABEL_COMMAND) == spec.identity and self._same_place(own)
        )

    # --- starting ---------------------------------------------------------------------------------------------------

    def _start_or_attach(self, spec: ContainerSpec, before: Before | None, current: _Current) -> None:
        own = self._look(spec)
        if own is not None and self._joinable(own, spec):
            current.container, current.attached = own["Id"], True
            return
        host.prepare(self._job, spec.verb)
        if before:
            spec = before() or spec
        if own is not None:
            if spec.verb in LASTING:
                current.previous = _previous(own["State"])
            self._remove(own["Id"])
        role = _task_role()
        spec = with_task_role(spec, self._job, role) if role else spec
        secrets = secret_files.write(self._job, spec.verb, spec.secrets)
        if spec.keyring:
            self._make_keyring(spec, secrets)
        current.container = spec.name  # a signal may come between the engine's deed and its reply
        try:
            current.container = self._create(spec, secrets)
            self._api.start(current.container)
        except (self._api_error, PermafrostError):
            if current.container != spec.name:
                self._remove(current.container)
            current.container = ""
            secret_files.remove(self._job, spec.verb)
            raise

    def _make_keyring(self, spec: ContainerSpec, secrets: str) -> None:
        """Let gpg import the run's keys. They are gone with the run's secrets, and at once when this fails."""
        try:
            container = self._create(import_keys(spec), secrets)
            try:
                self._api.start(container)
                code = self._api.wait(container)["StatusCode"]
                said = self._api.logs(container, tail=_OUTPUT_LINES).decode("utf-8", "replace")
            finally:
                self._remove(container)
            if code:
                raise BadInput(f"gpg cannot import job.encryption.secret_keys: {' '.join(said.split())[-300:]}.")
        except BaseException:
            secret_files.remove(self._job, spec.verb)
            raise

    def _create(self, spec: ContainerSpec, secrets: str) -> str:
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
                raise _no_image(spec.image) from error
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
                raise self._busy(found)
            self._remove(found["Id"])

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
            tmpfs={"/tmp": "size=64m,mode=0700"},  # HOME and the sockets of gpg-agent
            log_config=logs,
            **_limits(spec.limits),
        )
        return config

    # --- ending -----------------------------------------------------------------------------------------------------

    def _finish(self, spec: ContainerSpec, current: _Current) -> Finished:
        self._wait(current.container)
        with locking.locked(self._job, spec.verb, wait_seconds=None):
            return self._collect(spec, current)

    def _wait(self, container: str) -> None:
        """Wait for the end, which may be days away. An engine that restarts is waited for; then its word counts."""
        deadline = time.monotonic() + _ENGINE_BACK_SECONDS
        while True:
            asked = time.monotonic()
            try:
                self._api.wait(container, timeout=None)
                return
            except self._not_found:
                return  # another task collected it
            except self._api_error:
                raise
            except self._lost:
                now = time.monotonic()
                if now - asked > _TRY_SECONDS:
                    deadline = now + _ENGINE_BACK_SECONDS
                if now > deadline:
                    raise
            time.sleep(_TRY_SECONDS)

    def _collect(self, spec: ContainerSpec, current: _Current) -> Finished:
        """What became of the run, from its container or from the task that was here before. Call under the lock."""
        result: dict[str, Any] | None
        try:
            found = self._api.inspect_container(current.container)
            output = self._api.logs(current.container, tail=_OUTPUT_LINES).decode("utf-8", "replace")
            result = {**_ended(found), "output": output}
            kept = self._job.keep_logs if spec.verb in LASTING else None
            secret_files.remove(self._job, spec.verb)  # first: what follows may fail for lack of room
            host.keep_result(self._job, spec.verb, current.container, result, kept)
            self._remove(current.container)
        except self._not_found:
            result = host.kept_result(self._job, spec.verb, current.container)
        if result is None:
            raise RunVanished(f"The container {spec.name} was removed while the task waited for it.")
        started, finished = from_engine(result["StartedAt"]), from_engine(result["FinishedAt"])
        return Finished(
            exit_code=result["ExitCode"],
            output=result["output"],
            log_file=host.kept_log(self._job, spec.verb, current.container),
            started=started.replace(microsecond=0),
            finished=finished.replace(microsecond=0),
            elapsed_seconds=(finished - started).total_seconds(),
            attached=current.attached,
            previous=current.previous,
            out_of_memory=bool(result.get("OOMKilled")),
        )

    def _stop(self, spec: ContainerSpec, current: _Current) -> None:
        """End the run. One that had ended well by then is left for the next task to collect."""
        if not current.container:
            return
        with contextlib.suppress(self._not_found):
            self._api.stop(current.container, timeout=_STOP_SECONDS)
            with locking.locked(self._job, spec.verb, wait_seconds=None):
                found = self._api.inspect_container(current.container)
                current.container = found["Id"]
                if spec.verb in LASTING and _ended_well(found):
                    secret_files.remove(self._job, spec.verb)
                else:
                    self._collect(spec, current)

    def _remove(self, container: str) -> None:
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


def _task_role() -> TaskRole | None:
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


def _no_image(image: str) -> ImageMissing:
    return ImageMissing(f"The image {image} is not on this host.", image=image)


class Interrupted(Exception):
    """A signal asked this task to end; raised by the handlers of module.py."""


def _ended(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a container that ended.

    A run began when its container was created: the engine notes StartedAt after the process has begun, on a busy host
    so late that a set, whose time is duplicity's own, would seem to be older than its run.
    """
    state = found["State"]
    return {
        "ExitCode": state["ExitCode"],
        "OOMKilled": state.get("OOMKilled"),
        "StartedAt": found["Created"],
        "FinishedAt": state["FinishedAt"],
    }


def _ended_well(found: dict[str, Any]) -> bool:
    state = found["State"]
    return bool(
        state["Status"] == "exited"
        and state["ExitCode"] == 0
        and datetime.now(timezone.utc) - from_engine(state["FinishedAt"]) < _COLLECT_WITHIN
    )


def _previous(state: dict[str, Any]) -> dict[str, Any] | None:
    """What is told of an earlier run that nobody collected; a container that never started tells nothing."""
    if state["Status"] == "created":
        return None
    return {
        "exit_code": state["ExitCode"],
        "started": _second(state["StartedAt"]),
        "finished": _second(state["FinishedAt"]),
    }


def _second(text: str) -> str:
    return text[:19] + "Z"
