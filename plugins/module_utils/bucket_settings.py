# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a bucket for backups has to be: what is there, what is wanted, and what differs.

Pure. Rules: Amazon S3 API Reference, the Put operations of a bucket; User Guide, "Object Lock", "Managing the lifecycle
of objects", "Policy examples: requiring HTTPS".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.policies import bucket_arn, partition_of

ENCRYPTIONS = ("AES256", "aws:kms")
LOCK_MODES = ("GOVERNANCE", "COMPLIANCE")
TRANSITIONS = ("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
# What a bucket has, in the order in which it is set: versioning comes before the lock that needs it.
SETTINGS = ("public_access_block", "ownership", "versioning", "encryption", "object_lock", "policy", "lifecycle")
BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
OWNERSHIP = "BucketOwnerEnforced"
TLS_SID = "PermafrostTlsOnly"
# The lifecycle rules of this collection; a user's own rules have other IDs and stay.
_OWN_RULE = "permafrost-"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_MOST_DAYS = 36500

State = dict[str, Any]


@dataclass(frozen=True)
class Transition:
    """Volumes below a key prefix go to another class after some days: by the name that only volumes begin with."""

    begin: str
    storage_class: str
    days: int


@dataclass(frozen=True)
class Wanted:
    """A task's options, checked. ``lock`` is (mode, days); ``old_versions_days`` 0 keeps old versions for ever."""

    encryption: tuple[str, str | None, bool]
    lock: tuple[str, int] | None
    tls_only: bool
    abort_uploads_days: int
    old_versions_days: int
    transitions: tuple[Transition, ...]


def checked(params: Mapping[str, Any]) -> Wanted:
    """Raise BadInput for what S3 would refuse, or what would harm backups."""
    if not _NAME.match(params["name"]):
        raise BadInput(f"name '{params['name']}' is not the name of a bucket.")
    given = params["encryption"] or {}
    mode, key = given.get("mode") or ENCRYPTIONS[0], given.get("kms_key_id")
    if key and mode != "aws:kms":
        raise BadInput("encryption.kms_key_id needs encryption.mode aws:kms.")
    lock = params["object_lock"]
    return Wanted(
        encryption=(mode, key, mode == "aws:kms" and given.get("bucket_key") is not False),
        lock=(lock["mode"], _days("object_lock.days", lock["days"], 1)) if lock else None,
        tls_only=params["tls_only"],
        abort_uploads_days=_days("abort_uploads_days", params["abort_uploads_days"], 1),
        old_versions_days=_days("old_versions_days", params["old_versions_days"], 0),
        transitions=tuple(_transition(one) for one in params["transitions"] or []),
    )


def _days(option: str, days: int, least: int) -> int:
    if not least <= days <= _MOST_DAYS:
        raise BadInput(f"{option} is {days}: {least} to {_MOST_DAYS} is wanted.")
    return days


def _transition(given: Mapping[str, Any]) -> Transition:
    """A lifecycle rule knows no more than the begin of a key, so the names of volumes need one of their own."""
    prefix, archive = given["prefix"].strip("/"), given["archive"]
    if not prefix or not archive or "/" in archive:
        raise BadInput("transitions wants the key prefix of a job, and the file prefix of its volumes (archive).")
    for kind in ("manifest", "signature"):
        other = given.get(kind) or ""
        # duplicity goes on with its own name where a job has no prefix for the kind.
        if f"{other}duplicity-".startswith(archive):
            raise BadInput(
                f"transitions: the names of {kind}s of {prefix} ('{other}duplicity-…') begin with '{archive}' too, so "
                "the rule would archive them, and no backup could build on this one without a thaw."
            )
    return Transition(f"{prefix}/{archive}", given["storage_class"], _days("transitions.days", given["days"], 0))


# --- what the bucket shall be ---------------------------------------------------------------------------------------


def desired(current: State, wanted: Wanted, bucket: str, region: str | None) -> State:
    """The state after a task. What others have set beside it (statements, lifecycle rules, a lock) stays."""
    mode, key, bucket_key = wanted.encryption
    return {
        "public_access_block": BLOCKED,
        "ownership": OWNERSHIP,
        "versioning": "Enabled",
        "encryption": {"mode": mode, "kms_key_id": key, "bucket_key": bucket_key},
        "object_lock": _lock(wanted) or current.get("object_lock"),
        "policy": _policy(current.get("policy"), wanted, bucket_arn(bucket, partition_of(region))),
        "lifecycle": _lifecycle(current.get("lifecycle") or [], wanted),
    }


def _lock(wanted: Wanted) -> State | None:
    return {"mode": wanted.lock[0], "days": wanted.lock[1]} if wanted.lock else None


def _policy(current: State | None, wanted: Wanted, arn: str) -> State | None:
    own = {
        "Sid": TLS_SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    found = (current or {}).get("Statement", [])
    others = [one for one in (found if isinstance(found, list) else [found]) if one.get("Sid") != TLS_SID]
    statements = others + ([own] if wanted.tls_only else [])
    return {"Version": "2012-10-17", **(current or {}), "Statement": statements} if statements else None


def _lifecycle(current: list[State], wanted: Wanted) -> list[State]:
    """Ours, and the rules of others; by ID, since their order means nothing."""
    own: list[State] = [
        _rule("abort-uploads", "", AbortIncompleteMultipartUpload={"DaysAfterInitiation": wanted.abort_uploads_days})
    ]
    if wanted.old_versions_days:
        days = {"NoncurrentDays": wanted.old_versions_days}
        # A delete marker that hides nothing any more is of no use either.
        gone = {"ExpiredObjectDeleteMarker": True}
        own.append(_rule("old-versions", "", NoncurrentVersionExpiration=days, Expiration=gone))
    for one in wanted.transitions:
        to = {"Days": one.days, "StorageClass": one.storage_class}
        own.append(_rule(f"volumes-{one.begin}"[-200:], one.begin, Transitions=[to]))
    others = [rule for rule in current if not str(rule.get("ID", "")).startswith(_OWN_RULE)]
    return sorted(others + own, key=lambda rule: str(rule.get("ID")))


def _rule(name: str, prefix: str, **action: Any) -> State:
    return {"ID": _OWN_RULE + name, "Status": "Enabled", "Filter": {"Prefix": prefix}, **action}


# --- what is there, as S3 replies -----------------------------------------------------------------------------------


def read_encryption(reply: Mapping[str, Any] | None) -> State | None:
    """Of GetBucketEncryption."""
    for rule in (reply or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", []):
        found = rule.get("ApplyServerSideEncryptionByDefault", {})
        mode = found.get("SSEAlgorithm")
        key = found.get("KMSMasterKeyID")
        # A bucket key is of no meaning without KMS; services differ in what they say of it.
        return {"mode": mode, "kms_key_id": key, "bucket_key": mode == "aws:kms" and bool(rule.get("BucketKeyEnabled"))}
    return None


def read_lock(reply: Mapping[str, Any] | None) -> State | None:
    """Of GetObjectLockConfiguration: None without a lock, mode and days None without a default retention."""
    found = (reply or {}).get("ObjectLockConfiguration", {})
    if found.get("ObjectLockEnabled") != "Enabled":
        return None
    rule = found.get("Rule", {}).get("DefaultRetention", {})
    days = rule.get("Days") or (rule.get("Years") or 0) * 365
    return {"mode": rule.get("Mode"), "days": days or None}


def read_policy(reply: Mapping[str, Any] | None) -> State | None:
    """Of GetBucketPolicy."""
    return json.loads(reply["Policy"]) if reply else None


def read_lifecycle(reply: Mapping[str, Any] | None) -> list[State]:
    """Of GetBucketLifecycleConfiguration. Services write the empty filter in several ways."""
    rules = []
    for rule in (reply or {}).get("Rules", []):
        one = {name: value for name, value in rule.items() if name != "Prefix"}
        filter_ = rule.get("Filter") or {"Prefix": rule.get("Prefix") or ""}
        rules.append({**one, "Filter": filter_})
    return sorted(rules, key=lambda rule: str(rule.get("ID")))


# --- what differs ---------------------------------------------------------------------------------------------------


def changes(current: State, after: State) -> list[str]:
    """The settings that a task has to write."""
    return [name for name in SETTINGS if current.get(name) != after[name]]


def written(name: str, value: Any) -> dict[str, Any]:
    """A setting as the parameters of its Put operation."""
    return _WRITERS[name](value)


def _write_encryption(value: State) -> State:
    default = {"SSEAlgorithm": value["mode"]}
    if value["kms_key_id"]:
        default["KMSMasterKeyID"] = value["kms_key_id"]
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": value["bucket_key"]}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def _write_lock(value: State) -> State:
    retention = {"DefaultRetention": {"Mode": value["mode"], "Days": value["days"]}}
    return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": retention}}


_WRITERS: dict[str, Callable[[Any], State]] = {
    "public_access_block": lambda value: {"PublicAccessBlockConfiguration": value},
    "ownership": lambda value: {"OwnershipControls": {"Rules": [{"ObjectOwnership": value}]}},
    "versioning": lambda value: {"VersioningConfiguration": {"Status": value}},
    "encryption": _write_encryption,
    "object_lock": _write_lock,
    "policy": lambda value: {"Policy": json.dumps(value)},
    "lifecycle": lambda value: {"LifecycleConfiguration": {"Rules": value}},
}


def shown(state: State | None) -> State:
    """For --diff: nothing for a bucket that is not there."""
    return {name: state[name] for name in SETTINGS} if state else {}
