"""records.py: the history of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import host, records
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit import transcript


def keep(job: Job, number: int, verb: str = "backup", log: str | None = "incremental", logs: int | None = 3) -> None:
    """A run ends, as an engine or a timer tells it."""
    host.prepare(job, verb)
    if log:
        Path(host.run_dir(job, verb), "duplicity.log").write_text(transcript.load(log).log, encoding="utf-8")
    result: dict[str, Any] = {
        "ExitCode": 0 if log else 50,
        "StartedAt": f"2026-11-01T02:{number // 60:02}:{number % 60:02}.123456789Z",
        "FinishedAt": "2026-11-01T03:00:00.623456+00:00",
        "output": "",
    }
    host.keep_result(job, verb, f"{verb}{number:06}", result, logs)


def test_runs_are_remembered(job: Job) -> None:
    assert records.history(job) == []
    keep(job, 0)
    keep(job, 1, log=None)
    keep(job, 2, verb="restore")
    keep(job, 3, verb="info", logs=None)
    stored = records.history(job)[0]["stored_bytes"]
    assert stored > 1000
    assert f"TotalDestinationSizeChange {stored} " in transcript.load("incremental").log
    assert records.history(job) == [
        {"time": f"2026-11-01T02:00:0{number}Z", "verb": verb, "exit_code": code, "elapsed_seconds": 3600.5 - number,
         "stored_bytes": size}
        for number, (verb, code, size) in enumerate([("backup", 0, stored), ("backup", 50, None), ("restore", 0, None)])
    ]  # fmt: skip


def test_a_run_is_remembered_once(job: Job) -> None:
    keep(job, 0)
    kept = next(Path(job.state_dir, "runs").glob("backup.*"))
    kept.rename(kept.with_name("elsewhere"))  # as if the task had been killed before it put the run away
    keep(job, 0)
    assert len(records.history(job)) == 1


def test_the_history_is_bounded_and_survives_damage(job: Job) -> None:
    path = Path(job.state_dir, "history.json")
    keep(job, 0)
    (run,) = records.history(job)
    runs = [{**run, "time": f"2026-10-01T00:00:00Z {number}"} for number in range(400)]
    path.write_text(json.dumps({"runs": runs}))
    keep(job, 5)
    assert [one["time"] for one in records.history(job)] == [*(one["time"] for one in runs[1:]), "2026-11-01T02:00:05Z"]
    path.write_text('{"runs": [')
    keep(job, 6)
    assert [one["time"] for one in records.history(job)] == ["2026-11-01T02:00:06Z"]
