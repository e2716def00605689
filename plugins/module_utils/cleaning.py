# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_cleanup: decide from one listing, delete through S3.

The bucket is enough, so it runs on any host that reaches it, without container, archive directory or passphrase.
duplicity on the job's host drops its own copies of what is gone at its next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    archive_dir,
    billed,
    command,
    costs,
    glacier,
    host,
    keeping,
    locking,
    manifest,
    prices,
    retention,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import checked_credentials
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    CleanupIncomplete,
    PermafrostError,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.policy import NO_RULE, Policy, checked_policy
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Prices, plain
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import DELETE_AT_ONCE
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

# The host name stands in a manifest's first line.
_HEAD_BYTES = 1024


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Delete what the rules say, or in check mode only name it. Rules of the task stand in the place of the job's."""
    job = Job.from_params(params["job"])
    policy = _policy(params, job)
    if policy is None:
        raise BadInput(f"{NO_RULE}, and the job has no retention.")
    credentials = checked_credentials(params["credentials"]) or job.cleanup_credentials or job.credentials
    table = prices.checked_prices(params["prices"]) if params["prices"] else None
    return clean(Archive(replace(job, credentials=credentials)), policy, check_mode, params["delete_last_chain"], table)


def _policy(params: dict[str, Any], job: Job) -> Policy | None:
    """Rules of the task stand in the place of the job's, and so does what it says of early deletions."""
    early = params["early_delete"] or (job.retention.early_delete if job.retention else None)
    policy = checked_policy({**params, "early_delete": early}) or job.retention
    return replace(policy, early_delete=early or policy.early_delete) if policy else None


def clean(
    archive: Archive,
    policy: Policy,
    check_mode: bool,
    delete_last_chain: bool = False,
    table: Prices | None = None,
) -> dict[str, Any]:
    """The same as whom the archive's job is for S3. Also what a unit of the host runs, with another runner."""
    job, now = archive.job, datetime.now(timezone.utc)
    rules = retention.Rules.of(policy, now, delete_last_chain=delete_last_chain)
    with _undisturbed(job, archive, rules) as ours:
        listing = archive.listing()
        found = archive.collection(listing)
        others, unchecked = _other_hosts(archive, found, listing)
        retention.require_one_job(retention.foreign(found, job.file_prefixes) + others)
        uploads = _uploads(archive) if rules.orphans else []
        contents = retention.sort_contents(listing, uploads, job.file_prefixes)
        plan = retention.make_plan(found, listing, contents, replace(rules, ours=ours))
        result = _facts(found, listing, contents, plan)
        result.update(_early_facts(plan, now, table))
        result["warnings"] = _warnings(archive.job, policy, plan, result)
        locked = keeping.kept(archive.bucket, plan.objects, now)
        result["warnings"] += locked.pop("warnings", [])
        result.update(locked)
        if unchecked:
            result["warnings"].append(
                f"The owner of {unchecked} of {len(found.chains)} chains was not checked: their manifests are "
                "encrypted or cannot be read, and this host has no copy of them."
            )
        if not check_mode:
            going, held = ({retention.set_id(one.backup_set) for one in part} for part in (plan.going, plan.held))
            if ours & going or (ours - held and plan.uploads):
                # First, for a resumption would count on the volumes.
                archive_dir.forget_partial(job)
            _delete(archive, plan, result)
    return result


# --- looking --------------------------------------------------------------------------------------------------------


@contextmanager
def _undisturbed(job: Job, archive: Archive, rules: retention.Rules) -> Iterator[frozenset[retention.SetId]]:
    """The interrupted sets that this host began, while no run of the job is on; Busy is raised when one is.

    A host knows them by their partial manifests in its archive directory. One without that directory needs no engine.
    """
    if not (rules.orphans or rules.delete_last_chain) or not archive_dir.exists(job):
        yield frozenset()
        return
    with locking.locked(job, "cleanup"):
        archive.engine.refuse_others(command.fetch_metadata(job, host.run_dir(job, "info")))
        archive_dir.refuse_foreign(job)
        parsed = [manifest.parse_name(name) for name in archive_dir.partial_manifests(job)]
        yield frozenset(one.set_id for one in parsed if one is not None)


def _uploads(archive: Archive) -> list[tuple[str, glacier.Upload]]:
    """Unfinished uploads by file name, without those of nested jobs."""
    cut = len(archive.job.key_prefix)
    found = [(upload.key[cut:], upload) for upload in archive.bucket.uploads(archive.job.key_prefix)]
    return [(name, upload) for name, upload in found if "/" not in name]


def _other_hosts(
    archive: Archive, found: manifest.Collection, listing: dict[str, glacier.S3Object]
) -> tuple[list[str], int]:
    """Chains whose newest manifest names another host; and the number of those whose manifest nobody here can read."""
    told, unchecked = [], 0
    for chain in found.chains:
        newest = chain.sets[-1]
        hostname = retention.hostname_of(_head(archive, newest, listing[str(newest.manifest)]))
        if hostname is None:
            unchecked += 1
        elif hostname != archive.job.hostname:
            told.append(f"{newest.manifest} is of the host {hostname}, and job.hostname is {archive.job.hostname}")
    return told, unchecked


def _head(archive: Archive, one: manifest.BackupSet, there: glacier.S3Object) -> bytes:
    """The head of a manifest, if it can be read without a key or a thaw; else of the plain copy on the job's host."""
    plain = there.size_bytes and not there.key.endswith(".gpg")
    if plain and there.state(datetime.now(timezone.utc)) in glacier.READABLE:
        return archive.bucket.read(there.key, first=_HEAD_BYTES)
    try:
        return next(archive_dir.manifest_lines(archive.job, one.manifest_stem), b"")
    except OSError:  # there is no copy, or it is not for the user that this runs as
        return b""


def _facts(
    found: manifest.Collection,
    listing: dict[str, glacier.S3Object],
    contents: dict[retention.SetId, retention.Contents],
    plan: retention.Plan,
) -> dict[str, Any]:
    return {
        "changed": bool(plan.going or plan.uploads),
        "uploads": [{"key": one.key, "started": to_w3(one.started)} for one in plan.uploads],
        "object_count": len(plan.objects),
        "size_bytes": retention.sizes(plan.objects),
        "kept": [retention.chain_facts(chain, listing) for chain in plan.kept],
        "left": [retention.set_facts(one, contents[retention.set_id(one)]) for one in plan.left],
        "diff": retention.diff(found, plan),
    }


def _early_facts(plan: retention.Plan, now: datetime, table: Prices | None) -> dict[str, Any]:
    """What goes and what is held, set by set, with what S3 bills for the rest of the minimum."""
    facts: dict[str, Any] = {
        "sets": [
            {**_going_facts(one, now, table), "keys": [found.key for found in one.contents.objects]}
            for one in plan.going
        ],
        "held": [
            {**_going_facts(one, now, table), "free_from": to_w3(one.free_from)} for one in plan.held if one.free_from
        ],
    }
    if table:
        facts["early_delete_usd"] = plain(prices.total(costs.early(plan.objects, table, now)))
    return facts


def _going_facts(one: retention.Going, now: datetime, table: Prices | None) -> dict[str, Any]:
    days = max((billed.days_left(found, now) for found in one.contents.objects), default=0)
    facts = {
        **retention.set_facts(one.backup_set, one.contents),
        "reasons": list(one.reasons),
        "early_days": days,
    }
    if table:
        facts["early_delete_usd"] = plain(prices.total(costs.early(one.contents.objects, table, now)))
    return facts


def _warnings(job: Job, policy: Policy, plan: retention.Plan, result: dict[str, Any]) -> list[str]:
    told = []
    if plan.newest_is_old:
        told.append(
            "The newest chain is older than older_than. As in duplicity it stays all the same: "
            "look whether backups still run."
        )
    early = [one for one in result["sets"] if one["early_days"]]
    if early and policy.early_delete == "warn":
        cost = f", {result['early_delete_usd']} USD in all" if "early_delete_usd" in result else ""
        days = max(one["early_days"] for one in early)
        told.append(f"{len(early)} sets are deleted before S3 stops to bill them, for {days} days at the most{cost}.")
    if result["held"]:
        first = min(result["held"], key=lambda one: str(one["free_from"]))
        told.append(
            f"{len(result['held'])} sets stay for now, since S3 bills them for the rest of their minimum in any case: "
            f"that of {first['time']} is free from {first['free_from']} on. early_delete says whether they go at once."
        )
    told += [f"retention: {text}." for text in policy.unfit(job.storage_class, job.full_if_older_than)]
    return told


# --- deleting -------------------------------------------------------------------------------------------------------


def _requests(contents: retention.Contents) -> Iterator[list[str]]:
    """The keys of each request. The manifest goes before the rest: what is half deleted never looks complete."""
    for objects in (contents.manifests, contents.others):
        for start in range(0, len(objects), DELETE_AT_ONCE):
            yield [found.key for found in objects[start : start + DELETE_AT_ONCE]]


def _delete(archive: Archive, plan: retention.Plan, result: dict[str, Any]) -> None:
    """Set by set, until S3 refuses something. Raises CleanupIncomplete when something was deleted by then."""
    gone: list[str] = []
    objects = uploads = 0
    keys: list[str] = []
    try:
        for one in plan.going:
            for keys in _requests(one.contents):
                archive.bucket.delete(keys)
                objects += len(keys)
            gone.append(to_w3(one.backup_set.end))
        for upload in plan.uploads:
            archive.bucket.abort(upload)
            uploads += 1
    except PermafrostError as error:
        failed = error.facts.get("failed", {})
        objects += len(keys) - len(failed) if failed else 0
        if not objects + uploads:
            raise  # nothing was changed, and the error says why
        incomplete = CleanupIncomplete(
            f"{error} {len(gone)} of {len(plan.going)} sets were deleted whole, {objects} of {len(plan.objects)} "
            f"objects in all, and {uploads} of {len(plan.uploads)} unfinished uploads were aborted.",
            failed=failed,
        )
        told = {name: value for name, value in result.items() if name != "diff"}
        incomplete.result = {**told, "changed": True, "deleted": gone, "deleted_objects": objects}
        raise incomplete from None
