"""A job's figures in the text format of Prometheus, for the textfile collector of node_exporter. Pure.

A job has one file, with the figures of all its verbs. Between runs they are kept as ``State``, figures by verb.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils import log
from permafrost.outcome import Outcome

# Figure, and what Prometheus is told of it. All are gauges.
FIGURES = {
    "last_run_timestamp_seconds": "When the last run of the verb ended.",
    "last_success_timestamp_seconds": "When the last run of the verb that went well ended.",
    "last_full_timestamp_seconds": "The time of the last full backup that is complete.",
    "duration_seconds": "How long the last run of the verb took.",
    "exit_code": "The exit code of the last run of the verb, 0 when it went well.",
    "read_bytes": "The size of the source at the last backup.",
    "stored_bytes": "What the last backup stored.",
    "volumes": "How many volumes the last backup stored.",
    "next_run_timestamp_seconds": "When the verb runs next.",
}

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


def text(job: str, state: Mapping[str, Mapping[str, float]]) -> str:
    """The file."""
    lines = []
    for figure, meaning in FIGURES.items():
        rows = [(verb, found[figure]) for verb, found in sorted(state.items()) if figure in found]
        if rows:
            name = f"permafrost_{figure}"
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [f'{name}{{job="{_label(job)}",verb="{_label(verb)}"}} {_number(value)}' for verb, value in rows]
    return "".join(f"{line}\n" for line in lines)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
