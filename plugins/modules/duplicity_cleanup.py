#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: duplicity_cleanup
short_description: Delete old sets and orphans of a job's backup
version_added: 0.1.0
description:
  - Decides from the bucket's listing alone and deletes through S3. It needs no container, no archive directory and no
    passphrase, and runs on any host. The job's own host drops its copies of what is gone at its next backup.
  - With several rules a set goes when any of them says so. A set counts when its manifest is in the bucket.
  - Without a rule of its own a task applies O(job.retention), and without O(credentials) it uses
    O(job.cleanup_credentials).
  - Refuses to delete the last chain that can be restored, and where the key prefix holds sets of another job.
  - Whose a chain is stands in its manifest. Where that is encrypted, only the job's own host knows, by its archive
    directory; a task elsewhere warns of how many chains it did not check the owner.
  - Deletes the newest set of a chain first, and of each set the manifest first. A task that is killed leaves whole sets
    and sets that no restore uses; the next one with a rule about chains deletes those too.
  - Chains need the permissions s3:ListBucket, s3:GetObject (to read the host name in plain manifests) and
    s3:DeleteObject; orphans also s3:ListBucketMultipartUploads and s3:AbortMultipartUpload.
  - In a bucket with versioning the deleted objects stay as older versions, until a lifecycle rule of the bucket ends
    them.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.connection.credentials
  - permafrost.backup.connection.keys
  - permafrost.backup.attributes.anywhere
  - permafrost.backup.attributes.group_duplicity
attributes:
  diff_mode:
    support: full
options:
  keep_fulls:
    description:
      - Keep so many fulls, the newest, with their incrementals. Older chains go, as with C(remove-all-but-n-full).
    type: int
  older_than:
    description:
      - Chains go when their newest set is older than this, as with C(remove-older-than). Older sets that newer ones
        build on stay. A chain that loses its incrementals to O(keep_incrementals_of) is as old as its full.
      - An interval such as V(180D), or a time. Without a zone it means UTC.
      - The newest chain stays, whatever its age, with a warning; O(delete_last_chain) changes this.
    type: str
  keep_incrementals_of:
    description:
      - Keep the incrementals of so many chains, the newest. Of older chains the full stays and the incrementals go, as
        with C(remove-all-inc-of-but-n-full).
    type: int
  orphans:
    description:
      - Also delete what belongs to no chain - sets without a manifest (interrupted backups), incrementals without the
        set that they build on, and unfinished multipart uploads.
      - On the host that began a set, and has its partial manifest, it goes at once. The job must not run meanwhile. The
        next backup then begins anew and does not resume.
      - Anything else may belong to a backup that runs on another host, and goes by O(orphan_age) only.
    type: bool
    default: false
  orphan_age:
    description:
      - Orphans of which any object is younger than this interval stay. At least V(1D).
    type: str
    default: 7D
  early_delete:
    description:
      - What happens to sets that S3 bills for longer, since their storage class has a minimum of 90 or 180 days.
        Without it that of O(job.retention), or V(refuse).
      - With V(refuse) they stay, and so does what they build on. RV(held) names them, with the date from which each is
        free. What is past its minimum goes.
      - With V(warn) they go, and a warning says for how long S3 goes on billing them. With V(allow) they go.
    type: str
    choices: [refuse, warn, allow]
  prices:
    description:
      - The prices of a Region, as in O(permafrost.backup.glacier_quote_info#module:prices). With them the result says
        what each deletion costs early.
    type: dict
  delete_last_chain:
    description:
      - The permission to delete the last chain that can be restored, for the end of a job. No backup of the job may run
        meanwhile.
    type: bool
    default: false
notes:
  - The secrets of O(job.encryption) are not used. A host that does not have them may give O(job.encryption.mode=none).
seealso:
  - module: permafrost.backup.duplicity_info
  - module: permafrost.backup.duplicity_backup
"""

EXAMPLES = r"""
- name: Keep eight fulls with their incrementals, and only the fulls of all but the newest two
  permafrost.backup.duplicity_cleanup:
    job: "{{ web01_data }}"
    keep_fulls: 8
    keep_incrementals_of: 2
    credentials: "{{ cleanup_credentials }}"
  delegate_to: localhost

- name: Say what half a year would delete
  permafrost.backup.duplicity_cleanup:
    job: "{{ web01_data }}"
    older_than: 180D
  check_mode: true
  diff: true

- name: Delete what interrupted backups left behind more than two weeks ago
  permafrost.backup.duplicity_cleanup:
    job: "{{ web01_data }}"
    orphans: true
    orphan_age: 2W
"""

RETURN = r"""
sets:
  description: The sets that were deleted, or would be in check mode, in the order of deletion. Times in UTC, bytes by
    storage class. C(reasons) are the options that say so, or V(leftover) of a cleanup that was killed. C(early_days) is
    for how long S3 goes on billing it, and C(early_delete_usd) how much, where O(prices) are given.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: full
      time: "2026-03-01T02:00:00Z"
      complete: true
      reasons: [keep_fulls]
      early_days: 12
      early_delete_usd: "0.000396014"
      object_count: 3
      size_bytes: {DEEP_ARCHIVE: 1073741824, STANDARD: 1048576}
      keys:
        - web01/data/duplicity-full.20260301T020000Z.manifest
        - web01/data/duplicity-full-signatures.20260301T020000Z.sigtar.gz
        - web01/data/duplicity-full.20260301T020000Z.vol1.difftar.gz
held:
  description: The sets that a rule speaks of and that stay until S3 stops to bill them, or one that builds on them.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: full
      time: "2026-09-01T02:00:00Z"
      complete: true
      reasons: [keep_fulls]
      object_count: 3
      size_bytes: {DEEP_ARCHIVE: 1073741824, STANDARD: 1048576}
      early_days: 97
      free_from: "2027-02-28T02:10:00Z"
early_delete_usd:
  description: What S3 bills for the rest of the minimum of RV(sets), in US dollars.
  returned: success, with O(prices)
  type: str
  sample: "0.000396014"
uploads:
  description: Unfinished multipart uploads that were aborted, or would be.
  returned: success
  type: list
  elements: dict
  sample: [{key: web01/data/duplicity-full.20260301T020000Z.vol2.difftar.gz, started: "2026-03-01T02:00:00Z"}]
object_count:
  description: Number of objects in RV(sets).
  returned: success
  type: int
  sample: 3
size_bytes:
  description: Their bytes by storage class.
  returned: success
  type: dict
  sample: {DEEP_ARCHIVE: 1073741824, STANDARD: 1048576}
versioned:
  description: Whether the bucket keeps versions, so that a deletion only hides an object; none where nobody may tell.
  returned: when objects go
  type: bool
  sample: true
locked:
  description:
    - The objects that Object Lock keeps as older versions, and until when by the bucket's default retention. The task
      warns of them.
  returned: when there are some
  type: list
  elements: dict
  sample: [{key: web01/data/duplicity-full.20260301T020000Z.vol1.difftar.gz, until: "2026-03-31T02:00:00Z"}]
kept:
  description: The chains that stay, oldest first, with their number of sets, and whether they can be restored as far
    as names and sizes tell.
  returned: success
  type: list
  elements: dict
  sample: [{start: "2026-11-01T02:00:00Z", end: "2026-11-02T02:00:00Z", sets: 2, restorable: true}]
left:
  description: Sets without a manifest, or without the set that they build on, that stay.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: incremental
      time: "2026-11-03T02:00:00Z"
      complete: false
      object_count: 1
      size_bytes: {DEEP_ARCHIVE: 1073741824}
deleted:
  description: The times of the sets that were deleted whole, when a cleanup failed on its way.
  returned: when C(error.cause) is C(cleanup_incomplete)
  type: list
  elements: str
  sample: ["2026-03-01T02:00:00Z"]
deleted_objects:
  description: The number of objects that were deleted, when a cleanup failed on its way.
  returned: when C(error.cause) is C(cleanup_incomplete)
  type: int
  sample: 4
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: last_chain, what: "2 sets would go, but no chain at all would stay."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import cleaning, module
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import EARLY_DELETE
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CREDENTIALS

SPEC = {
    **module.JOB_ARGUMENT,
    "credentials": CREDENTIALS,
    "keep_fulls": {"type": "int"},
    "older_than": {"type": "str"},
    "keep_incrementals_of": {"type": "int"},
    "orphans": {"type": "bool", "default": False},
    "orphan_age": {"type": "str", "default": "7D"},
    "early_delete": {"type": "str", "choices": list(EARLY_DELETE)},
    "prices": {"type": "dict"},
    "delete_last_chain": {"type": "bool", "default": False},
}


def main() -> None:
    module.run(SPEC, cleaning.work)


if __name__ == "__main__":
    main()
