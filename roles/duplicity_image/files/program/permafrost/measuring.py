"""Writes a job's file of metrics. I/O."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import figures
from permafrost import metrics
from permafrost.outcome import Outcome


def write(directory: str, figures_file: str | None, outcome: Outcome, found: metrics.Figures) -> None:
    """Add a run's figures to those of the job, and replace its file in one step. Raises OSError.

    node_exporter reads whatever ends in ``.prom``, at any moment.
    """
    shown = Path(directory, f"permafrost-{outcome.job.replace('/', '_')}.prom")
    kept = Path(figures_file) if figures_file else shown.with_suffix(".json")
    # Another verb of the job may end at the same moment.
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = metrics.updated(_state(kept), outcome.verb, found)
        _replace(kept, json.dumps(state, indent=1, sort_keys=True), 0o600)
        _replace(shown, figures.text(outcome.job, state), 0o644)


def _state(path: Path) -> metrics.State:
    with contextlib.suppress(OSError, ValueError):
        return metrics.checked(json.loads(path.read_text(encoding="utf-8")))
    return {}


def _replace(path: Path, text: str, mode: int) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)
