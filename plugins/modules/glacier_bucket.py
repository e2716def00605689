#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_bucket
short_description: Make a bucket for backups, and keep it right
version_added: 0.1.0
description:
  - Makes the bucket where it is not there, blocks public access and ACLs, refuses requests without TLS, encrypts, keeps
    versions, and gives it the lifecycle rules of backups. Object Lock if wanted.
  - Statements of the bucket's policy and lifecycle rules that others made stay as they are. Versioning and a lock are
    never taken away, and a bucket is never removed.
  - C(amazon.aws.s3_bucket) has neither check mode nor diff, no lifecycle rules, and puts no lock on a bucket that is
    there; so this module speaks to S3 itself.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.connection
  - permafrost.backup.connection.keys
  - permafrost.backup.attributes.anywhere
  - permafrost.backup.attributes.group_s3
attributes:
  diff_mode:
    support: full
options:
  name:
    description: The name of the bucket.
    type: str
    required: true
  encryption:
    description: How S3 encrypts new objects that say nothing themselves.
    type: dict
    suboptions:
      mode:
        description: With keys of S3, or with one of the Key Management Service.
        type: str
        choices: [AES256, "aws:kms"]
        default: AES256
      kms_key_id:
        description: The key; without it the account's own key for S3 serves, which no other account can use.
        type: str
      bucket_key:
        description: One request to the Key Management Service for many objects instead of one for each.
        type: bool
        default: true
  object_lock:
    description:
      - Keep each version of an object for a time in which nobody can delete it. New objects get this retention; those
        that are there before do not.
      - A lock cannot be taken from a bucket again. Without this option a lock that is there stays as it is.
    type: dict
    suboptions:
      mode:
        description:
          - In V(GOVERNANCE) those who have the permission can end a retention, in V(COMPLIANCE) nobody, not even the
            root user of the account.
        type: str
        choices: [GOVERNANCE, COMPLIANCE]
        required: true
      days:
        description: How long.
        type: int
        required: true
  tls_only:
    description: Refuse all requests that do not come by TLS, in the bucket's policy.
    type: bool
    default: true
  abort_uploads_days:
    description: End a multipart upload after so many days. An unfinished one is billed and in no listing of objects.
    type: int
    default: 7
  old_versions_days:
    description:
      - For how many days a version stays that was overwritten or deleted; V(0) keeps all for ever, and bills them. A
        locked version stays until its retention has ended, whatever this says.
      - What is younger than the least time of its class (180 days in DEEP_ARCHIVE) is billed for that time anyway.
    type: int
    default: 180
  transitions:
    description:
      - Move volumes to another storage class some days after they were stored, by a lifecycle rule. A job with a
        C(storage_class) needs none.
      - Rules see only how a key begins, and manifests and signatures must stay where they are. So the job needs
        C(file_prefixes) by which its volumes can be told from them, and a rule that cannot tell is refused.
    type: list
    elements: dict
    suboptions:
      prefix:
        description: The key prefix of the job, C(web01/data) for C(s3://bucket/web01/data).
        type: str
        required: true
      archive:
        description: What the names of the job's volumes begin with, its C(file_prefixes.archive).
        type: str
        required: true
      manifest:
        description: What those of its manifests begin with.
        type: str
      signature:
        description: What those of its signatures begin with.
        type: str
      storage_class:
        description: Where the volumes go.
        type: str
        choices: [GLACIER_IR, GLACIER, DEEP_ARCHIVE]
        required: true
      days:
        description: When.
        type: int
        default: 0
seealso:
  - module: permafrost.backup.glacier_policy_info
"""

EXAMPLES = r"""
- name: A bucket for backups
  permafrost.backup.glacier_bucket:
    name: acme-dr
    region: eu-central-1
  delegate_to: localhost

- name: With a key of its own, and nothing deleted for 30 days
  permafrost.backup.glacier_bucket:
    name: acme-dr
    region: eu-central-1
    encryption:
      mode: aws:kms
      kms_key_id: arn:aws:kms:eu-central-1:123456789012:key/0d1c6f6e-9a55-4a0c-8b8a-3f2b8d3c9e11
    object_lock: {mode: GOVERNANCE, days: 30}
  delegate_to: localhost

- name: Volumes of a job with file prefixes go to the archive a week later
  permafrost.backup.glacier_bucket:
    name: acme-dr
    transitions:
      - prefix: web01/data
        archive: archive-web01-
        manifest: manifest-web01-
        signature: signature-web01-
        storage_class: DEEP_ARCHIVE
        days: 7
  delegate_to: localhost
"""

RETURN = r"""
created:
  description: Whether the bucket was made; in check mode, would be.
  returned: success
  type: bool
  sample: false
settings:
  description: The settings that were written; in check mode, would be.
  returned: success
  type: list
  elements: str
  sample: [versioning, lifecycle]
state:
  description: All settings after the task, in check mode after what it would do.
  returned: success
  type: dict
  sample: {versioning: Enabled, ownership: BucketOwnerEnforced, object_lock: {mode: GOVERNANCE, days: 30}}
done:
  description: What was written before S3 refused something, C(bucket) for the bucket itself.
  returned: failure on the way
  type: list
  elements: str
  sample: [bucket, public_access_block]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: access_refused, what: S3 refused to put bucket policy in bucket acme-dr.}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import bucket_making, module
from ansible_collections.permafrost.backup.plugins.module_utils.bucket_settings import (
    ENCRYPTIONS,
    LOCK_MODES,
    TRANSITIONS,
)
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CONNECTION

ENCRYPTION = {
    "mode": {"type": "str", "choices": list(ENCRYPTIONS), "default": "AES256"},
    "kms_key_id": {"type": "str", "no_log": False},
    "bucket_key": {"type": "bool", "default": True, "no_log": False},
}
LOCK = {
    "mode": {"type": "str", "choices": list(LOCK_MODES), "required": True},
    "days": {"type": "int", "required": True},
}
TRANSITION = {
    "prefix": {"type": "str", "required": True},
    "archive": {"type": "str", "required": True},
    "manifest": {"type": "str"},
    "signature": {"type": "str"},
    "storage_class": {"type": "str", "choices": list(TRANSITIONS), "required": True},
    "days": {"type": "int", "default": 0},
}
SPEC = {
    "name": {"type": "str", "required": True},
    "encryption": {"type": "dict", "options": ENCRYPTION},
    "object_lock": {"type": "dict", "options": LOCK},
    "tls_only": {"type": "bool", "default": True},
    "abort_uploads_days": {"type": "int", "default": 7},
    "old_versions_days": {"type": "int", "default": 180},
    "transitions": {"type": "list", "elements": "dict", "options": TRANSITION},
    **CONNECTION,
}


def main() -> None:
    module.run(SPEC, bucket_making.work)


if __name__ == "__main__":
    main()
