# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_backup: preflight, run, result, record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import command, host, log, resuming, selection
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.container import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BackendFailed,
    BadInput,
    KeysChanged,
    PermafrostError,
    SourceMissing,
    SourceUnreadable,
    WrongPassphrase,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.inspecting import set_facts
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.survey import Survey
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Back up, or in check mode let duplicity say what it would do."""
    job = Job.from_params(params["job"])
    verb = "check" if check_mode else "backup"
    spec = command.backup(job, host.run_dir(job, verb), full=params["full"], dry_run=check_mode)
    archive = Archive(job)
    new_secrets: list[bool] = []
    survey = None if check_mode else Survey(str(job.source))
    try:
        finished, run = archive.run(spec, lambda: new_secrets.append(_preflight(archive, check_mode, params["full"])))
    except BaseException:
        if survey:
            survey.cancel()
        raise
    result = {**_facts(job, spec, finished, run), "new_secrets": any(new_secrets)}
    if check_mode:
        return _predicted(archive, finished, run, result)
    try:
        result.update(_outcome(archive, finished, run))
        result["not_preserved"] = survey.result() if survey else {}
        _judge(job, run)
    except PermafrostError as error:
        error.result = result
        host.write_record(job, "last_run", _record(finished, error.cause))
        raise
    host.write_record(job, "last_run", _record(finished, None))
    host.write_record(job, "last_success", _record(finished, None))
    return result


def _preflight(archive: Archive, check_mode: bool, full: bool) -> bool:
    """What can be known before a container starts, each with its own message; and whether new secrets begin a chain."""
    source = Path(str(archive.job.source))
    if not source.exists():
        raise SourceMissing(f"The source {source} does not exist on this host.", source=str(source))
    if not source.is_dir():
        raise BadInput(f"The source {source} is not a directory.")
    listing = archive.listing()
    new_secrets = _settle_secrets(archive, listing, full)
    _write_lists(archive.job, "check" if check_mode else "backup")
    if not check_mode:
        archive.forget_finished_parts([one for chain in archive.collection(listing).chains for one in chain.sets])
        resuming.settle(archive.job, new_secrets)
    return new_secrets


def _settle_secrets(archive: Archive, listing: dict[str, S3Object], full: bool) -> bool:
    """Other secrets than those of the newest chain begin a new one when a full was asked for, and never else."""
    try:
        archive.check_encryption(listing)
    except (KeysChanged, WrongPassphrase):
        if not full:
            raise
        return True
    return False


def _write_lists(job: Job, verb: str) -> None:
    """The lists of job.selection, as the container is to read them."""
    source = str(job.source)
    for number, rule in enumerate(job.rules):
        if rule.is_list:
            text = _read_list(rule.value)
            translated = selection.translate_list(text, source, job.source_in_container)
            Path(host.run_dir(job, verb), selection.list_name(number)).write_text(translated, encoding="utf-8")


def _read_list(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"job.selection: the list {path} cannot be read: {error}.") from None


def _facts(job: Job, spec: command.ContainerSpec, finished: Finished, run: log.Run) -> dict[str, Any]:
    result = {
        "changed": False,
        "command": list(spec.argv),
        "attached": finished.attached,
        "resumed": run.resumed,
        "statistics": run.statistics,
        "elapsed_seconds": finished.elapsed_seconds,
        "log_file": host.named_log(job, spec.verb, finished.started),
        "unreadable": _unreadable(job, run),
        "unreadable_count": run.unreadable_count,
        "warnings_of_duplicity": [log.shown(text) for text in run.warnings],
    }
    if finished.previous:
        result["previous_run"] = finished.previous
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


def _unreadable(job: Job, run: log.Run) -> list[str]:
    """Names relative to the source: duplicity's are, or begin with the source's place in the container."""
    place = f"{job.source_in_container}/"
    return [log.shown(name[len(place) :] if name.startswith(place) else name) for name in run.unreadable]


def _judge(job: Job, run: log.Run) -> None:
    if run.unreadable_count and job.on_unreadable == "fail":
        named = _unreadable(job, run)[:5]
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
