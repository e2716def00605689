# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_verify: the bucket against its manifests, or the backup against the source."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    command,
    destination,
    estimate,
    glacier,
    host,
    integrity,
    log,
    sources,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.differences import DELETED, Difference, Verified
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    AccessRefused,
    IntegrityFailed,
    NoBackup,
    PermafrostError,
    VerifyDiffers,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.reading import read_manifests
from ansible_collections.permafrost.backup.plugins.module_utils.restoring import readable_plan
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ContainerSpec
from ansible_collections.permafrost.backup.plugins.module_utils.times import moment, to_w3


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Verify; nothing is changed and nothing thawed."""
    job = Job.from_params(params["job"])
    if params["mode"] == "source":
        return _source(job, params, check_mode)
    return check_integrity(Archive(job), frozenset(params["fail_on"]))


# --- the bucket against its manifests -------------------------------------------------------------------------------


def check_integrity(archive: Archive, fail_on: frozenset[str]) -> dict[str, Any]:
    """Compare the bucket with its manifests. Also what a timer runs, with another runner."""
    job = archive.job
    # What a backup has not finished yet would look like an interrupted one.
    archive.engine.refuse_others(command.fetch_metadata(job, host.run_dir(job, "info")))
    current = archive.listing()
    older = archive.use_older()
    listing = {**current, **older}
    found = archive.collection(listing)
    sets = [one for chain in found.chains for one in chain.sets]
    uploads = _uploads(archive)
    findings = integrity.overwritten(found, current, older) + integrity.examine(
        listing,
        found,
        read_manifests(archive, sets, listing),
        uploads or [],
        key_prefix=job.key_prefix,
        storage_class=job.storage_class,
    )
    counts = Counter(one.kind for one in findings)
    result: dict[str, Any] = {
        "changed": False,
        "mode": "integrity",
        "findings": [one.to_result(job.key_prefix) for one in findings],
        "finding_counts": dict(counts),
        "set_count": len(sets),
        "object_count": len(listing),
        "uploads_listed": uploads is not None,
        "warnings": _warnings(job, findings, fail_on),
    }
    if uploads is None:
        result["warnings"].append(f"Job {job.name}: pending uploads could not be listed for lack of permission.")
    _require_whole(findings, fail_on, result)
    if not sets:
        raise _with(result, NoBackup("No complete backup was found."))
    return result


def _uploads(archive: Archive) -> list[glacier.Upload] | None:
    """Pending multipart uploads; None where the policy of a backup does not allow to list them."""
    try:
        return archive.bucket.uploads(archive.job.key_prefix)
    except AccessRefused:
        return None


def _warnings(job: Job, findings: list[integrity.Finding], fail_on: frozenset[str]) -> list[str]:
    """One for each kind that does not make the task fail."""
    names: dict[str, list[str]] = {}
    for one in findings:
        if one.kind not in fail_on:
            names.setdefault(one.kind, []).append(one.name)
    return [f"Job {job.name}: {len(found)} x {kind}, such as {found[0]}." for kind, found in names.items()]


def _require_whole(findings: list[integrity.Finding], fail_on: frozenset[str], result: dict[str, Any]) -> None:
    damage = [one for one in findings if one.kind in fail_on]
    if not damage:
        return
    named = ", ".join(f"{one.kind} {one.name}" for one in damage[:5])
    more = f" and {len(damage) - 5} more" if len(damage) > 5 else ""
    what = f"{len(damage)} finding{'s' if len(damage) > 1 else ''}: {named}{more}."
    raise _with(result, IntegrityFailed(what, finding_counts=result["finding_counts"]))


def _with(result: dict[str, Any], error: PermafrostError) -> PermafrostError:
    error.result = result
    return error


# --- the backup against the source ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    """What a run reads: a path at the time of a set, at so many MB a second."""

    path: str
    time: datetime
    rate: float


def _source(job: Job, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    at = moment(params["time"], datetime.now(timezone.utc))
    path = command.normal_path(params["path"])
    rate = estimate.checked_rate(params["expected_rate"])

    def verify_of(time: datetime) -> ContainerSpec:
        run_dir = host.run_dir(job, "verify")
        return command.verify(job, run_dir, path=path, time=time, compare_data=params["compare_data"])

    archive = Archive(job)
    archive.engine.refuse_others(verify_of(at))
    sources.require(archive.source)
    chosen = archive.time_of_set(at)
    spec = verify_of(chosen)
    result: dict[str, Any] = {"changed": False, "mode": "source", "path": path, "time": to_w3(chosen), "warnings": []}
    if check_mode:
        made, _chosen = archive.plan(path, chosen)
        archive.require_path(path, chosen)
        if made.ready:
            result["warnings"] += _preflight(job, made, rate)
        return {**result, "command": list(spec.argv), "plan": made.to_result(), "thaw": _thaw(made)}
    if params["compare_data"] and not os.path.lexists(f"{job.source}/{path}"):
        found = _gone(archive, path, chosen)
    else:
        result["command"] = list(spec.argv)
        found = _run(archive, spec, _Reading(path, chosen, rate), result)
    if params["compare_data"]:
        result.update(found.to_result())
        _judge(found, params["on_difference"], result)
    return result


def _thaw(made: glacier.Plan) -> dict[str, Any]:
    """What would have to be thawed first, and how long that takes at most."""
    frozen = [volume for volume in made.volumes if volume.state == glacier.FROZEN]
    keys = [volume.key for volume in frozen]
    classes = [glacier.TIER_HOURS[str(volume.storage_class)] for volume in frozen]
    tiers = [tier for tier in glacier.TIERS if frozen and all(tier in one for one in classes)]
    return {
        "volumes": len(frozen),
        "size_bytes": sum(volume.size_bytes for volume in frozen),
        "hours": {tier: glacier.longest_hours(dict.fromkeys(keys, tier), made.volumes) for tier in tiers},
    }


def _preflight(job: Job, made: glacier.Plan, rate: float) -> list[str]:
    """What is looked at before a restore that reads the same. duplicity itself measures no room for a verify."""
    destination.check_temporary(job)
    return estimate.check_expiry(made, rate, datetime.now(timezone.utc), "verify")


def _run(archive: Archive, spec: ContainerSpec, of: _Reading, result: dict[str, Any]) -> Verified:
    def before() -> None:
        made = readable_plan(archive, of.path, of.time, "verify")
        result["plan"] = made.to_result()
        archive.require_path(of.path, of.time)  # else all below it would be told as new
        result["warnings"] += _preflight(archive.job, made, of.rate)
        sources.write_lists(archive.job, "verify", of.path)

    finished, run, found = archive.verify(spec, before, of.path, of.time)
    result.update(
        compared_count=found.compared,
        finished=to_w3(finished.finished),
        elapsed_seconds=finished.elapsed_seconds,
        attached=finished.attached,
        log_file=host.named_log(archive.job, spec.verb, finished.started),
        unreadable=sources.unreadable(archive.job, run),
        warnings_of_duplicity=[log.shown(text) for text in run.warnings],
    )
    return found


def _gone(archive: Archive, path: str, time: datetime) -> Verified:
    """The path is not in the source any more: all of it is a difference, for which no volume has to be read."""
    archive.require_path(path, time)
    found = Verified()
    for name in _names(archive, time):
        if name == path or name.startswith(f"{path}/"):
            found.add(Difference(log.shown(name), DELETED, "not in the source"))
    return found


def _names(archive: Archive, time: datetime) -> Iterator[str]:
    for one in archive.files(time):
        yield os.fsdecode(one.path)


def _judge(found: Verified, on_difference: str, result: dict[str, Any]) -> None:
    if not found.count or on_difference == "report":
        return
    named = ", ".join(one.path for one in found.differences[:5])
    more = f" and {found.count - 5} more" if found.count > 5 else ""
    what = f"{found.count} paths differ between the source and the backup of {result['time']}: {named}{more}."
    raise _with(result, VerifyDiffers(what, difference_count=found.count, difference_kinds=dict(found.kinds)))
