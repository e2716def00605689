"""engine_states.py: what the engine's replies mean for a task that finds a container."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import command, engine_states
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    ARCHIVE,
    LABEL_COMMAND,
    LABEL_VERB,
)
from unit.stage import job_params

JOB = Job.from_params(job_params())
SPEC = command.backup(JOB, "/run-dir", full=False, dry_run=False)
# As an engine told it of a container whose process printed the time 21:36:44.731.
FOUND = {
    "Id": "4f0c",
    "Name": "/permafrost-web01-data-backup",
    "Created": "2026-11-25T21:36:44.563304524Z",
    "Config": {"Labels": {LABEL_VERB: "backup", LABEL_COMMAND: SPEC.identity}},
    "Mounts": [
        {"Source": "/srv/data", "Destination": "/source/srv/data"},
        {"Source": JOB.archive_dir, "Destination": ARCHIVE},
    ],
    "State": {
        "Status": "exited",
        "Running": False,
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-11-25T21:36:44.739227036Z",
        "FinishedAt": "2026-11-25T21:36:44.737795946Z",
    },
}
END = datetime(2026, 11, 25, 21, 36, 44, 737795, tzinfo=timezone.utc)


def found(**state: Any) -> dict[str, Any]:
    """The container, with another state."""
    changed = deepcopy(FOUND)
    changed["State"] |= state
    return changed


def test_a_run_begins_before_its_process() -> None:
    assert engine_states.ended(FOUND) == {
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-11-25T21:36:44.563304524Z",
        "FinishedAt": "2026-11-25T21:36:44.737795946Z",
    }


def test_what_became_of_a_run() -> None:
    kept = {**engine_states.ended(found(ExitCode=137, OOMKilled=True)), "output": "Killed"}
    run = engine_states.finished(kept, "/log", attached=True, previous={"exit_code": 23})
    assert (run.exit_code, run.output, run.log_file, run.out_of_memory) == (137, "Killed", "/log", True)
    assert (run.attached, run.previous) == (True, {"exit_code": 23})
    assert run.started == run.finished == END.replace(microsecond=0)
    assert run.elapsed_seconds == pytest.approx(0.174491)
    without = {name: value for name, value in kept.items() if name != "OOMKilled"}  # kept by a timer's run
    assert not engine_states.finished(without, "/log", attached=False, previous=None).out_of_memory


@pytest.mark.parametrize(
    ("state", "after", "well"),
    [
        ({}, timedelta(0), True),
        ({}, timedelta(minutes=59), True),
        ({}, timedelta(hours=1), False),
        ({"ExitCode": 23}, timedelta(0), False),
        ({"Status": "running"}, timedelta(0), False),
        ({"Status": "created"}, timedelta(0), False),
    ],
)
def test_a_result_is_good_for_an_hour(state: dict[str, Any], after: timedelta, well: bool) -> None:
    assert engine_states.ended_well(found(**state), END + after) == well
    assert engine_states.collectable(found(**state), SPEC, JOB, END + after) == well


def test_a_result_is_collected_for_the_same_work_of_the_same_job_alone() -> None:
    full = command.backup(JOB, "/run-dir", full=True, dry_run=False)
    assert not engine_states.collectable(FOUND, full, JOB, END)
    assert not engine_states.same_work(FOUND, full)
    namesake = Job.from_params(job_params(state_dir="/elsewhere"))
    assert not engine_states.collectable(FOUND, SPEC, namesake, END)
    assert not engine_states.same_place(FOUND, namesake)
    assert not engine_states.same_place({**FOUND, "Mounts": []}, JOB)


def test_who_has_to_wait_is_told_for_what() -> None:
    error = engine_states.busy(FOUND, JOB)
    assert error.what == (
        "The backup of job web01-data runs since 2026-11-25T21:36:44Z (container permafrost-web01-data-backup)."
    )
    assert error.facts == {"verb": "backup", "since": "2026-11-25T21:36:44Z"}
    stranger = {**FOUND, "Config": {"Labels": {}}}
    assert engine_states.verb(stranger) == ""
    assert engine_states.busy(stranger, JOB).facts["verb"] == "?"


def test_what_is_told_of_an_earlier_run() -> None:
    assert engine_states.previous(found(ExitCode=23)) == {
        "exit_code": 23,
        "started": "2026-11-25T21:36:44Z",
        "finished": "2026-11-25T21:36:44Z",
    }
    assert engine_states.previous(found(Status="created")) is None
