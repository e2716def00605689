# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of glacier_restore: request what is frozen, wait, report by state.

The bucket is the only memory: what is frozen, thawing or thawed is asked from S3 each time, so a task that was killed
is simply run again and requests nothing twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import checks, glacier
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
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import ACCEPTED, NO_CAPACITY, Bucket

_WORKERS = 16
_MAX_DAYS = 3650
# So many looks in a row may fail while waiting: a wait of two days must outlast an hour without a network.
_FAILED_LOOKS = 20


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Thaw the named objects, and wait for them when asked to."""
    if not 1 <= params["days"] <= _MAX_DAYS or params["poll_interval"] < 1 or params["wait_timeout"] < 0:
        raise BadInput(f"days is 1 to {_MAX_DAYS}, poll_interval at least 1, wait_timeout at least 0.")
    keys = list(dict.fromkeys(params["keys"]))
    bucket = _bucket(params)
    plan = _look(bucket, keys)
    missing = plan.keys(glacier.MISSING)
    if missing:
        some = ", ".join(missing[:5])
        raise VolumesMissing(f"The bucket lacks {len(missing)} of {len(keys)} objects: {some}.", volumes=missing)
    to_request = [volume for volume in plan.volumes if volume.state == glacier.FROZEN]
    glacier.check_tier(params["tier"], to_request)
    result = {
        "changed": bool(to_request),
        "requested": [volume.key for volume in to_request],
        "requested_bytes": sum(volume.size_bytes for volume in to_request),
        "ready_within_hours": glacier.longest_hours(params["tier"], plan.volumes),
    }
    if not check_mode:
        _request(bucket, [volume.key for volume in to_request], params, result)
        plan = _wait(bucket, keys, params, result) if params["wait"] else _look(bucket, keys)
    return {**result, "plan": plan.to_result()}


def _bucket(params: dict[str, Any]) -> Bucket:
    return Bucket(
        params["bucket"],
        credentials=checked_credentials(params["credentials"]),
        endpoint_url=checks.endpoint(params["endpoint_url"]),
        region=params["region"],
        ca_bundle=params["ca_bundle"],
        connections=_WORKERS,
    )


def _look(bucket: Bucket, keys: list[str]) -> glacier.Plan:
    """States by listing, directory by directory: one request for 1,000 objects, where HEAD would be one each."""
    directories: dict[str, list[str]] = {}
    for key in keys:
        directories.setdefault(key.rpartition("/")[0], []).append(key)
    listing: dict[str, glacier.S3Object] = {}
    for together in directories.values():
        listing.update(bucket.list(_common_prefix(together)))
    return glacier.make_plan(bucket.name, [(key, None) for key in keys], listing, datetime.now(timezone.utc))


def _common_prefix(keys: list[str]) -> str:
    # Of all strings the first and the last in order have the shortest prefix in common.
    first, last = min(keys), max(keys)
    common = next((at for at, (one, two) in enumerate(zip(first, last)) if one != two), min(len(first), len(last)))
    return first[:common]


def _request(bucket: Bucket, keys: list[str], params: dict[str, Any], result: dict[str, Any]) -> None:
    """Ask for every key, whatever happens to its neighbours; then report the failures together."""
    ask = _asking(bucket, params["tier"], params["days"])
    with ThreadPoolExecutor(_WORKERS) as pool:
        replies = dict(zip(keys, pool.map(ask, keys)))
    failed = {
        key: reply for key, reply in replies.items() if isinstance(reply, PermafrostError) or reply == NO_CAPACITY
    }
    result["replies"] = dict(Counter("failed" if key in failed else str(reply) for key, reply in replies.items()))
    result["changed"] = ACCEPTED in replies.values()
    if failed:
        key, reply = next(iter(failed.items()))
        why = "Expedited has no capacity now; use Standard" if reply == NO_CAPACITY else str(reply)
        what = f"{len(failed)} of {len(keys)} requests failed, the first for {key}: {why}."
        error = ThawIncomplete(what, failed=list(failed))
        error.result = result
        raise error


def _asking(bucket: Bucket, tier: str, days: int) -> Callable[[str], str | PermafrostError]:
    def ask(key: str) -> str | PermafrostError:
        try:
            return bucket.thaw(key, tier=tier, days=days)
        except PermafrostError as error:
            return error

    return ask


def _wait(bucket: Bucket, keys: list[str], params: dict[str, Any], result: dict[str, Any]) -> glacier.Plan:
    """Poll by listing until all is readable. wait_timeout 0 waits for as long as it takes."""
    deadline = time.monotonic() + params["wait_timeout"] if params["wait_timeout"] else None
    thawed: set[str] = set()
    while True:
        plan = _look_patiently(bucket, keys, params["poll_interval"])
        if plan.ready:
            return plan
        result["plan"] = plan.to_result()
        _require_hope(plan, thawed, result)
        thawed.update(plan.keys(glacier.THAWED))
        if deadline is not None and time.monotonic() >= deadline:
            left = len(plan.keys(glacier.THAWING, glacier.FROZEN))
            error = ThawTimeout(f"{left} of {len(keys)} objects are not thawed after {params['wait_timeout']} seconds.")
            error.result = result
            raise error
        time.sleep(params["poll_interval"])


def _look_patiently(bucket: Bucket, keys: list[str], poll_interval: int) -> glacier.Plan:
    for _turn in range(_FAILED_LOOKS):
        try:
            return _look(bucket, keys)
        except (BackendFailed, EndpointUnreachable):
            time.sleep(poll_interval)
    return _look(bucket, keys)


def _require_hope(plan: glacier.Plan, thawed: set[str], result: dict[str, Any]) -> None:
    """Raise when waiting longer is in vain: an object is gone, or its copy expired while others were thawing."""
    error: PermafrostError | None = None
    gone, expired = plan.keys(glacier.MISSING), [key for key in plan.keys(glacier.FROZEN) if key in thawed]
    if gone:
        error = VolumesMissing(f"{len(gone)} objects vanished while waiting: {', '.join(gone[:5])}.", volumes=gone)
    elif expired:
        what = f"The copies of {len(expired)} objects expired while others were thawing, so more days are needed."
        error = ThawIncomplete(what, expired=expired)
    if error:
        error.result = result
        raise error
