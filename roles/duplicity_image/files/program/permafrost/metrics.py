"""A job's figures, as runs tell them. Pure; the shared figures.py has their meanings and the text format.

A job has one file, with the figures of all its verbs. Between runs they are kept as ``State``, figures by verb.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils import log
from ansible_collections.permafrost.backup.plugins.module_utils.figures import FIGURES
from permafrost.outcome import Outcome

Figures = dict[str, float]
State = dict[str, Figures]


def figures(outcome: Outcome, known: Mapping[str, float], next_run: datetime | None = None) -> Figures:
    """The figures of a run. ``known`` are those that only the run itself can tell: bytes, volumes, the last full."""
    found = {name: float(value) for name, value in known.items() if name in FIGURES}
    found["last_run_timestamp_seconds"] = outcome.finished.timestamp()
    found["duration_seconds"] = max(0.0, (outcome.finished - outcome.started).total_seconds())
    found["exit_code"] = float(outcome.exit_code)
    if outcome.exit_code == 0:
        found["last_success_timestamp_seconds"] = outcome.finished.timestamp()
    if next_run:
        found["next_run_timestamp_seconds"] = next_run.timestamp()
    return found


def of_statistics(statistics: Mapping[str, int]) -> Figures:
    """The figures in duplicity's statistics."""
    names = {"source_bytes": "read_bytes", "stored_bytes": "stored_bytes"}
    return {figure: float(statistics[name]) for name, figure in names.items() if name in statistics}


def of_output(output: str) -> Figures:
    """The figures in what duplicity prints at the end of a backup."""
    printed = log.Event("NOTICE", 1, "", output)
    return of_statistics(log.summarize([printed]).statistics)


def updated(state: Mapping[str, Mapping[str, float]], verb: str, found: Mapping[str, float]) -> State:
    """The state after a run: what it does not know stays as it was, as do other verbs."""
    return {**{name: dict(old) for name, old in state.items()}, verb: {**state.get(verb, {}), **found}}


def checked(state: object) -> State:
    """A state that was read from a file; what is none in it is left out."""
    if not isinstance(state, dict):
        return {}
    return {
        str(verb): {name: float(value) for name, value in found.items() if name in FIGURES and _is_number(value)}
        for verb, found in state.items()
        if isinstance(found, dict)
    }


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
