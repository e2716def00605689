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
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

from ansible_collections.permafrost.backup.plugins.module_utils import (
    engine_states,
    host,
    locking,
    placing,
    secret_files,
)
from ansible_collections.permafrost.backup.plugins.module_utils.command import import_keys
from ansible_collections.permafrost.backup.plugins.module_utils.containers import Containers, no_image, task_role
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    EngineLost,
    EngineRefused,
    EngineUnavailable,
    ImageMissing,
    Interrupted,
    MissingLibrary,
    PermafrostError,
    RunVanished,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ContainerSpec, with_task_role

LASTING = ("backup", "restore", "verify")
# What is done before a run starts. The spec that it gives, if any, is the run's.
Before = Callable[[], Optional[ContainerSpec]]
# Once duplicity gets SIGTERM through the init it ends at once; the rest is for a slow disk.
_STOP_SECONDS = 30
_API_TIMEOUT = 120
# How long a waiting task waits for an engine that restarts, and how often it asks.
_ENGINE_BACK_SECONDS = 60.0
_ASK_SECONDS = 0.2
_OUTPUT_LINES = 60


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
        try:
            self._api = docker.APIClient(base_url=job.docker_host, version="auto", timeout=_API_TIMEOUT)
        except DockerException as error:
            raise EngineUnavailable(f"No container engine answers at {job.docker_host}: {error}.") from error
        self._containers = Containers(job, self._api, docker)

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
            raise no_image(image) from error
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
        for found in self._containers.of_job():
            verb, alive = engine_states.verb(found), found["State"]["Running"]
            if alive and not engine_states.same_place(found, self._job):
                raise engine_states.busy(found, self._job)
            if verb not in LASTING and (alive or verb != spec.verb) and engine_states.same_place(found, self._job):
                self._containers.remove(found["Id"])  # its task is gone, or it would hold the lock
                continue
            if alive and verb != spec.verb:
                raise engine_states.busy(found, self._job)
            if alive:
                running.add(verb)
            if verb == spec.verb:
                own = found
            staged = staged or (verb == "restore" and (alive or engine_states.ended_well(found, _now())))
        secret_files.remove_stale(self._job, running)
        if not staged and spec.verb not in ("restore", "prove"):  # a proof looks at what a restore has built
            placing.clear(self._job)
        return own

    def _joinable(self, own: dict[str, Any] | None, spec: ContainerSpec) -> bool:
        if own is None or spec.verb not in LASTING:
            return False
        if own["State"]["Running"]:
            if not engine_states.same_work(own, spec):
                raise engine_states.busy(own, self._job)
            return True
        return engine_states.collectable(own, spec, self._job, _now())

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
                current.previous = engine_states.previous(own)
            self._containers.remove(own["Id"])
        role = task_role()
        spec = with_task_role(spec, self._job, role) if role else spec
        secrets = secret_files.write(self._job, spec.verb, spec.secrets)
        if spec.keyring:
            self._make_keyring(spec, secrets)
        current.container = spec.name  # a signal may come between the engine's deed and its reply
        try:
            current.container = self._containers.make(spec, secrets)
            self._api.start(current.container)
        except (self._api_error, PermafrostError):
            if current.container != spec.name:
                self._containers.remove(current.container)
            current.container = ""
            secret_files.remove(self._job, spec.verb)
            raise

    def _make_keyring(self, spec: ContainerSpec, secrets: str) -> None:
        """Let gpg import the run's keys. They are gone with the run's secrets, and at once when this fails."""
        try:
            container = self._containers.make(import_keys(spec), secrets)
            try:
                self._api.start(container)
                code = self._api.wait(container)["StatusCode"]
                said = self._api.logs(container, tail=_OUTPUT_LINES).decode("utf-8", "replace")
            finally:
                self._containers.remove(container)
            if code:
                raise BadInput(f"gpg cannot import job.encryption.secret_keys: {' '.join(said.split())[-300:]}.")
        except BaseException:
            secret_files.remove(self._job, spec.verb)
            raise

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
                if now - asked > _ASK_SECONDS:
                    deadline = now + _ENGINE_BACK_SECONDS
                if now > deadline:
                    raise
            time.sleep(_ASK_SECONDS)

    def _collect(self, spec: ContainerSpec, current: _Current) -> Finished:
        """What became of the run, from its container or from the task that was here before. Call under the lock."""
        # First what is kept: a killed task may have asked the engine to remove the container, which then is half gone.
        result = host.kept_result(self._job, spec.verb, current.container)
        if result is None:
            result = self._keep(spec, current.container)
        if result is None:
            raise RunVanished(f"The container {spec.name} was removed while the task waited for it.")
        self._containers.remove(current.container)
        log_file = host.kept_log(self._job, spec.verb, current.container)
        return engine_states.finished(result, log_file, attached=current.attached, previous=current.previous)

    def _keep(self, spec: ContainerSpec, container: str) -> dict[str, Any] | None:
        """Put away what the engine knows of a run that ended, before its container goes; None without the container."""
        try:
            found = self._api.inspect_container(container)
            output = self._api.logs(container, tail=_OUTPUT_LINES).decode("utf-8", "replace")
        except self._not_found:
            return None
        result = {**engine_states.ended(found), "output": output}
        secret_files.remove(self._job, spec.verb)  # first: what follows may fail for lack of room
        host.keep_result(self._job, spec.verb, container, result, self._job.keep_logs if spec.verb in LASTING else None)
        return result

    def _stop(self, spec: ContainerSpec, current: _Current) -> None:
        """End the run. One that had ended well by then is left for the next task to collect."""
        if not current.container:
            return
        with contextlib.suppress(self._not_found):
            self._api.stop(current.container, timeout=_STOP_SECONDS)
            with locking.locked(self._job, spec.verb, wait_seconds=None):
                found = self._api.inspect_container(current.container)
                current.container = found["Id"]
                if spec.verb in LASTING and engine_states.ended_well(found, _now()):
                    secret_files.remove(self._job, spec.verb)
                else:
                    self._collect(spec, current)


def _now() -> datetime:
    return datetime.now(timezone.utc)
