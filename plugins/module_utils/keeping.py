# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bucket keeps of objects that are deleted: older versions, and for how long it lets nobody delete these.

I/O: two requests about the bucket itself, which not all credentials may make.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.bucket_settings import read_lock
from ansible_collections.permafrost.backup.plugins.module_utils.errors import AccessRefused, BackendFailed
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3


def kept(bucket: Bucket, objects: Sequence[S3Object], now: datetime) -> dict[str, Any]:
    """As part of a task's result, what becomes of objects that are deleted; nothing when there are none."""
    if not objects:
        return {}
    try:
        versioning = bucket.ask("get_bucket_versioning") or {}
        lock = read_lock(bucket.ask("get_object_lock_configuration", absent=("ObjectLockConfigurationNotFoundError",)))
    except (AccessRefused, BackendFailed):  # the deletion does not depend on it
        return {"versioned": None}
    days = (lock or {}).get("days")
    locked = [(found, found.last_modified + timedelta(days=days)) for found in objects] if days else []
    locked = [(found, until) for found, until in locked if until > now]
    facts: dict[str, Any] = {"versioned": versioning.get("Status") == "Enabled"}
    if locked:
        ends = [until for _found, until in locked]
        facts["locked"] = [{"key": found.key, "until": to_w3(until)} for found, until in locked]
        facts["warnings"] = [
            f"{len(locked)} of {len(objects)} objects are locked: what was stored stays as an older version until "
            f"{to_w3(min(ends))} at the earliest, {to_w3(max(ends))} at the latest, and is billed."
        ]
    return facts
