# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_backup: preflight, run, result, record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    billed,
    command,
    host,
    log,
    records,
    resuming,
    sources,
)
from ansible_collections.permafrost.backup.plugins.module_utils.anomaly import anomalies
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.economy import advice
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BackendFailed,
    Busy,
    ClockBehind,
    KeysChanged,
    PermafrostError,
    SourceUnreadable,
    StateSpace,
    WrongPassphrase,
)
from ansible_collections.permafrost.backup.plugins.module_utils.following import Follower
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.inspecting import set_facts
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import BackupSet
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ContainerSpec
from ansible_collections.permafrost.backup.plugins.module_utils.survey import Survey
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Back up, or in check mode let duplicity say what it would do."""
    archive = Archive(Job.from_params(params["job"]))
    by_prices = _by_prices(archive.job, params["prices"]) if params["prices"] else None
    result = _check(archive, params["full"]) if check_mode else back_up(archive, params["full"])
    # For people at a task: a timer's run would say the same every night.
    told = advice(archive.job, result["statistics"])
    result["economy"] = told + (by_prices(result["statistics"]) if by_prices else [])
    result["warnings"] += [f"Job {archive.job.name}: {text}" for text in result["economy"]]
    return result


def _by_prices(job: Job, given: dict[str, Any]) -> Callable[[dict[str, int]], list[str]]:
    """What judges a run's statistics by prices. Few tasks give any, and the others need not load all about costs."""
    from ansible_collections.permafrost.backup.plugins.module_utils import economy_by_prices, prices

    table = prices.checked_prices(given)
    return lambda statistics: economy_by_prices.advice(job, statistics, table)


def _check(archive: Archive, full: bool) -> dict[str, Any]:
    spec = command.backup(archive.job, host.run_dir(archive.job, "check"), full=full, dry_run=True)
    finished, run = archive.run(spec, lambda: _preflight(archive, full, check_mode=True))
    return _with_diff(_predicted(archive, finished, run, _facts(archive, spec, finished, run)))


def back_up(archive: Archive, full: bool) -> dict[str, Any]:
    """A backup from its preflight to its record. Also what a timer runs, with another runner."""
    job = archive.job
    spec = command.backup(job, host.run_dir(job, "backup"), full=full, dry_run=False)
    begun = datetime.now(timezone.utc)
    try:
        with _watching(archive) as survey:
            finished, run = archive.run(spec, lambda: _preflight(archive, full, check_mode=False))
            result = _facts(archive, spec, finished, run)
            _complete(archive, finished, run, survey, result)
    except Busy:
        raise  # the run that is on writes its own record
    except PermafrostError as error:
        with suppress(StateSpace):  # it must not stand in the place of why the run failed
            records.write(job, "last_run", _failed(error, begun))
        raise
    record = {
        **_record(finished, None),
        "source_files": run.statistics.get("source_files"),
        "unreadable_count": run.unreadable_count,
        "sign_key": job.encryption.sign_key,
    }
    _with_diff(result)
    try:
        records.write(job, "last_run", record)
        records.write(job, "last_success", record)
    except StateSpace as error:
        error.result = result  # the set is in the bucket all the same
        raise
    return result


@contextmanager
def _watching(archive: Archive) -> Iterator[Survey]:
    """What goes on beside the container: the count of what duplicity does not keep, and the progress file."""
    survey = Survey(archive.source)
    follower = Follower(archive.job, "backup") if archive.job.progress else None
    ended_well = False
    try:
        yield survey
        ended_well = True
    finally:
        survey.close()
        if follower:
            follower.close(finished=ended_well)


def _complete(archive: Archive, finished: Finished, run: log.Run, survey: Survey, result: dict[str, Any]) -> None:
    """Fill the result, and raise what makes the run a failure."""
    result["log_file"] = host.named_log(archive.job, "backup", finished.started)
    try:
        result.update(_outcome(archive, finished, run))
        result["not_preserved"] = survey.result()
        last = records.read(archive.job, "last_success") or {}
        result["anomaly"] = anomalies(run.statistics, last.get("source_files"))
        result["warnings"] += [f"Job {archive.job.name}: {text}" for text in result["anomaly"]]
        _judge(archive.job, run)
    except PermafrostError as error:
        error.result = result
        error.facts.setdefault("exit_code", finished.exit_code)
        raise


def _preflight(archive: Archive, full: bool, *, check_mode: bool) -> None:
    """What can be known before a container starts, each with its own message."""
    job = archive.job
    sources.require(archive.source)
    if not check_mode:
        resuming.await_uploads(job)
    listing = archive.listing()
    sets = [one for chain in archive.collection(listing).chains for one in chain.sets]
    _check_clock(sets)
    if not job.has_credentials and job.network != "host":
        # What the host can do in S3 the container may not: only it can tell whether it gets the role.
        archive.succeed(command.list_sets(job, host.run_dir(job, "info")))
    archive.new_secrets = _new_secrets(archive, listing, full)
    lists = sources.write_lists(job, "check" if check_mode else "backup")
    interrupted = archive.collection(listing).interrupted
    if check_mode:
        resumes = resuming.foreseen(job, archive.source, interrupted, listing)
    else:
        archive.forget_finished_parts(sets)
        resuming.forget_others(job, [*command.contents(job, archive.source), *lists], archive.new_secrets)
        resumes = resuming.settle(job, archive.source, interrupted, listing)
    if resumes:
        archive.rewrites = resuming.rewritten(job, interrupted, listing)


def _new_secrets(archive: Archive, listing: dict[str, S3Object], full: bool) -> bool:
    """Other secrets than those of the newest chain begin a new one when a full was asked for, and never else."""
    try:
        archive.check_encryption(listing)
        if archive.collection(listing).chains:
            _check_signer(archive.job)
    except (KeysChanged, WrongPassphrase):
        if not full:
            raise
        return True
    return False


def _check_signer(job: Job) -> None:
    """Who signed is inside the encryption, so only a host that remembers its last success can tell."""
    last, now = records.read(job, "last_success") or {}, job.encryption.sign_key
    before = last.get("sign_key", now)
    if before != now:
        raise KeysChanged(
            f"The last backup was signed {_by(before)}, and with job.encryption this one would be signed {_by(now)}."
        )


def _by(signer: str | None) -> str:
    return f"by {signer}" if signer else "by nobody"


def _check_clock(sets: list[BackupSet]) -> None:
    newest = max((one.end for one in sets), default=None)
    now = datetime.now(timezone.utc)
    if newest and now < newest:
        raise ClockBehind(
            f"The clock of this host says {to_w3(now)}, and the newest set is of {to_w3(newest)}.", newest=to_w3(newest)
        )


def _facts(archive: Archive, spec: ContainerSpec, finished: Finished, run: log.Run) -> dict[str, Any]:
    job = archive.job
    rewrites = None if run.begun_anew else _rewrites(archive)
    result = {
        "changed": False,
        "command": list(spec.argv),
        "attached": finished.attached,
        "resumed": run.resumed,
        "new_secrets": archive.new_secrets,
        "statistics": run.statistics,
        "elapsed_seconds": finished.elapsed_seconds,
        "unreadable": sources.unreadable(job, run),
        "unreadable_count": run.unreadable_count,
        "warnings_of_duplicity": [log.shown(text) for text in run.warnings],
        "rewrites": rewrites,
        "warnings": [
            *([_told(job, rewrites)] if rewrites and rewrites["early_days"] else []),
            *([_of_left_over(job, run.left_over)] if run.left_over else []),
        ],
    }
    if finished.previous:
        result["previous_run"] = finished.previous
    return result


def _rewrites(archive: Archive) -> dict[str, Any] | None:
    """What this run writes anew of an interrupted one, and for how long S3 goes on billing the old volumes."""
    if not archive.rewrites:
        return None
    now = datetime.now(timezone.utc)
    return {
        "key": archive.rewrites[0].key,
        "size_bytes": sum(one.size_bytes for one in archive.rewrites),
        "storage_class": archive.rewrites[0].storage_class,
        "early_days": max(billed.days_left(one, now) for one in archive.rewrites),
    }


def _told(job: Job, rewrites: dict[str, Any]) -> str:
    return (
        f"Job {job.name}: to go on with an interrupted backup, what is stored from {rewrites['key']} on is written "
        f"anew. S3 bills the {rewrites['size_bytes']} bytes of the old volumes, in {rewrites['storage_class']}, for "
        f"{rewrites['early_days']} days more."
    )


def _of_left_over(job: Job, said: str) -> str:
    return (
        f"Job {job.name}: {said} It could not be deleted, so a new chain begins beside it. With credentials that may, "
        "duplicity_cleanup deletes it when it is older than orphan_age."
    )


def _with_diff(result: dict[str, Any]) -> dict[str, Any]:
    """What the bucket gains, for --diff: a backup only ever adds a set."""
    gained = {name: result["statistics"].get(name, 0) for name in ("new_files", "changed_files", "deleted_files")}
    result["diff"] = {"before": {}, "after": {"set": result["action"], **gained} if result["changed"] else {}}
    return result


def _predicted(archive: Archive, finished: Finished, run: log.Run, result: dict[str, Any]) -> dict[str, Any]:
    """Check mode: duplicity's dry run counts what it would store."""
    if finished.exit_code:
        raise archive.failure(finished, run)
    full = result["command"][1] == "full" or run.full or not run.last_full
    result["action"] = "full" if full else "incremental"
    stores = run.statistics.get("delta_entries", 0) > 0 or not archive.job.skip_if_no_change
    result["changed"] = full or run.resumed or stores
    if not result["changed"]:
        result["action"] = "skipped"
    try:
        _judge(archive.job, run)
    except PermafrostError as error:
        error.result = {**result, "changed": False}
        raise
    return result


def _outcome(archive: Archive, finished: Finished, run: log.Run) -> dict[str, Any]:
    """What the bucket holds now: a set counts only when its manifest is there."""
    if finished.exit_code:
        raise archive.failure(finished, run)
    if run.skipped:
        return {"action": "skipped", "changed": False}
    listing = archive.listing()
    chains = archive.collection(listing).chains
    newest = max((one for chain in chains for one in chain.sets), key=lambda one: one.end, default=None)
    if newest is None or (newest.end < finished.started and not run.resumed):
        raise BackendFailed("duplicity ended well, but the manifest of its set is not in the bucket.")
    return {"action": newest.kind, "changed": True, "set": set_facts(newest, listing)}


def _judge(job: Job, run: log.Run) -> None:
    if run.unreadable_count and job.on_unreadable == "fail":
        named = sources.unreadable(job, run)[:5]
        more = run.unreadable_count - len(named)
        raise SourceUnreadable(
            f"{run.unreadable_count} files or directories of the source could not be read: "
            + ", ".join(named + ([f"and {more} more"] if more else []))
            + ".",
            unreadable_count=run.unreadable_count,
        )


def _record(finished: Finished, cause: str | None) -> dict[str, Any]:
    return {
        "started": to_w3(finished.started),
        "finished": to_w3(finished.finished),
        "exit_code": finished.exit_code,
        "cause": cause,
    }


def _failed(error: PermafrostError, begun: datetime) -> dict[str, Any]:
    """The record of a run that failed, also of one that was refused before anything started."""
    now = datetime.now(timezone.utc)
    return {
        "started": to_w3(begun),
        "finished": to_w3(now),
        "exit_code": error.facts.get("exit_code"),
        "cause": error.cause,
        "unreadable_count": error.result.get("unreadable_count"),
    }
