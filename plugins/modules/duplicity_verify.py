#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: duplicity_verify
short_description: Verify a job's backup in its bucket, or against its source
version_added: 0.1.0
description:
  - With O(mode=integrity), compares the manifests with the bucket's listing. It reads no volume, so nothing must be
    thawed, and it names every damage that it finds, not only the first.
  - With O(mode=source), reads every volume of a path, proves that each is what was stored, and compares the files with
    those of the source. What a restore would need to be thawed, this needs too, and as much temporary space.
  - It never changes or thaws anything, so C(changed) is always false.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.selection
  - permafrost.backup.attributes.on_host
  - permafrost.backup.attributes.group_duplicity
options:
  mode:
    description:
      - V(integrity) looks at all sets of the job; O(path) and O(time) do not count, and check mode makes no difference.
      - V(source) reads the volumes of one set and of those that it builds on. In check mode the result is the plan, and
        what would have to be thawed.
    type: str
    choices: [integrity, source]
    default: integrity
  fail_on:
    description:
      - The kinds of findings that make a task with O(mode=integrity) fail. All others are told as warnings.
      - V(volume_missing), V(volume_empty) - a volume that the manifest names is not in the bucket, or has no byte.
      - V(manifest_missing) - other sets build on this one, and its manifest is not in the bucket.
      - V(manifest_unreadable) - the manifest is cut off, cannot be decrypted, or does not name all volumes.
      - V(signature_missing), V(signature_empty) - no incremental can build on such a set, nor its files be listed.
      - V(overwritten) - a volume or signature is newer than the manifest, which duplicity writes last, or the manifest
        is a day newer than all else of its set. A copy in place does this too, for example to another storage class.
        In a bucket with versions that the credentials may list (s3:ListBucketVersions), each object of which an older
        version is what the set had stored. Restores use that one, and the set is examined with it.
      - V(manifest_unchecked) - the manifest is encrypted for a key that this host does not hold, and the archive
        directory has no copy of it. Volumes are then known only by their numbers.
      - V(wrong_class) - a volume is not in the job's storage class, or a manifest or signature is not in STANDARD.
      - V(interrupted), V(orphaned) - a set without a manifest; a set without the one that it builds on.
      - V(unknown) - an object below the prefix that duplicity did not write.
      - V(upload_pending) - a multipart upload that was neither completed nor aborted, and is paid for.
    type: list
    elements: str
    choices:
      - volume_missing
      - volume_empty
      - manifest_missing
      - manifest_unreadable
      - manifest_unchecked
      - signature_missing
      - signature_empty
      - overwritten
      - wrong_class
      - interrupted
      - orphaned
      - unknown
      - upload_pending
    default:
      - volume_missing
      - volume_empty
      - manifest_missing
      - manifest_unreadable
      - signature_missing
      - signature_empty
      - overwritten
  compare_data:
    description:
      - Whether O(mode=source) compares the files of the backup with those of the source, by type, owner, mode, mtime
        (in seconds) and content.
      - With V(false) duplicity compares nothing with the source. It only proves that every volume is what was stored
        and that the files can be rebuilt.
    type: bool
    default: true
  on_difference:
    description:
      - Whether differences between source and backup make the task fail.
    type: str
    choices: [fail, report]
    default: fail
  expected_rate:
    description:
      - How many MB of volumes this host reads and compares in a second. The end of a run with O(mode=source) is
        estimated with it, and all thawed copies must last until then.
    type: float
    default: 10
seealso:
  - module: permafrost.backup.duplicity_info
  - module: permafrost.backup.duplicity_restore
"""

EXAMPLES = r"""
- name: Look whether the bucket still holds everything that was stored
  permafrost.backup.duplicity_verify:
    job: "{{ web01_data }}"

- name: Fail also when uploads are pending that somebody pays for
  permafrost.backup.duplicity_verify:
    job: "{{ web01_data }}"
    fail_on: [volume_missing, volume_empty, manifest_missing, manifest_unreadable, upload_pending]

- name: Say what must be thawed before one directory can be compared with its backup
  permafrost.backup.duplicity_verify:
    job: "{{ web01_data }}"
    mode: source
    path: etc/nginx
  check_mode: true
  register: planned

- name: Compare the source with the backup of yesterday
  permafrost.backup.duplicity_verify:
    job: "{{ web01_data }}"
    mode: source
    time: 1D
    on_difference: report
"""

RETURN = r"""
mode:
  description: What was verified.
  returned: success, or failure by what was found
  type: str
  sample: integrity
findings:
  description:
    - Everything that is not as it was written, each with its kind, the object's name and key (null where there is no
      object), the time of its set in UTC, and what is wrong.
  returned: when O(mode=integrity)
  type: list
  elements: dict
  sample:
    - kind: volume_missing
      name: duplicity-full.20261101T020000Z.vol3
      key: null
      time: "2026-11-01T02:00:00Z"
      detail: The manifest names it.
finding_counts:
  description: Number of findings by kind.
  returned: when O(mode=integrity)
  type: dict
  sample: {volume_missing: 1}
set_count:
  description: Number of sets that were looked at.
  returned: when O(mode=integrity)
  type: int
  sample: 30
object_count:
  description: Number of objects below the prefix.
  returned: when O(mode=integrity)
  type: int
  sample: 142
uploads_listed:
  description:
    - Whether the credentials may list multipart uploads (s3:ListBucketMultipartUploads). If not, a warning says so.
  returned: when O(mode=integrity)
  type: bool
  sample: true
path:
  description: The path without outer slashes; empty for the whole tree.
  returned: when O(mode=source)
  type: str
  sample: etc/nginx
time:
  description: The time of the set that was verified, in UTC.
  returned: when O(mode=source)
  type: str
  sample: "2026-11-01T02:00:00Z"
plan:
  description: The volumes that the run reads, as in M(permafrost.backup.glacier_restore_info).
  returned: when O(mode=source), unless RV(attached)
  type: dict
  sample: {bucket: acme-dr, ready: true, volume_count: 1, size_bytes: 1073741824, states: {}, volumes: []}
thaw:
  description: What would have to be thawed first, and the longest time that takes by tier, in hours.
  returned: when O(mode=source), in check mode
  type: dict
  sample: {volumes: 12, size_bytes: 12884901888, hours: {Standard: 12.0, Bulk: 48.0}}
differences:
  description:
    - What differs, at most 1000 of them, each with the path relative to the source, the kind, and in what it differs.
    - V(new) is not in the backup, V(deleted) is not in the source, V(changed) is in both.
    - What the job's selection excludes is no difference.
  returned: when O(mode=source) and O(compare_data=true), except in check mode
  type: list
  elements: dict
  sample: [{path: etc/hosts, kind: changed, detail: content}]
difference_count:
  description: Number of all differences.
  returned: when O(mode=source) and O(compare_data=true), except in check mode
  type: int
  sample: 1
difference_kinds:
  description: Number of all differences by kind.
  returned: when O(mode=source) and O(compare_data=true), except in check mode
  type: dict
  sample: {new: 0, changed: 1, deleted: 0}
compared_count:
  description: Number of paths, of the backup and the source together.
  returned: when O(mode=source) and volumes were read
  type: int
  sample: 8123
log_file:
  description: The log of the run on this host, which names every difference.
  returned: when O(mode=source) and volumes were read
  type: str
  sample: /var/lib/permafrost/web01-data/logs/verify-20261101T020000Z.log
unreadable:
  description: Files of the source that could not be read. Such a file is told as deleted.
  returned: when O(mode=source) and volumes were read
  type: list
  elements: str
  sample: []
finished:
  description: When the run ended, in UTC; with RV(attached) that may be up to an hour ago.
  returned: when O(mode=source) and volumes were read
  type: str
  sample: "2026-11-02T09:00:00Z"
elapsed_seconds:
  description: The time that the container ran.
  returned: when O(mode=source) and volumes were read
  type: float
  sample: 61.0
attached:
  description: Whether an earlier task had started this run.
  returned: when O(mode=source) and volumes were read
  type: bool
  sample: false
warnings_of_duplicity:
  description: Warnings of the run.
  returned: when O(mode=source) and volumes were read
  type: list
  elements: str
  sample: []
command:
  description: The command line inside the container. Secrets are never part of it.
  returned: when O(mode=source) and volumes are read
  type: list
  elements: str
  sample: [duplicity, verify, --compare-data]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: integrity_failed, what: "1 finding: volume_missing duplicity-full.20261101T020000Z.vol3."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import integrity, module, verifying

SPEC = {
    **module.JOB_ARGUMENT,
    **module.SELECTION_ARGUMENTS,
    "mode": {"type": "str", "choices": ["integrity", "source"], "default": "integrity"},
    "fail_on": {
        "type": "list",
        "elements": "str",
        "choices": list(integrity.KINDS),
        "default": list(integrity.DAMAGE),
    },
    "compare_data": {"type": "bool", "default": True},
    "on_difference": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
    "expected_rate": {"type": "float", "default": 10},
}


def main() -> None:
    module.run(SPEC, verifying.work)


if __name__ == "__main__":
    main()
