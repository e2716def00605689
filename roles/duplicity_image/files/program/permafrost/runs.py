"""The runs of a timer: a backup, an integrity check, a cleanup. What they find goes to the log and to the records."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import cleaning, integrity
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.backing_up import back_up
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import collect
from ansible_collections.permafrost.backup.plugins.module_utils.spreading import next_full
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval
from ansible_collections.permafrost.backup.plugins.module_utils.verifying import check_integrity
from permafrost.local import Local

# Compose mounts it; the role duplicity writes it.
JOB_FILE = Path("/run/secrets/job")


def backup() -> int:
    """Back up, and say in one line what came of it. Raises PermafrostError."""
    options = job_options()
    archive = _archive(options)
    full = options["schedule"]["spread_fulls"] and full_is_due(archive.job, datetime.now(timezone.utc))
    result = back_up(archive, full=full)
    _say(result["warnings"])
    statistics = result["statistics"]
    print(
        f"{result['action']}: {statistics.get('new_files', 0)} new, {statistics.get('changed_files', 0)} changed, "
        f"{statistics.get('deleted_files', 0)} deleted files; {statistics.get('stored_bytes', 0)} bytes stored in "
        f"{result['elapsed_seconds']:.0f} s"
    )
    return 0


def verify() -> int:
    """Compare the bucket with its manifests, and say what was looked at. Raises PermafrostError."""
    result = check_integrity(_archive(job_options()), frozenset(integrity.DAMAGE))
    _say(result["warnings"])
    print(f"whole: {result['set_count']} sets in {result['object_count']} objects")
    return 0


def cleanup() -> int:
    """Delete what the job's retention says, and say how much. Raises PermafrostError.

    Its job file is another one than that of backups, and what that one says of credentials does not count.
    """
    job = Job.from_params(job_options())
    if job.retention is None or job.cleanup_credentials is None:
        raise BadInput("The job file is not that of a cleanup: it lacks retention or cleanup_credentials.")
    archive = Archive(replace(job, credentials=job.cleanup_credentials), runner=Local(job))
    result = cleaning.clean(archive, job.retention.rules(datetime.now(timezone.utc)), check_mode=False)
    _say(result.get("warnings", []))
    print(
        f"deleted {len(result['sets'])} sets in {result['object_count']} objects, {sum(result['size_bytes'].values())} "
        f"bytes; {len(result['kept'])} chains stay"
    )
    return 0


def full_is_due(job: Job, now: datetime) -> bool:
    """Whether the job's own point in its period has come. duplicity itself looks at the age of the last full.

    The archive directory tells of the last full; where it is lost, so is the point, until the next full.
    """
    here, period = Path(job.archive), interval(job.full_if_older_than)
    chains = collect([path.name for path in here.iterdir()], job.file_prefixes).chains if here.is_dir() else []
    return bool(chains and period) and next_full(job.url, period, chains[-1].start) <= now


def job_options() -> dict[str, Any]:
    """The checked options of the job. Raises BadInput."""
    try:
        found: dict[str, Any] = json.loads(JOB_FILE.read_text(encoding="utf-8"))["job"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(f"The job file {JOB_FILE} cannot be read: {error}.") from error
    return found


def _say(warnings: list[str]) -> None:
    for text in warnings:
        print(f"warning: {text}")


def _archive(options: dict[str, Any]) -> Archive:
    job = Job.from_params(options)
    return Archive(job, runner=Local(job), source=job.source_in_container)
