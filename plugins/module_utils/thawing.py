# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of glacier_restore: choose objects, request what is needed, wait, report by state.

The bucket is the only memory: what is frozen, thawing or thawed is asked from S3 each time, so a task that was killed
is simply run again and requests nothing twice.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import batch, batching, checks, glacier, retrieval
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import checked_credentials
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BackendFailed,
    BadInput,
    EndpointUnreachable,
    PermafrostError,
    ThawIncomplete,
    ThawTimeout,
    VolumesMissing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan, PlannedObject, S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.job import checked_file_prefixes, parse_target
from ansible_collections.permafrost.backup.plugins.module_utils.requesting import WORKERS, Reply, Sender
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Chosen, Wish, Work
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import ACCEPTED, EXTENDED, NO_CAPACITY, Bucket
from ansible_collections.permafrost.backup.plugins.module_utils.times import moment, to_w3

_MAX_DAYS = 3650
# No endpoint_url at all, or one of a VPC.
_AMAZON = re.compile(r"\A\Z|\.amazonaws\.com(\.cn)?(:\d+)?/?\Z")
# So many looks in a row may fail while waiting: a wait of two days must outlast an hour without a network.
_FAILED_LOOKS = 20

Replies = dict[str, "Reply | PermafrostError"]


@dataclass
class Subject:
    """What a task is about: its objects, their states at the start, and what else its result says of the choice."""

    bucket: Bucket
    chosen: Chosen
    plan: Plan
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Thaw the objects that are meant, and wait for them when asked to."""
    terms = _check(params)
    now = datetime.now(timezone.utc)
    subject = _subject(params, now)
    _require_all(subject.plan, params["limit"])
    wish = _wish(params)
    todo = retrieval.work_of(subject.plan, wish, now)
    if terms:
        result, after = _by_batch(
            subject, params, batching.order(terms, subject.bucket.name, todo, wish, now), check_mode
        )
    elif check_mode:
        result = _as_hoped(subject, todo, wish, params["limit"])
        after = retrieval.foreseen(subject.plan, todo, wish, now)
    else:
        result, after = _by_requests(subject, params, todo, wish)
    result["diff"] = {"before": _brief(subject.plan), "after": _brief(after)}
    hours = result["ready_within_hours"]
    result["warnings"] = [
        *subject.warnings,
        *retrieval.days_warnings(subject.plan, wish.days, hours),
        *glacier.expiry_warnings(after, hours, now),
    ]
    return {**result, "plan": after.to_result(params["limit"])}


def _by_requests(subject: Subject, params: dict[str, Any], todo: Work, wish: Wish) -> tuple[dict[str, Any], Plan]:
    """Ask S3 for each object; the result and the states afterwards."""
    limit: int = params["limit"]
    replies = Sender(subject.bucket, wish).send(todo)
    result = {**subject.facts, **_told(subject.plan, todo, replies, limit), "replies": _counted(replies)}
    _require_accepted(replies, result, limit)
    return result, _after(subject, params, result, bool(todo))


def _by_batch(
    subject: Subject, params: dict[str, Any], order: batching.Order, check_mode: bool
) -> tuple[dict[str, Any], Plan]:
    """Hand all of it over; the result and the states afterwards. Without consent nothing is requested."""
    confirmed = order.terms.confirm
    result = _as_hoped(subject, order.todo if confirmed else retrieval.NO_WORK, order.wish, params["limit"])
    result["changed"], result["batch"] = batching.work(order, lambda name: _bucket(params, name), check_mode)
    if not confirmed:
        return result, subject.plan
    if check_mode:
        return result, retrieval.foreseen(subject.plan, order.todo, order.wish, order.now)
    return result, _after(subject, params, result, bool(order.todo))


def _as_hoped(subject: Subject, todo: Work, wish: Wish, limit: int) -> dict[str, Any]:
    """The result where S3 agrees to everything, for what it was not asked for yet."""
    replies: Replies = {one.key: Reply(_hoped_for(one), wish.tier) for one in todo}
    return {**subject.facts, **_told(subject.plan, todo, replies, limit)}


def _check(params: dict[str, Any]) -> batch.Terms | None:
    """The terms of a batch job, where that is the method."""
    if not 1 <= params["days"] <= _MAX_DAYS or params["poll_interval"] < 1 or params["wait_timeout"] < 0:
        raise BadInput(f"days is 1 to {_MAX_DAYS}, poll_interval at least 1, wait_timeout at least 0.")
    if params["limit"] < 0:
        raise BadInput("limit is at least 0.")
    if params["prefix"] == "" and params["pattern"] is None:
        raise BadInput("An empty prefix is the whole bucket: give a pattern too, such as '*' for all of it.")
    if params["method"] != "batch":
        return None
    terms = batch.checked_terms(params["batch"], params["tier"])
    if params["wait"] and not terms.confirm:
        raise BadInput("wait needs batch.confirm: without it no job is created, and nothing would ever thaw.")
    if terms.confirm and not _AMAZON.search(params["endpoint_url"] or ""):
        raise BadInput("batch.confirm is for Amazon S3: its Batch Operations are not behind another endpoint_url.")
    return terms


def _wish(params: dict[str, Any]) -> Wish:
    fallback = params["fallback_tier"]
    return Wish(
        tier=params["tier"],
        days=params["days"],
        upgrade=params["upgrade"],
        extend=params["extend"],
        fallback_tier=None if fallback == "none" else fallback,
    )


# --- which objects --------------------------------------------------------------------------------------------------


def _subject(params: dict[str, Any], now: datetime) -> Subject:
    if params["target"] is not None:
        return _of_chain(params, now)
    bucket = _bucket(params, params["bucket"])
    if params["prefix"] is not None:
        return _of_prefix(bucket, params["prefix"], params["pattern"], now)
    chosen = retrieval.by_keys(params["keys"], params["version_ids"])
    return Subject(bucket, chosen, _look(bucket, chosen))


def _of_chain(params: dict[str, Any], now: datetime) -> Subject:
    name, prefix = parse_target(params["target"])
    file_prefixes = checked_file_prefixes(params["file_prefixes"])
    at = moment(params["time"], now)
    bucket = _bucket(params, name)
    key_prefix = f"{prefix}/"
    listing = bucket.list(key_prefix)
    # What is nested is another job's.
    names = [key[len(key_prefix) :] for key in listing if "/" not in key[len(key_prefix) :]]
    older = retrieval.older(bucket.versions(key_prefix) or {}, listing, key_prefix, file_prefixes)
    chosen, set_time = retrieval.by_chain(names, key_prefix, file_prefixes, at, older)
    return Subject(bucket, chosen, chosen.plan(name, {**listing, **older}, now), {"time": to_w3(set_time)})


def _of_prefix(bucket: Bucket, prefix: str, pattern: str | None, now: datetime) -> Subject:
    chosen, below = retrieval.by_prefix(bucket.objects(prefix), prefix, pattern)
    facts = {"left_out": below.left_out, "other_names": below.other_names}
    return Subject(bucket, chosen, chosen.plan(bucket.name, below.archived, now), facts, below.warnings)


def _bucket(params: dict[str, Any], name: str) -> Bucket:
    return Bucket(
        name,
        credentials=checked_credentials(params["credentials"]),
        endpoint_url=checks.endpoint(params["endpoint_url"]),
        region=params["region"],
        ca_bundle=params["ca_bundle"],
        connections=WORKERS,
    )


def _look(bucket: Bucket, chosen: Chosen) -> Plan:
    """The states of the objects now, by listing; of those of which an older version is meant, that version's."""
    older, wanted = chosen.versions, set(chosen.keys) - set(chosen.versions)
    listing: dict[str, S3Object] = {}
    for prefix in chosen.prefixes:
        listing.update((found.key, found) for found in bucket.objects(prefix) if found.key in wanted)
        versions = (bucket.versions(prefix) or {}) if older else {}
        listing.update((key, one) for key in older for one in versions.get(key, ()) if one.version_id == older[key])
    return chosen.plan(bucket.name, listing, datetime.now(timezone.utc))


def _require_all(plan: Plan, limit: int) -> None:
    missing = plan.keys(glacier.MISSING)
    if missing:
        some = ", ".join(missing[:5])
        what = f"The bucket lacks {len(missing)} of {len(plan.volumes)} objects: {some}."
        raise VolumesMissing(what, volumes=missing[:limit])


# --- what was asked and answered ------------------------------------------------------------------------------------


def _hoped_for(one: PlannedObject) -> str:
    return EXTENDED if one.state == glacier.THAWED else ACCEPTED


def _told(plan: Plan, todo: Work, replies: Replies, limit: int) -> dict[str, Any]:
    """What S3 agreed to, as a result: counts are exact, lists of keys stop at ``limit``."""
    # By the reply, not by what was asked: a thaw may end, or a copy expire, between the look and the request.
    agreed = {key: reply for key, reply in replies.items() if isinstance(reply, Reply)}
    upgrades = {one.key for one in todo.upgrade}
    accepted = [one for one in todo if one.key in agreed and agreed[one.key].state == ACCEPTED]
    lists = {
        "requested": [one.key for one in accepted if one.key not in upgrades],
        "upgraded": [one.key for one in accepted if one.key in upgrades],
        "extended": [one.key for one in todo if one.key in agreed and agreed[one.key].state == EXTENDED],
    }
    tiers = {one.key: agreed[one.key].tier for one in accepted}
    result: dict[str, Any] = {"changed": any(lists.values())}
    for name, keys in lists.items():
        result.update({name: keys[:limit], f"{name}_count": len(keys)})
    result["requested_bytes"] = sum(one.size_bytes for one in accepted if one.key not in upgrades)
    result["ready_within_hours"] = glacier.longest_hours(tiers, plan.volumes)
    return result


def _counted(replies: Replies) -> dict[str, int]:
    return dict(Counter(reply.state if isinstance(reply, Reply) else "failed" for reply in replies.values()))


def _require_accepted(replies: Replies, result: dict[str, Any], limit: int) -> None:
    """Report together what S3 did not agree to."""
    failed = {
        key: reply for key, reply in replies.items() if isinstance(reply, PermafrostError) or reply.state == NO_CAPACITY
    }
    if not failed:
        return
    key, reply = next(iter(failed.items()))
    no_capacity = "Expedited has no capacity now; use Standard, or fallback_tier"
    what = f"{len(failed)} of {len(replies)} requests failed, the first for {key}: "
    what += f"{reply.what.rstrip('.') if isinstance(reply, PermafrostError) else no_capacity}."
    error = ThawIncomplete(what, failed=list(failed)[:limit], failed_count=len(failed))
    error.result = result
    raise error


def _brief(plan: Plan) -> dict[str, Any]:
    """A plan in a diff: how many objects are in which state."""
    counts = {state: entry["volumes"] for state, entry in sorted(plan.states.items())}
    return {**counts, "expires_first": plan.expires_first}


# --- waiting --------------------------------------------------------------------------------------------------------


def _after(subject: Subject, params: dict[str, Any], result: dict[str, Any], asked: bool) -> Plan:
    """The states at the end of the task. Where nothing was asked for, the first look is still true."""
    if params["wait"]:
        return _wait(subject, params, result, asked)
    return _look(subject.bucket, subject.chosen) if asked else subject.plan


def _wait(subject: Subject, params: dict[str, Any], result: dict[str, Any], asked: bool) -> Plan:
    """Poll by listing until all is readable. wait_timeout 0 waits for as long as it takes."""
    deadline = time.monotonic() + params["wait_timeout"] if params["wait_timeout"] else None
    thawed: set[str] = set()
    plan = _look_patiently(subject, params["poll_interval"]) if asked else subject.plan
    while not plan.ready:
        result["plan"] = plan.to_result(params["limit"])
        _require_hope(plan, thawed, result, params["limit"])
        thawed.update(plan.keys(glacier.THAWED))
        if deadline is not None and time.monotonic() >= deadline:
            left = len(plan.keys(glacier.THAWING, glacier.FROZEN))
            what = f"{left} of {len(plan.volumes)} objects are not thawed after {params['wait_timeout']} seconds."
            error = ThawTimeout(what)
            error.result = result
            raise error
        time.sleep(params["poll_interval"])
        plan = _look_patiently(subject, params["poll_interval"])
    return plan


def _look_patiently(subject: Subject, poll_interval: int) -> Plan:
    for _turn in range(_FAILED_LOOKS):
        try:
            return _look(subject.bucket, subject.chosen)
        except (BackendFailed, EndpointUnreachable):
            time.sleep(poll_interval)
    return _look(subject.bucket, subject.chosen)


def _require_hope(plan: Plan, thawed: set[str], result: dict[str, Any], limit: int) -> None:
    """Raise when waiting longer is in vain: an object is gone, or its copy expired while others were thawing."""
    error: PermafrostError | None = None
    gone, expired = plan.keys(glacier.MISSING), [key for key in plan.keys(glacier.FROZEN) if key in thawed]
    if gone:
        some = ", ".join(gone[:5])
        error = VolumesMissing(f"{len(gone)} objects vanished while waiting: {some}.", volumes=gone[:limit])
    elif expired:
        what = f"The copies of {len(expired)} objects expired while others were thawing, so more days are needed."
        error = ThawIncomplete(what, expired=expired[:limit])
    if error:
        error.result = result
        raise error
