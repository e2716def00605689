# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a job's runs leave on this host for later tasks and the operator: records, and the history of runs.

I/O. A record is ``<name>.json`` beside the archive directory.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import disk, log
from ansible_collections.permafrost.backup.plugins.module_utils.errors import StateSpace
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.locking import lock_file
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_engine, to_w3

_HISTORY = "history"
_HISTORY_RUNS = 400
# duplicity's statistics are the last that it logs.
_LOG_TAIL = 65536


def write(job: Job, name: str, record: dict[str, Any]) -> None:
    """Replace the record in one step.

    Under a lock of its own, so that progress is written while a run holds the job's to its end.
    """
    with lock_file(job, "records.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        final = Path(job.state_dir, f"{name}.json")
        draft = final.with_suffix(".json.new")
        try:
            with disk.writing(final), draft.open("w", encoding="utf-8") as handle:
                json.dump(record, handle, indent=1, sort_keys=True)
                handle.flush()
                os.fsync(handle.fileno())
        except StateSpace:
            draft.unlink(missing_ok=True)
            raise
        draft.replace(final)


def read(job: Job, name: str) -> dict[str, Any] | None:
    """The record, or None when there is none yet, or one that a power failure cut off."""
    try:
        record: dict[str, Any] = json.loads(Path(job.state_dir, f"{name}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record


def forget(job: Job, name: str) -> None:
    """Take the record away; without one it does nothing."""
    Path(job.state_dir, f"{name}.json").unlink(missing_ok=True)


def history(job: Job) -> list[dict[str, Any]]:
    """The last runs of backups, restores and verifies on this host, oldest first."""
    runs: list[dict[str, Any]] = (read(job, _HISTORY) or {}).get("runs", [])
    return runs


def remember(job: Job, verb: str, result: dict[str, Any], log_file: Path) -> None:
    """Add a run with that log to the history. A task that was killed just after has added it already."""
    started, finished = from_engine(result["StartedAt"]), from_engine(result["FinishedAt"])
    run = {
        "time": to_w3(started),
        "verb": verb,
        "exit_code": result["ExitCode"],
        "elapsed_seconds": round((finished - started).total_seconds(), 1),
        "stored_bytes": _stored_bytes(log_file) if verb == "backup" else None,
    }
    before = [one for one in history(job) if (one["time"], one["verb"]) != (run["time"], verb)]
    write(job, _HISTORY, {"runs": [*before, run][-_HISTORY_RUNS:]})


def _stored_bytes(path: Path) -> int | None:
    """What a backup stored, by the end of its log; None for one that did not come so far."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - _LOG_TAIL))
            lines = handle.read().decode("utf-8", "surrogateescape").split("\n")
    except FileNotFoundError:
        return None
    return log.summarize(log.parse(lines)).statistics.get("stored_bytes")
