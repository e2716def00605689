#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_restore
short_description: Thaw objects of an archive storage class, and wait for them
version_added: 0.1.0
description:
  - Requests a temporary copy of the objects that are frozen, with RestoreObject. The objects are given by key, as all
    below a key prefix of any tool, or as the chain of a duplicity target.
  - What is thawed or thawing already is not requested again unless O(upgrade) or O(extend) ask for it, so the task can
    be killed and run again at any time.
  - Sends close to the 1,000 requests a second that S3 accepts. While S3 is too busy, all are sent more slowly, and none
    is lost. For millions of objects there is O(method=batch).
  - Runs wherever boto3 is, best on the controller, with credentials that backup hosts do not have.
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
  bucket:
    description:
      - The bucket, with O(keys) and O(prefix).
    type: str
  keys:
    description:
      - The keys of the objects, as RV(permafrost.backup.glacier_restore_info#module:plan) names them for a path or a
        whole backup. One that is not in the bucket is an error.
      - Objects of a class that needs no thaw are ready as they are.
    type: list
    elements: str
  version_ids:
    description:
      - Of some of the O(keys) an older version, by key, where a plan names one (C(version_id) of its volumes). A backup
        that was overwritten is restored from these. With O(target) they are found without it.
    type: dict
  prefix:
    description:
      - All objects of an archive class whose key begins so, whatever tool wrote them. It is compared letter by letter,
        so end a directory with a slash. Empty for the whole bucket, then with a O(pattern).
      - Objects of V(INTELLIGENT_TIERING) are left out, since a listing does not tell whether they are archived.
    type: str
  pattern:
    description:
      - A shell pattern that the rest of the key, behind O(prefix), has to fit. V(*) also stands for slashes.
    type: str
  target:
    description:
      - The target of a job, C(s3://bucket/prefix). All volumes of the chain that a restore as of O(time) reads are
        thawed.
      - They are found by their names. No manifest is read, so no passphrase is needed, but a volume that is missing at
        the end of a set is not noticed. M(permafrost.backup.glacier_restore_info) notices, and names the volumes of a
        single path, for O(keys).
    type: str
  time:
    description:
      - For O(target), the state of that time. The newest set that is not younger is taken.
      - A W3 time or date, an interval before now such as V(3D), or V(now). Without a zone it means UTC.
    type: str
    default: now
  file_prefixes:
    description:
      - For O(target), what the names of the objects begin with, as in the job.
    type: dict
    suboptions:
      archive:
        description: Before the names of volumes.
        type: str
      manifest:
        description: Before the names of manifests.
        type: str
      signature:
        description: Before the names of signatures.
        type: str
  tier:
    description:
      - How fast, and at what price. V(Standard) takes up to 5 hours for GLACIER and 12 for DEEP_ARCHIVE, V(Bulk) up to
        12 and 48, V(Expedited) minutes; DEEP_ARCHIVE has no V(Expedited).
      - Source - Amazon S3 User Guide, Understanding archive retrieval options.
    type: str
    choices: [Expedited, Standard, Bulk]
    default: Bulk
  fallback_tier:
    description:
      - The tier to request in the same run for what S3 has no capacity for with V(Expedited). With V(none) the task
        fails once all others are requested.
    type: str
    choices: [none, Standard, Bulk]
    default: none
  upgrade:
    description:
      - Request again what is thawing already, with O(tier), to make it faster. S3 agrees to a faster tier only, and
        bills the thaw at its price. O(days) must be that of the first request.
      - S3 does not tell the tier of a running thaw, so each run asks once for each; where S3 refuses, it counts as
        V(in_progress) in RV(replies). Nothing is asked with V(Bulk), the slowest.
      - Source - Amazon S3 User Guide, Upgrading the speed of an in-progress restore.
    type: bool
    default: false
  days:
    description:
      - For how many days after the thaw the copy stays. It is paid at the STANDARD rate meanwhile.
    type: int
    default: 7
  extend:
    description:
      - Let copies that are there already stay until O(days) from now. S3 bills the request and the storage.
      - A copy that is there for O(days) less one day anyway (for one day, half a day) is left alone. S3 counts from now
        and rounds up to midnight UTC, so what was extended is not asked for again before a day has passed.
      - Source - Amazon S3 User Guide, Restoring an archived object.
    type: bool
    default: false
  method:
    description:
      - How the objects are asked for. With V(requests) this task sends one request each.
      - With V(batch) it hands their list to S3 Batch Operations, which sends the requests. S3 bills such a job and its
        objects besides, and M(permafrost.backup.glacier_quote_info) does not count that.
      - The request is checked against the SDK's model of the service, and was never sent to Amazon. Try it with a few
        objects first.
    type: str
    choices: [requests, batch]
    default: requests
  batch:
    description:
      - The job of S3 Batch Operations, with O(method=batch). Its O(tier) is V(Standard) or V(Bulk).
      - Until S3 has begun the job its objects look frozen. The same task on the same day names the same job again, and
        S3 creates no second one.
      - Source - Amazon S3 User Guide, Restore objects with Batch Operations.
    type: dict
    suboptions:
      account_id:
        description: The account that owns the job, twelve digits. Quote them.
        type: str
        required: true
      role_arn:
        description:
          - The ARN of the role that S3 assumes for the job. It needs C(s3:RestoreObject) on the objects,
            C(s3:GetObject) on the manifest and C(s3:PutObject) on the reports. The credentials of the task need
            C(s3:CreateJob), C(iam:PassRole) and C(s3:PutObject) on the manifest.
        type: str
        required: true
      manifest:
        description: Where the list of the objects is stored, C(s3://bucket/prefix). Its name is made from its content.
        type: str
        required: true
      reports:
        description: Where S3 reports the objects that failed, C(s3://bucket/prefix). Without it O(batch.manifest).
        type: str
      priority:
        description: Which job S3 prefers; the higher number.
        type: int
        default: 10
      dest:
        description:
          - A directory on this host to write C(manifest.csv) and C(create-job.json) to, for a look before.
        type: path
      confirm:
        description:
          - Store the manifest and create the job, which then runs by itself. Without it nothing is requested.
        type: bool
        default: false
  wait:
    description:
      - Wait until every object can be read. With O(method=batch) it needs O(batch.confirm).
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait at most; V(0) waits for as long as it takes. The thaw goes on in S3 when the waiting ends.
    type: int
    default: 0
  poll_interval:
    description:
      - Seconds between two looks while waiting. A look costs one listing for 1,000 objects.
    type: int
    default: 300
  limit:
    description:
      - How many objects the lists in the result name at most. Counts and sizes are always exact.
    type: int
    default: 1000
seealso:
  - module: permafrost.backup.glacier_restore_info
"""

EXAMPLES = r"""
- name: Thaw the volumes of a plan
  permafrost.backup.glacier_restore:
    bucket: "{{ planned.plan.bucket }}"
    keys: "{{ planned.plan.volumes | rejectattr('state', 'equalto', 'staged') | map(attribute='key') }}"
  delegate_to: localhost

- name: Thaw and wait, for at most two days
  permafrost.backup.glacier_restore:
    bucket: "{{ planned.plan.bucket }}"
    keys: "{{ planned.plan.volumes | rejectattr('state', 'equalto', 'staged') | map(attribute='key') }}"
    tier: Standard
    days: 3
    wait: true
    wait_timeout: 172800

- name: Thaw the whole chain of the first of November, with nothing but the bucket
  permafrost.backup.glacier_restore:
    target: s3://acme-dr/web01/data
    time: 2026-11-01T12:00:00Z

- name: It is urgent after all
  permafrost.backup.glacier_restore:
    target: s3://acme-dr/web01/data
    time: 2026-11-01T12:00:00Z
    tier: Standard
    upgrade: true

- name: Say what would be requested of the packs of another tool
  permafrost.backup.glacier_restore:
    bucket: acme-dr
    prefix: restic/web01/data/
    pattern: "[0-9a-f]*"
    days: 14
    extend: true
  check_mode: true

- name: Hand ten million objects to S3 Batch Operations
  permafrost.backup.glacier_restore:
    bucket: acme-dr
    prefix: photos/
    tier: Bulk
    days: 30
    method: batch
    batch:
      account_id: "123456789012"
      role_arn: arn:aws:iam::123456789012:role/thaw
      manifest: s3://acme-dr-batch/thaws
      confirm: true
"""

RETURN = r"""
requested:
  description:
    - The keys for which S3 accepted a thaw, in check mode those that would be asked for, with O(method=batch) those
      that the job asks for. The list stops at O(limit).
  returned: success
  type: list
  elements: str
  sample: [web01/data/duplicity-full.20261101T020000Z.vol3.difftar.gz]
requested_count:
  description: How many these are.
  returned: success
  type: int
  sample: 1
requested_bytes:
  description: Their bytes.
  returned: success
  type: int
  sample: 1073741824
upgraded:
  description: The keys whose running thaw was made faster, in check mode those that would be asked for, up to O(limit).
  returned: success
  type: list
  elements: str
  sample: []
upgraded_count:
  description: How many these are.
  returned: success
  type: int
  sample: 0
extended:
  description: The keys whose copies now stay longer, in check mode would, up to O(limit).
  returned: success
  type: list
  elements: str
  sample: []
extended_count:
  description: How many these are.
  returned: success
  type: int
  sample: 0
replies:
  description:
    - How S3 answered, by count - V(accepted) (a thaw or an upgrade), V(extended), V(in_progress), V(no_capacity) or
      V(failed).
  returned: except in check mode, with O(method=requests)
  type: dict
  sample: {accepted: 1}
batch:
  description:
    - The job. C(manifest) is where its list is or would be, C(request) what CreateJob is asked for, or nothing where
      all is thawed or thawing already; C(job_id) its ID once it is created, C(files) what was written on this host.
  returned: with O(method=batch)
  type: dict
  sample:
    manifest: s3://acme-dr-batch/thaws/thaw-0f1e2d3c4b5a6978.csv
    object_count: 10000000
    job_id: 00e123a4-c0d8-41f4-a0eb-b46f9ba5b07c
    files: []
    request: {Operation: {S3InitiateRestoreObject: {ExpirationInDays: 30, GlacierJobTier: BULK}}}
ready_within_hours:
  description:
    - The upper bound that AWS states for what is thawing, in hours; 0 when everything was readable at the start.
  returned: success
  type: float
  sample: 48.0
plan:
  description:
    - The objects with size, class and state after the task, in check mode after what it would do, as in
      M(permafrost.backup.glacier_restore_info). C(volumes) stops at O(limit).
    - The task warns when thawed copies may expire before the rest is thawed, or within a day.
  returned: success
  type: dict
  sample: {bucket: acme-dr, ready: false, volume_count: 1, size_bytes: 1073741824, states: {}, volumes: []}
time:
  description: The time of the set that would be restored, in UTC.
  returned: with O(target)
  type: str
  sample: "2026-11-01T02:00:00Z"
left_out:
  description: What fits but needs no thaw, objects and bytes by storage class.
  returned: with O(prefix)
  type: dict
  sample: {STANDARD: {objects: 12, size_bytes: 48211}}
other_names:
  description: How many objects below O(prefix) do not fit O(pattern).
  returned: with O(prefix)
  type: int
  sample: 0
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: tier_unavailable, what: DEEP_ARCHIVE has no Expedited retrieval.}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, thawing
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import TIERS
from ansible_collections.permafrost.backup.plugins.module_utils.schema import BATCH, CONNECTION, FILE_PREFIXES

SPEC = {
    "bucket": {"type": "str"},
    "keys": {"type": "list", "elements": "str", "no_log": False},
    "version_ids": {"type": "dict"},
    "prefix": {"type": "str"},
    "pattern": {"type": "str"},
    "target": {"type": "str"},
    "time": {"type": "str", "default": "now"},
    "file_prefixes": FILE_PREFIXES,
    "tier": {"type": "str", "choices": list(TIERS), "default": "Bulk"},
    "fallback_tier": {"type": "str", "choices": ["none", "Standard", "Bulk"], "default": "none"},
    "upgrade": {"type": "bool", "default": False},
    "days": {"type": "int", "default": 7},
    "extend": {"type": "bool", "default": False},
    "method": {"type": "str", "choices": ["requests", "batch"], "default": "requests"},
    "batch": BATCH,
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 0},
    "poll_interval": {"type": "int", "default": 300},
    "limit": {"type": "int", "default": 1000},
    **CONNECTION,
}
CONSTRAINTS = {
    "mutually_exclusive": [["keys", "prefix", "target"], ["bucket", "target"]],
    "required_one_of": [["keys", "prefix", "target"]],
    "required_if": [["method", "batch", ["batch"]]],
    "required_by": {
        "keys": ["bucket"],
        "prefix": ["bucket"],
        "version_ids": ["keys"],
        "pattern": ["prefix"],
        "file_prefixes": ["target"],
    },
}


def main() -> None:
    module.run(SPEC, thawing.work, **CONSTRAINTS)


if __name__ == "__main__":
    main()
