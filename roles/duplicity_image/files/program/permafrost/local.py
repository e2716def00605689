"""Run what modules run in containers, inside the container that this is.

I/O. It takes the place of container.Engine: the same job directories, locks, secrets and records, and duplicity as a
child. The host mounts the job's directories at the same paths that they have outside.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections import deque
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import host, locking
from ansible_collections.permafrost.backup.plugins.module_utils.command import import_keys
from ansible_collections.permafrost.backup.plugins.module_utils.container import LASTING, Before
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished, finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, Interrupted
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    KEYRING,
    KEYRING_DIR,
    SECRETS,
    ContainerSpec,
)

# As many lines as the engine's log is asked for.
_OUTPUT_LINES = 200
_STOP_SECONDS = 30


class Local:
    """Runs one argv after another; the job's lock is held for as long as one runs.

    ``shown`` are the last lines of what it showed: those of a backup.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self.shown: deque[str] = deque(maxlen=_OUTPUT_LINES)

    def run(self, spec: ContainerSpec, before: Before | None = None) -> Finished:
        """Run to the end, whatever the exit code is. ``before`` may refuse, make ready, and run short verbs."""
        with locking.locked(self._job, spec.verb):
            host.prepare(self._job, spec.verb)
            if before:
                spec = before() or spec
            _link_places(spec)
            _write_secrets(spec)
            started = _now()
            code, output = _execute(spec, self.shown if spec.verb in LASTING else None)
            return self._keep(spec, started, code, output)

    def has_run(self, spec: ContainerSpec) -> bool:
        """There is no run to attach to: one that is on holds the lock, and its container is another one."""
        del spec
        return False

    def refuse_others(self, spec: ContainerSpec) -> None:
        """The lock has done so."""

    def image_labels(self) -> dict[str, str]:
        """A container does not see those of its own image."""
        return {}

    def _keep(self, spec: ContainerSpec, started: datetime, code: int, output: str) -> Finished:
        ended, run = _now(), uuid.uuid4().hex
        result = {
            "ExitCode": code,
            "StartedAt": started.isoformat(),
            "FinishedAt": ended.isoformat(),
            "output": output,
        }
        kept = self._job.keep_logs if spec.verb in LASTING else None
        host.keep_result(self._job, spec.verb, run, result, kept)
        return finished(result, host.kept_log(self._job, spec.verb, run), attached=False, previous=None)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _link_places(spec: ContainerSpec) -> None:
    """Let the places that an argv names lead to the job's directories. The source is mounted where it names it."""
    for mount in spec.mounts:
        target = Path(mount.target)
        if mount.source == mount.target or (target.exists() and not target.is_symlink()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(mount.source)


def _write_secrets(spec: ContainerSpec) -> None:
    """The run's secret files, on the container's tmpfs; with keys, the keyring that gpg makes of them."""
    for name, content in spec.secrets.items():
        place = Path(KEYRING if name.startswith(f"{KEYRING_DIR}/") else SECRETS, name.removeprefix(f"{KEYRING_DIR}/"))
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(content)
    if spec.keyring:
        code, output = _execute(import_keys(spec))
        if code:
            raise BadInput(f"gpg cannot import job.encryption.secret_keys: {' '.join(output.split())[-300:]}.")


def _execute(spec: ContainerSpec, shown: deque[str] | None = None) -> tuple[int, str]:
    """Exit code and the last lines of what it printed. Ended together with this program.

    With ``shown`` the lines are printed as they come, and added to it.
    """
    # What leads to this program's own code is not for others.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**own, **spec.environment}
    lines: deque[str] = deque(maxlen=_OUTPUT_LINES)
    process: subprocess.Popen[str] = subprocess.Popen(
        spec.argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            lines.append(line)
            if shown is not None:
                shown.append(line)
                sys.stdout.write(line)
                sys.stdout.flush()
        return _code(process.wait()), "".join(lines)
    except (Interrupted, KeyboardInterrupt):
        _end(process)
        raise


def _code(returncode: int) -> int:
    """As an engine tells it: a signal is 128 and its number."""
    return returncode if returncode >= 0 else 128 - returncode


def _end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
        return
    process.kill()
    process.wait()
