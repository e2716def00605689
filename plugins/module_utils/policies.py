# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Least-privilege policies for the four parts that act on a job's prefix: backup, cleanup, thaw, restore.

Pure. Rules: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; User Guide,
"Required permissions for Amazon S3 API operations"; what each part asks S3 for is seen in the tests' request logs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import parse_target

BACKUP, CLEANUP, THAW, RESTORE = "backup", "cleanup", "thaw", "restore"
PARTS = (BACKUP, CLEANUP, THAW, RESTORE)
# What each may do with the job's objects, beside reading.
_ON_OBJECTS = {
    # An upload that failed is aborted. No deletion, no thaw.
    BACKUP: ("s3:AbortMultipartUpload", "s3:PutObject"),
    # A deletion hides an object of a versioned bucket, and no more.
    CLEANUP: ("s3:AbortMultipartUpload", "s3:DeleteObject"),
    THAW: ("s3:RestoreObject",),
    RESTORE: (),
}
# What each may read: whose a manifest is, how large a volume became that was just stored, what a path needs, all.
_READS = {BACKUP: ("*",), CLEANUP: ("*.manifest*",), THAW: ("*.manifest*", "*.sigtar*"), RESTORE: ("*",)}
_ON_LISTINGS = {
    BACKUP: ("s3:ListBucket", "s3:ListBucketMultipartUploads"),
    CLEANUP: ("s3:ListBucket", "s3:ListBucketMultipartUploads"),
    THAW: ("s3:ListBucket",),
    RESTORE: ("s3:ListBucket",),
}
# In a bucket with versions, these use older ones where a current one was overwritten.
_USES_VERSIONS = (THAW, RESTORE)
# What of the bucket itself a part asks for.
_ON_BUCKET = {CLEANUP: ("s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning")}
# An upload in parts is also decrypted, and so are manifests that are read.
_ON_KEY = {
    BACKUP: ("kms:Decrypt", "kms:GenerateDataKey"),
    CLEANUP: ("kms:Decrypt",),
    THAW: ("kms:Decrypt",),
    RESTORE: ("kms:Decrypt",),
}
# By the begin of a Region's name; all others are of the partition aws.
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
_PARTITION = re.compile(r"aws(?:-[a-z0-9]+)*\Z")
_KEY_ARN = re.compile(r"arn:(aws[a-z0-9-]*):kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+\Z")
# Of a managed policy, without white space (IAM User Guide, "IAM and STS quotas").
_MOST_CHARACTERS = 6144

Document = dict[str, Any]


def partition_of(region: str | None) -> str:
    """The partition of a Region; without one, that of most."""
    return next((name for begin, name in _PARTITIONS.items() if (region or "").startswith(begin)), "aws")


def bucket_arn(bucket: str, partition: str) -> str:
    """How a policy names a bucket."""
    return f"arn:{partition}:s3:::{bucket}"


def literally(text: str) -> str:
    """Text in a policy that shall not be a pattern: ``*``, ``?`` and ``$`` have a meaning there."""
    return re.sub(r"[*?$]", lambda match: "${" + match[0] + "}", text)


def work(params: Mapping[str, Any], _check_mode: bool) -> dict[str, Any]:
    """The verb of glacier_policy_info: one document for each part."""
    bucket, prefixes = _places(params["targets"])
    partition = params["partition"] or partition_of(params["region"])
    if not _PARTITION.match(partition):
        raise BadInput(f"partition '{partition}' is not one such as aws, aws-cn or aws-us-gov.")
    key = params["kms_key_arn"]
    if key and not _KEY_ARN.match(key):
        raise BadInput(f"kms_key_arn '{key}' is not the ARN of a key: S3 and IAM compare keys, not their aliases.")
    parts = {
        part: policy(part, bucket, prefixes, partition=partition, key=key, versions=params["versions"])
        for part in params["parts"]
    }
    if params["stock_duplicity"]:
        for part in parts:
            parts[part]["Statement"].append(_bucket_itself(bucket, partition))
    for part, document in parts.items():
        _require_size(part, document)
    return {"changed": False, "policies": parts, "bucket": bucket, "prefixes": prefixes}


def _places(targets: Iterable[str]) -> tuple[str, list[str]]:
    found = [parse_target(target) for target in targets]
    buckets = sorted({bucket for bucket, _prefix in found})
    if len(buckets) != 1:
        raise BadInput(f"targets are of one bucket; these are of {', '.join(buckets) or 'none'}.")
    return buckets[0], sorted({prefix for _bucket, prefix in found})


def policy(
    part: str, bucket: str, prefixes: Iterable[str], *, partition: str, key: str | None = None, versions: bool = True
) -> Document:
    """What one part needs below these key prefixes, and nothing else."""
    arn, below = bucket_arn(bucket, partition), [f"{literally(prefix)}/" for prefix in prefixes]
    listings, reads = list(_ON_LISTINGS[part]), ["s3:GetObject"]
    if versions and part in _USES_VERSIONS:
        listings.append("s3:ListBucketVersions")
        reads.append("s3:GetObjectVersion")
    statements = [
        # With its slash, a prefix is not the begin of a neighbour's.
        _allow("List", listings, [arn], {"StringLike": {"s3:prefix": [f"{one}*" for one in below]}}),
        _allow("Read", reads, [f"{arn}/{one}{name}" for one in below for name in _READS[part]]),
    ]
    if _ON_OBJECTS[part]:
        statements.append(_allow("Objects", list(_ON_OBJECTS[part]), [f"{arn}/{one}*" for one in below]))
    if part in _ON_BUCKET:
        statements.append(_allow("Bucket", list(_ON_BUCKET[part]), [arn]))
    if key:
        # The key serves S3 alone; the name of S3 ends in another way in each partition.
        via = {"StringLike": {"kms:ViaService": "s3.*"}}
        statements.append(_allow("Key", list(_ON_KEY[part]), [key], via))
    return {"Version": "2012-10-17", "Statement": statements}


def _bucket_itself(bucket: str, partition: str) -> Document:
    """HeadBucket is ListBucket without a prefix, and so is a listing of all names: IAM cannot tell them apart."""
    condition = {"Null": {"s3:prefix": "true"}}
    return _allow("HeadBucket", ["s3:ListBucket"], [bucket_arn(bucket, partition)], condition)


def _allow(sid: str, actions: list[str], resources: list[str], condition: Document | None = None) -> Document:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def _require_size(part: str, document: Document) -> None:
    size = len(json.dumps(document, separators=(",", ":")))
    if size > _MOST_CHARACTERS:
        what = f"The policy of {part} has {size} characters, and IAM takes {_MOST_CHARACTERS}: give fewer targets."
        raise BadInput(what)
