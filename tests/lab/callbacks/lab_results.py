"""A callback that writes each task's result as a line of JSON to the file LAB_RESULTS, beside the usual output."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: lab_results
type: aggregate
short_description: Results of tasks as lines of JSON
description:
  - For the tests and the demo of this collection, which look at results while people read the log.
"""


class CallbackModule(CallbackBase):
    """One line a task and host, as soon as it ended; keys are task, action, host, status and result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "lab_results"

    def _write(self, status: str, event: Any) -> None:
        line = {
            "task": event.task_name,
            "action": event._task.action,
            "host": event._host.get_name(),
            "status": status,
            "result": event._result,
        }
        with Path(os.environ["LAB_RESULTS"]).open("a", encoding="utf-8") as results:
            results.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)
