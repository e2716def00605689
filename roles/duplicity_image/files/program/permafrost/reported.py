"""Tells of the scheduler's runs: a line in the log for each, and what the guide's environment asks for. I/O.

The runs of a job file report themselves, as those of a timer do.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime

from permafrost.channels import Channels
from permafrost.masking import mask
from permafrost.outcome import Outcome
from permafrost.reports import Reporter
from permafrost.timetable import Task


class Told:
    """``channels`` are those of each job that has some, by its name; ``say`` writes a line of the log."""

    def __init__(self, say: Callable[[str], None], channels: Mapping[str, Channels]) -> None:
        self._say, self._channels = say, channels
        self._reporters: dict[str, Reporter] = {}

    def begin(self, task: Task) -> None:
        """A run of this job begins."""
        if task.name in self._channels:
            self._reporter(task.name).begin()

    def end(self, outcome: Outcome, next_turn: datetime) -> None:
        """A run ended, or did not even begin."""
        seconds = (outcome.finished - outcome.started).total_seconds()
        how = f"failed with exit code {outcome.exit_code}" if outcome.exit_code else "ended well"
        self._say(f"{outcome.job}: {outcome.verb} {how} after {seconds:.0f} s")
        if outcome.job in self._channels:
            self._reporter(outcome.job).end(outcome, next_run=next_turn)
            del self._reporters[outcome.job]

    def _reporter(self, name: str) -> Reporter:
        if name not in self._reporters:
            self._reporters[name] = Reporter(self._channels[name], socket.gethostname(), _masked)
        return self._reporters[name]


def _masked(text: str) -> str:
    return mask(text, os.environ)
