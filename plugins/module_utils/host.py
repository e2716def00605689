# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directories of a job's runs on the host, and what stays there of each run.

I/O. Everything lies below ``<state_dir>/<job>`` (0700, root) but for secrets (secret_files.py), and for the staging
directory of a restore, which must be on the file system of its destination (placing.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import archive_dir, disk, log, records
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp

_RESULT = "result.json"


def run_dir(job: Job, verb: str) -> str:
    """Where a running verb's log and copies of manifests lie."""
    return f"{job.state_dir}/runs/{verb}"


def prepare(job: Job, verb: str) -> None:
    """Fresh run and temporary directories, and the archive directory. Call under the lock, with nothing running."""
    archive_dir.refuse_foreign(job)
    for path in (run_dir(job, verb), job.temp_dir):
        shutil.rmtree(path, ignore_errors=True)
    for path in (run_dir(job, verb), job.temp_dir, job.archive_dir):
        disk.make_private(path)
    disk.require_room(job)


def write_file(job: Job, verb: str, name: str, content: bytes) -> None:
    """A file for the container of a verb, in its run directory. Call after ``prepare``."""
    place = Path(run_dir(job, verb), name)
    with disk.writing(place):
        place.write_bytes(content)


def keep_result(job: Job, verb: str, container: str, result: dict[str, Any], logs: int | None) -> None:
    """Put the run directory away with what became of the run, for all tasks that wait for it. Call under the lock.

    The last ``logs`` run directories of the verb stay, and their logs under names that people find; the run is noted in
    the history. Without a number the verb only reads: its last run directory stays, and no named log.
    """
    kept = _kept(job, verb, container)
    if kept.exists():
        return
    current = Path(run_dir(job, verb))
    disk.make_private(str(current))
    with disk.writing(current):
        (current / _RESULT).write_text(json.dumps(result), encoding="utf-8")
        if logs is not None:
            records.remember(job, verb, result, current / log.FILE_NAME)
            _name_log(job, verb, current, result["StartedAt"], logs)
        current.rename(kept)  # last, for it says that the rest is done
    by_age = sorted(kept.parent.glob(f"{verb}.*"), key=lambda one: one.stat().st_mtime)
    for old in by_age[: -(logs or 1)]:
        shutil.rmtree(old, ignore_errors=True)


def _name_log(job: Job, verb: str, current: Path, started: str, logs: int) -> None:
    """Give a run's log a second name that people find: the verb and the UTC time of its start."""
    place = Path(job.state_dir, "logs")
    disk.make_private(str(place))
    stamp = re.sub(r"[-:]", "", started[:19]) + "Z"
    # duplicity may not have come so far
    with disk.writing(place), suppress(FileNotFoundError, FileExistsError):
        os.link(current / log.FILE_NAME, place / f"{verb}-{stamp}.log")
    for old in sorted(place.glob(f"{verb}-*.log"))[:-logs]:
        old.unlink(missing_ok=True)


def named_log(job: Job, verb: str, started: datetime) -> str:
    """The name that ``keep_result`` gave to the log of a run that began then."""
    return str(Path(job.state_dir, "logs", f"{verb}-{to_stamp(started)}.log"))


def kept_result(job: Job, verb: str, container: str) -> dict[str, Any] | None:
    """What ``keep_result`` kept of the run in this container, or None."""
    try:
        result: dict[str, Any] = json.loads((_kept(job, verb, container) / _RESULT).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return result


def kept_log(job: Job, verb: str, container: str) -> str:
    """Where the log of a run lies once its result is kept."""
    return str(_kept(job, verb, container) / log.FILE_NAME)


def _kept(job: Job, verb: str, container: str) -> Path:
    return Path(f"{run_dir(job, verb)}.{container[:12]}")
