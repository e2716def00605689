# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of glacier_bucket: look at the bucket, write what differs.

I/O; what has to be and what differs is decided by bucket_settings.py.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import bucket_settings, checks
from ansible_collections.permafrost.backup.plugins.module_utils.bucket_settings import State, Wanted
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import checked_credentials
from ansible_collections.permafrost.backup.plugins.module_utils.errors import PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket

# The Region whose buckets are made without its name.
_FIRST_REGION = "us-east-1"
# The operation that reads a setting, and the codes by which S3 says that it was never made.
_READ: dict[str, tuple[str, tuple[str, ...]]] = {
    "public_access_block": ("get_public_access_block", ("NoSuchPublicAccessBlockConfiguration",)),
    "ownership": ("get_bucket_ownership_controls", ("OwnershipControlsNotFoundError",)),
    "versioning": ("get_bucket_versioning", ()),
    "encryption": ("get_bucket_encryption", ("ServerSideEncryptionConfigurationNotFoundError",)),
    "object_lock": ("get_object_lock_configuration", ("ObjectLockConfigurationNotFoundError",)),
    "policy": ("get_bucket_policy", ("NoSuchBucketPolicy",)),
    "lifecycle": ("get_bucket_lifecycle_configuration", ("NoSuchLifecycleConfiguration",)),
}
_WRITE = {
    "public_access_block": "put_public_access_block",
    "ownership": "put_bucket_ownership_controls",
    "versioning": "put_bucket_versioning",
    "encryption": "put_bucket_encryption",
    "object_lock": "put_object_lock_configuration",
    "policy": "put_bucket_policy",
    "lifecycle": "put_bucket_lifecycle_configuration",
}


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Make the bucket as it has to be; in check mode only say what would be done."""
    wanted = bucket_settings.checked(params)
    bucket = Bucket(
        params["name"],
        credentials=checked_credentials(params["credentials"]),
        endpoint_url=checks.endpoint(params["endpoint_url"]),
        region=params["region"],
        ca_bundle=params["ca_bundle"],
    )
    there = bucket.ask("head_bucket", absent=("404", "NoSuchBucket")) is not None
    current = look(bucket) if there else {}
    after = bucket_settings.desired(current, wanted, bucket.name, params["region"])
    todo = bucket_settings.changes(current, after)
    result: dict[str, Any] = {
        "changed": not there or bool(todo),
        "created": not there,
        "settings": todo,
        "state": bucket_settings.shown(after),
        "diff": {"before": bucket_settings.shown(current), "after": bucket_settings.shown(after)},
        "warnings": _warnings(params, wanted),
    }
    if not check_mode:
        _apply(bucket, params["region"], wanted, after, result)
    return result


def look(bucket: Bucket) -> State:
    """The settings of a bucket that is there."""
    replies = {name: bucket.ask(operation, absent=absent) for name, (operation, absent) in _READ.items()}
    ownership = (replies["ownership"] or {}).get("OwnershipControls", {}).get("Rules") or [{}]
    return {
        "public_access_block": (replies["public_access_block"] or {}).get("PublicAccessBlockConfiguration"),
        "ownership": ownership[0].get("ObjectOwnership"),
        "versioning": (replies["versioning"] or {}).get("Status"),
        "encryption": bucket_settings.read_encryption(replies["encryption"]),
        "object_lock": bucket_settings.read_lock(replies["object_lock"]),
        "policy": bucket_settings.read_policy(replies["policy"]),
        "lifecycle": bucket_settings.read_lifecycle(replies["lifecycle"]),
    }


def _warnings(params: dict[str, Any], wanted: Wanted) -> list[str]:
    if wanted.tls_only and (params["endpoint_url"] or "").startswith("http://"):
        return ["tls_only is set and endpoint_url is not https: a service that keeps to the policy refuses everybody."]
    return []


def _apply(bucket: Bucket, region: str | None, wanted: Wanted, after: State, result: dict[str, Any]) -> None:
    done: list[str] = []
    try:
        if result["created"]:
            _create(bucket, region, wanted)
            done.append("bucket")
        for name in result["settings"]:
            if after[name] is None:
                bucket.ask("delete_bucket_policy")  # only a policy can be wanted to be none
            else:
                bucket.ask(_WRITE[name], **bucket_settings.written(name, after[name]))
            done.append(name)
    except PermafrostError as error:
        error.result = {"changed": bool(done), "done": done}
        raise


def _create(bucket: Bucket, region: str | None, wanted: Wanted) -> None:
    options: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if wanted.lock else {}
    if region and region != _FIRST_REGION:
        options["CreateBucketConfiguration"] = {"LocationConstraint": region}
    bucket.ask("create_bucket", **options)
