"""The lab's own API under /_lab/: JSON in, JSON out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID

from lab.s3.bodies import ZeroBody, damaged
from lab.s3.clock import CLOCK
from lab.s3.faults import Fault, Faults
from lab.s3.message import Request, Response, S3Error
from lab.s3.policies import Policies
from lab.s3.requestlog import RequestLog
from lab.s3.restore import Limit
from lab.s3.signature import KeyRing
from lab.s3.store import LabKey, bucket_named, object_named


class Control:
    """One method a verb; its keyword arguments are the JSON object of the request."""

    def __init__(self, keys: KeyRing, policies: Policies, faults: Faults, log: RequestLog, limit: Limit) -> None:
        self._faults = faults
        self._verbs: dict[str, Callable[..., Any]] = {
            "now": CLOCK.now,
            "mark": log.mark,
            "requests": log.since,
            "advance": CLOCK.advance,
            "fault": self._fault,
            "clear_faults": faults.clear,
            "add_key": keys.add,
            "set_policy": policies.set,
            "restore_limit": limit.set,
            "seed": seed,
            "state": state,
            "corrupt": corrupt,
        }

    def __call__(self, request: Request, body: bytes) -> Response:
        """Dispatch; a wrong call is a 400 with the reason, never a 500."""
        headers = {"Content-Type": "application/json"}
        verb = self._verbs.get(request.key)
        if verb is None:
            return Response(404, headers, json.dumps({"error": f"no verb {request.key!r}"}).encode())
        try:
            result = verb(**json.loads(body or b"{}"))
        except (S3Error, TypeError, ValueError) as error:
            return Response(400, headers, json.dumps({"error": str(error)}).encode())
        return Response(200, headers, json.dumps({"result": result}).encode())

    def _fault(self, **rule: Any) -> None:
        self._faults.add(Fault(**rule))


def seed(bucket: str, prefix: str, count: int, size_bytes: int, storage_class: str = "DEEP_ARCHIVE") -> list[str]:
    """Objects by number and declared size; they read as zeros. Gives the first and the last key."""
    owner = bucket_named(bucket)
    width = max(6, len(str(count - 1)))
    body = ZeroBody(size_bytes)
    keys = []
    for number in range(count):
        name = f"{prefix}{number:0{width}d}"
        etag = hashlib.md5(f"{bucket}/{name}/{size_bytes}".encode(), usedforsecurity=False).hexdigest()
        keys.append(LabKey(name, body, DEFAULT_ACCOUNT_ID, owner.region_name, storage=storage_class, etag=etag,
                           bucket_name=bucket, version_id="null"))  # fmt: skip
    owner.keys.add_many(keys)
    return [keys[0].name, keys[-1].name] if keys else []


def state(bucket: str, prefix: str = "") -> list[dict[str, Any]]:
    """What is in a bucket: equal before and after means that nothing was touched."""
    store = bucket_named(bucket).keys
    with store.lock:
        found = [store.current(name) for name in store.index if name.startswith(prefix)]
    return [_describe(key) for key in found if key is not None]


def _describe(key: LabKey) -> dict[str, Any]:
    state_, thaw = key.thaw_state, key.thaw
    running = asdict(thaw) if thaw and state_ in ("thawing", "thawed") else {}
    entry = {"key": key.name, "size": key.contentsize, "storage_class": key.storage_class, "state": state_}
    entry |= {name: running.get(name) for name in ("tier", "ready_at", "expires_at")}
    modified = key.last_modified.isoformat() + "Z"
    return {**entry, "etag": key.etag.strip('"'), "version_id": key.version_id, "last_modified": modified}


def corrupt(bucket: str, key: str, offset: int | None = None, count: int = 16, keep_checksum: bool = False) -> int:
    """Flip bytes in the middle, or at an offset, under the same ETag; gives the offset.

    The stored checksum is dropped, because SDKs check it: without it the damage arrives at the reader.
    """
    found = object_named(bucket, key)
    if not found.contentsize:
        raise ValueError("an empty object has nothing to damage")
    start = min(found.contentsize // 2 if offset is None else offset, found.contentsize - 1)
    etag = found.etag.strip('"')
    found.value, found._etag = damaged(found.value, start, count), etag
    if not keep_checksum:
        found.checksum_algorithm = found.checksum_value = None
    return start
