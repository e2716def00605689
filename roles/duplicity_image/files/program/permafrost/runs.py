"""The runs of a timer: a backup, an integrity check, a cleanup. What they find goes to log, records and reports."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import cleaning, compose, integrity
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.backing_up import back_up
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, Interrupted, PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import Chain, collect
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from ansible_collections.permafrost.backup.plugins.module_utils.spreading import next_full
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval
from ansible_collections.permafrost.backup.plugins.module_utils.verifying import check_integrity
from permafrost import channels, metrics
from permafrost.local import Local
from permafrost.masking import hide, secrets_of
from permafrost.outcome import Outcome
from permafrost.reports import Reporter

# Compose mounts it; the role duplicity writes it.
JOB_FILE = Path("/run/secrets/job")
# The container has a name of its own; the units tell that of the host.
HOST_VARIABLE = "PERMAFROST_HOST"
# The exit code of a hook that failed.
HOOK_VARIABLE = "PERMAFROST_HOOK"


@dataclass(frozen=True)
class Done:
    """A run that went well, in one line; what is odd about it; and its figures."""

    line: str
    warnings: list[str]
    figures: metrics.Figures = field(default_factory=dict)


Work = Callable[[Archive, dict[str, Any]], Done]


def backup() -> int:
    """Back up, and say in one line what came of it. Raises PermafrostError."""
    return _reported("backup", _back_up)


def verify() -> int:
    """Compare the bucket with its manifests, and say what was looked at. Raises PermafrostError."""
    return _reported("verify", _check)


def cleanup() -> int:
    """Delete what the job's retention says, and say how much. Raises PermafrostError.

    Its job file is another one than that of backups, and what that one says of credentials does not count.
    """
    return _reported("cleanup", _clean)


def hook() -> int:
    """Report a backup that did not start, since a hook before it failed. Raises BadInput."""
    options = job_options()
    job, text, now = Job.from_params(options), os.environ.get(HOOK_VARIABLE, ""), _now()
    if not text.isdigit():
        raise BadInput(f"{HOOK_VARIABLE} is '{text}': the exit code of the hook is wanted.")
    line = f"A hook before the backup ended with {text}, so that nothing was backed up."
    _reporter(job, "backup", options).end(Outcome(job.name, "backup", int(text) or 1, now, now, "", None), line, {})
    return 0


def _back_up(archive: Archive, options: dict[str, Any]) -> Done:
    full = options["schedule"]["spread_fulls"] and full_is_due(archive.job, _now())
    result = back_up(archive, full=full)
    statistics = result["statistics"]
    line = (
        f"{result['action']}: {statistics.get('new_files', 0)} new, {statistics.get('changed_files', 0)} changed, "
        f"{statistics.get('deleted_files', 0)} deleted files; {statistics.get('stored_bytes', 0)} bytes stored in "
        f"{result['elapsed_seconds']:.0f} s"
    )
    figures = metrics.of_statistics(statistics)
    figures["volumes"] = float(result.get("set", {}).get("volumes", 0))
    return Done(line, result["warnings"], figures)


def _check(archive: Archive, options: dict[str, Any]) -> Done:
    del options
    result = check_integrity(archive, frozenset(integrity.DAMAGE))
    return Done(f"whole: {result['set_count']} sets in {result['object_count']} objects", result["warnings"])


def _clean(archive: Archive, options: dict[str, Any]) -> Done:
    del options
    job = archive.job
    if job.retention is None or job.cleanup_credentials is None:
        raise BadInput("The job file is not that of a cleanup: it lacks retention or cleanup_credentials.")
    own = Archive(replace(job, credentials=job.cleanup_credentials), runner=archive.engine)
    result = cleaning.clean(own, job.retention, check_mode=False)
    line = (
        f"deleted {len(result['sets'])} sets in {result['object_count']} objects, {sum(result['size_bytes'].values())} "
        f"bytes; {len(result['kept'])} chains stay"
    )
    return Done(line, result.get("warnings", []))


def full_is_due(job: Job, now: datetime) -> bool:
    """Whether the job's own point in its period has come. duplicity itself looks at the age of the last full.

    The archive directory tells of the last full; where it is lost, so is the point, until the next full.
    """
    period, chains = interval(job.full_if_older_than), _chains(job)
    return bool(chains and period) and next_full(job.url, period, chains[-1].start) <= now


def job_options() -> dict[str, Any]:
    """The checked options of the job. Raises BadInput."""
    try:
        found: dict[str, Any] = json.loads(JOB_FILE.read_text(encoding="utf-8"))["job"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(f"The job file {JOB_FILE} cannot be read: {error}.") from error
    return found


def _chains(job: Job) -> list[Chain]:
    """Those that the archive directory knows of."""
    here = Path(job.archive)
    return collect([path.name for path in here.iterdir()], job.file_prefixes).chains if here.is_dir() else []


def _reported(verb: str, work: Work) -> int:
    """Do the work, and report how it ended, whatever it was that ended it."""
    options = job_options()
    job = Job.from_params(options)
    local = Local(job)
    reporter = _reporter(job, verb, options)
    started = _now()
    try:
        reporter.begin()
        done = work(Archive(job, runner=local, source=job.source_in_container), options)
        for text in done.warnings:
            print(f"warning: {text}")
        print(done.line, flush=True)
    except BaseException as error:
        outcome = _outcome(job, verb, started, _exit_code(error), local.shown)
        with suppress(Interrupted):  # it ends as it would have
            reporter.end(outcome, _said(error), _last_full(job, verb), hurry=isinstance(error, Interrupted))
        raise
    headline = "\n".join([done.line, *(f"warning: {text}" for text in done.warnings)])
    known = {**done.figures, **_last_full(job, verb)}
    with suppress(Interrupted):  # what is done stays done
        reporter.end(_outcome(job, verb, started, 0, local.shown), headline, known)
    return 0


def _reporter(job: Job, verb: str, options: dict[str, Any]) -> Reporter:
    secrets = tuple(secrets_of(options, JOB_OPTIONS))
    found = channels.of_job(job.reports, verb)
    if found.metrics_dir:
        found = replace(found, metrics_dir=compose.METRICS)
    hostname = os.environ.get(HOST_VARIABLE) or socket.gethostname()
    return Reporter(found, hostname, lambda text: hide(text, secrets), f"{job.state_dir}/metrics.json")


def _outcome(job: Job, verb: str, started: datetime, exit_code: int, shown: deque[str]) -> Outcome:
    return Outcome(job.name, verb, exit_code, started, _now(), "".join(shown), None)


def _exit_code(error: BaseException) -> int:
    """duplicity's own where it ran and failed; 1 for what failed before or after."""
    if isinstance(error, PermafrostError):
        return error.facts.get("exit_code") or 1
    if isinstance(error, Interrupted):
        return 128 + signal.Signals[str(error)]
    return 1


def _said(error: BaseException) -> str:
    """What happened, what it means and what to do next, each on a line of its own."""
    if isinstance(error, PermafrostError):
        return f"{error.what}\n{error.meaning}\nNext: {error.next_step}"
    if isinstance(error, Interrupted):
        return f"Ended by {error}."
    return f"{type(error).__name__}: {error}"


def _last_full(job: Job, verb: str) -> metrics.Figures:
    chains = _chains(job) if verb == "backup" else []
    return {"last_full_timestamp_seconds": chains[-1].start.timestamp()} if chains else {}


def _now() -> datetime:
    return datetime.now(timezone.utc)
