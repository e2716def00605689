# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the engine says of a container, and what that means for the task that looks at it.

Pure: ``found`` is always the reply to an inspection.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import Busy
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    ARCHIVE,
    LABEL_COMMAND,
    LABEL_VERB,
    ContainerSpec,
)
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_engine

# An uncollected result that is older than this is told, but does not stand in for the backup that was asked for now.
_COLLECT_WITHIN = timedelta(hours=1)


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


def verb(found: dict[str, Any]) -> str:
    """The verb that a container runs."""
    label: str = found["Config"]["Labels"].get(LABEL_VERB, "")
    return label


def same_place(found: dict[str, Any], job: Job) -> bool:
    """Whether it is of this job, and not of one with the same name and another state directory."""
    places = [one["Source"] for one in found["Mounts"] if one["Destination"] == ARCHIVE]
    return places == [job.archive_dir]


def same_work(found: dict[str, Any], spec: ContainerSpec) -> bool:
    """Whether it does what the spec's run would do."""
    return bool(found["Config"]["Labels"].get(LABEL_COMMAND) == spec.identity)


def busy(found: dict[str, Any], job: Job) -> Busy:
    """What is raised when a task has to wait for it."""
    what, since = found["Config"]["Labels"].get(LABEL_VERB, "?"), _second(found["State"]["StartedAt"])
    name = found["Name"].lstrip("/")
    return Busy(f"The {what} of job {job.name} runs since {since} (container {name}).", verb=what, since=since)


def ended(found: dict[str, Any]) -> dict[str, Any]:
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


def ended_well(found: dict[str, Any], now: datetime) -> bool:
    """Whether it ended without an error, and so lately that its result is one of now."""
    state = found["State"]
    return bool(
        state["Status"] == "exited"
        and state["ExitCode"] == 0
        and now - from_engine(state["FinishedAt"]) < _COLLECT_WITHIN
    )


def collectable(found: dict[str, Any], spec: ContainerSpec, job: Job, now: datetime) -> bool:
    """Whether a task takes the result of this container for that of the run that it was to start."""
    return ended_well(found, now) and same_work(found, spec) and same_place(found, job)


def previous(found: dict[str, Any]) -> dict[str, Any] | None:
    """What is told of an earlier run that nobody collected; a container that never started tells nothing."""
    state = found["State"]
    if state["Status"] == "created":
        return None
    return {
        "exit_code": state["ExitCode"],
        "started": _second(state["StartedAt"]),
        "finished": _second(state["FinishedAt"]),
    }


def finished(result: dict[str, Any], log_file: str, *, attached: bool, previous: dict[str, Any] | None) -> Finished:
    """What became of a run, from what was kept of it."""
    began, end = from_engine(result["StartedAt"]), from_engine(result["FinishedAt"])
    return Finished(
        exit_code=result["ExitCode"],
        output=result["output"],
        log_file=log_file,
        started=began.replace(microsecond=0),
        finished=end.replace(microsecond=0),
        elapsed_seconds=(end - began).total_seconds(),
        attached=attached,
        previous=previous,
        out_of_memory=bool(result.get("OOMKilled")),
    )


def _second(text: str) -> str:
    return text[:19] + "Z"
