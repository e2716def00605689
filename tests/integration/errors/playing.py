"""Many tasks in one run of ansible-playbook, and what each of them said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import play as lab_play

Result = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One task. It may fail: the next ones run all the same."""

    module: str
    options: dict[str, Any]
    check: bool = False


def listed(tasks: Mapping[str, Task]) -> list[dict[str, Any]]:
    """The tasks as a playbook has them."""
    return [
        {
            "name": name,
            lab_play.COLLECTION + task.module: task.options,
            "ignore_errors": True,
            "check_mode": task.check,
        }
        for name, task in tasks.items()
    ]


def start(tasks: Mapping[str, Task], work: Path, *options: str) -> lab_play.Run:
    """The tasks in the background."""
    return lab_play.start(listed(tasks), work, *options)


def results(run: lab_play.Run) -> dict[str, Result]:
    """The results of a run that ended, by the names of its tasks."""
    assert run.code == 0, run.output
    return {task.name: {**task.result, "failed": task.status in ("failed", "ignored")} for task in run.tasks}


def play(tasks: Mapping[str, Task], work: Path, *options: str) -> dict[str, Result]:
    """Run the tasks in order and give their results by name."""
    return results(lab_play.run(listed(tasks), work, *options))


def succeeded(result: Result) -> Result:
    """The result of a task that must not have failed."""
    assert not result["failed"], result
    return result


def refused(result: Result, cause: str, *says: str) -> Result:
    """The result of a task that must have failed for this cause, cleanly, saying what happened and what to do next."""
    assert result["failed"], result
    error = result.get("error")
    assert isinstance(error, dict), result
    assert error["cause"] == cause, result["msg"]
    assert result["msg"] == f"{error['what']} {error['meaning']} Next: {error['next_step']}"
    assert not result["changed"]
    for words in says:
        assert words in result["msg"], f"{words!r} is not in {result['msg']!r}"
    everything = json.dumps(result)
    for stain in ("Traceback", "module_stderr", "MODULE FAILURE", "--- Logging error"):
        assert stain not in everything, everything
    return result
