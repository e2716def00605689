# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A thaw as a job of S3 Batch Operations: the manifest of its objects, and the request that creates it.

Pure. Rules: Amazon S3 User Guide, "Specifying a manifest" and "Restore objects with Batch Operations"; API Reference,
"CreateJob".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import checks
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.job import parse_target
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish

TIERS = {"Standard": "STANDARD", "Bulk": "BULK"}
_ACCOUNT = re.compile(r"\d{12}\Z")
_ROLE = re.compile(r"arn:(?P<partition>[^:\s]+):iam::\d{12}:role/\S+\Z")
_MAX_PRIORITY = 2**31 - 1
# What a URL takes as it is; a comma or a line break in a key would end its field or its line.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/")


@dataclass(frozen=True)
class Terms:
    """The option ``batch``, checked. ``place`` is bucket and key prefix of the manifest, ``reports`` of the reports."""

    account_id: str
    role_arn: str
    place: tuple[str, str]
    reports: tuple[str, str]
    priority: int
    dest: str | None
    confirm: bool

    @property
    def partition(self) -> str:
        """Amazon's name for a set of Regions, such as aws or aws-cn."""
        match = _ROLE.match(self.role_arn)
        return match["partition"] if match else ""


def checked_terms(params: Mapping[str, Any], tier: str) -> Terms:
    """Raises BadInput."""
    if tier not in TIERS:
        raise BadInput(f"tier is {tier}, and S3 Batch Operations has only Standard and Bulk.")
    if not _ACCOUNT.match(params["account_id"]):
        raise BadInput(
            f"batch.account_id '{params['account_id']}' is not an account: twelve digits are wanted, quoted."
        )
    if not _ROLE.match(params["role_arn"]):
        raise BadInput(f"batch.role_arn '{params['role_arn']}' is not the ARN of a role.")
    if not 0 <= params["priority"] <= _MAX_PRIORITY:
        raise BadInput(f"batch.priority is {params['priority']}: 0 to {_MAX_PRIORITY} is wanted.")
    return Terms(
        account_id=params["account_id"],
        role_arn=params["role_arn"],
        place=parse_target(params["manifest"]),
        reports=parse_target(params["reports"] or params["manifest"]),
        priority=params["priority"],
        dest=None if params["dest"] is None else checks.absolute(params, "dest", "batch"),
        confirm=params["confirm"],
    )


def manifest(bucket: str, objects: Iterable[PlannedObject]) -> bytes:
    """The CSV of the objects: bucket, and key as in a URL. Raises BadInput for older versions.

    A manifest gives versions to all of its objects or to none.
    """
    lines = []
    for one in objects:
        if one.version_id:
            raise BadInput(
                f"{one.key} is wanted in an older version, and a batch job thaws current objects. Use method: requests."
            )
        lines.append(f"{bucket},{_in_url(one.key)}\n")
    return "".join(lines).encode("ascii")


def _in_url(key: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in key.encode("utf-8"))


def manifest_key(terms: Terms, digest: str) -> str:
    """Where a manifest lies: named by its content, so that none replaces another."""
    return f"{terms.place[1]}/thaw-{digest[:16]}.csv"


def request(terms: Terms, wish: Wish, *, key: str, etag: str, digest: str) -> dict[str, Any]:
    """The parameters of CreateJob. ``digest`` identifies the job: S3 creates none twice."""
    arn = f"arn:{terms.partition}:s3:::"
    return {
        "AccountId": terms.account_id,
        "ClientRequestToken": digest,
        "ConfirmationRequired": False,
        "Description": "Thaw by permafrost.backup",
        "Manifest": {
            "Location": {"ETag": etag, "ObjectArn": f"{arn}{terms.place[0]}/{key}"},
            "Spec": {"Fields": ["Bucket", "Key"], "Format": "S3BatchOperations_CSV_20180820"},
        },
        "Operation": {"S3InitiateRestoreObject": {"ExpirationInDays": wish.days, "GlacierJobTier": TIERS[wish.tier]}},
        "Priority": terms.priority,
        "Report": {
            "Bucket": f"{arn}{terms.reports[0]}",
            "Enabled": True,
            "Format": "Report_CSV_20180820",
            "Prefix": terms.reports[1],
            "ReportScope": "FailedTasksOnly",
        },
        "RoleArn": terms.role_arn,
    }


def identity(terms: Terms, wish: Wish, content_digest: str, now: datetime) -> str:
    """What makes two jobs the same: objects, wish, role, and the day, so that the same thaw can be asked for later."""
    return f"{content_digest} {wish.tier} {wish.days} {terms.role_arn} {terms.priority} {now:%Y-%m-%d}"
