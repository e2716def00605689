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

from ansible_collections.permafrost.backup.plugins.module_utils import glacier
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    PermafrostError,
    ThawIncomplete,
    ThawTimeout,
    VolumesMissing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Credentials
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import ACCEPTED, NO_CAPACITY, Bucket

_WORKERS = 16


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Thaw the named objects, and wait for them when asked to."""
    if params["days"] < 1 or params["poll_interval"] < 1 or params["wait_timeout"] < 0:
        raise BadInput("days and poll_interval are at least 1, wait_timeout at least 0.")
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
        credentials=Credentials(**params["credentials"]) if params["credentials"] else None,
        endpoint_url=params["endpoint_url"],
        region=params["region"],
        ca_bundle=params["ca_bundle"],
        connections=_WORKERS,
    )


def _look(bucket: Bucket, keys: list[str]) -> glacier.Plan:
    """States by listing what the keys have in common: one request for 1,000 objects, where HEAD would be one each."""
    # Of all strings the first and the last in order have the shortest prefix in common.
    first, last = min(keys, default=""), max(keys, default="")
    common = next((at for at, (one, two) in enumerate(zip(first, last)) if one != two), min(len(first), len(last)))
    listing = bucket.list(first[:common]) if keys else {}
    return glacier.make_plan(bucket.name, [(key, None) for key in keys], listing, datetime.now(timezone.utc))


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
    while True:
        plan = _look(bucket, keys)
        if plan.ready:
            return plan
        if deadline is not None and time.monotonic() >= deadline:
            left = len(plan.keys(glacier.THAWING, glacier.FROZEN))
            error = ThawTimeout(f"{left} of {len(keys)} objects are not thawed after {params['wait_timeout']} seconds.")
            error.result = {**result, "plan": plan.to_result()}
            raise error
        time.sleep(params["poll_interval"])
