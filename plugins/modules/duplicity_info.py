#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: duplicity_info
short_description: Show the chains, sets and files of a job
version_added: 0.1.0
description:
  - Reads the job's listing and manifests, and never changes or thaws anything.
  - A set is complete only when its manifest is in the bucket. Interrupted sets are listed apart.
  - Volumes that a manifest names and the bucket lacks are listed with their set; duplicity itself does not notice them.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.attributes.on_host
  - permafrost.backup.attributes.group_duplicity
  - permafrost.backup.attributes.info
options:
  files:
    description:
      - Also list files, as they were at O(time). Reads signatures, which need no thaw.
    type: bool
    default: false
  time:
    description:
      - The time of which files are listed. A W3 time or date, an interval before now such as V(3D), or V(now).
      - Without a zone it means UTC.
    type: str
    default: now
  changes:
    description:
      - Also list the files that are new, changed or deleted in the set of that time, by its manifest, which needs no
        thaw. The newest set that is not younger is taken; times as for O(time).
      - Regular files only, for duplicity notes no others. Of a full, every file is new.
    type: str
  pattern:
    description:
      - List only files and changes whose path, relative to the source, matches this shell pattern; V(*) also matches
        slashes.
    type: str
    default: "*"
  limit:
    description:
      - List at most this many files, and this many changes; the counts are exact all the same.
    type: int
    default: 1000
  sample:
    description:
      - Also choose this many regular files of those at O(time), at random but the same for the same O(seed), for a
        restore that is tried. Reads signatures, which need no thaw. V(0) chooses none and reads none.
    type: int
  seed:
    description:
      - Any word. Another one makes another sample.
    type: str
    default: ""
seealso:
  - module: permafrost.backup.duplicity_backup
  - module: permafrost.backup.glacier_restore_info
"""

EXAMPLES = r"""
- name: Show the chains
  permafrost.backup.duplicity_info:
    job: "{{ web01_data }}"
  register: backup

- name: Fail when volumes are missing
  ansible.builtin.assert:
    that: backup.chains | map(attribute='missing_count') | sum == 0

- name: Find a file as it was three days ago
  permafrost.backup.duplicity_info:
    job: "{{ web01_data }}"
    files: true
    time: 3D
    pattern: "*/nginx.conf"

- name: Show what changed below etc in the backup of the night of the second
  permafrost.backup.duplicity_info:
    job: "{{ web01_data }}"
    changes: "2026-11-02T06:00:00Z"
    pattern: "etc/*"

- name: Fail when the last success is older than two days
  ansible.builtin.assert:
    that: (backup.last_success_age_seconds or 999999) < 172800
"""

RETURN = r"""
chains:
  description:
    - Each full with its incrementals, oldest first; times in UTC, bytes by storage class, missing volumes.
    - When the manifests of a chain are not on this host and the job's secrets do not open them, C(unreadable) says why,
      and what is missing is not known (V(null)). The module fails when that goes for every chain.
  returned: success
  type: list
  elements: dict
  sample:
    - start: "2026-11-01T02:00:00Z"
      end: "2026-11-02T02:00:00Z"
      missing_count: 0
      unreadable: null
      sets:
        - kind: full
          time: "2026-11-01T02:00:00Z"
          complete: true
          volumes: 12
          size_bytes: {DEEP_ARCHIVE: 12884901888, STANDARD: 1048576}
          missing: []
interrupted:
  description: Sets without a manifest in the bucket, which the next backup resumes or replaces.
  returned: success
  type: list
  elements: dict
  sample: []
orphaned:
  description: Complete incrementals without the set that they build on.
  returned: success
  type: list
  elements: dict
  sample: []
unknown:
  description: Names of objects below the prefix that duplicity did not write.
  returned: success
  type: list
  elements: str
  sample: []
size_bytes:
  description: Bytes below the prefix by storage class.
  returned: success
  type: dict
  sample: {DEEP_ARCHIVE: 12884901888, STANDARD: 1048576}
object_count:
  description: Number of objects below the prefix.
  returned: success
  type: int
  sample: 14
stored:
  description:
    - All objects below the prefix, by storage class, as what they cost is reckoned from. C(padding_bytes) is what small
      ones lack to the 128 KB that V(GLACIER_IR) bills at the least.
  returned: success
  type: list
  elements: dict
  sample: [{storage_class: DEEP_ARCHIVE, object_count: 12, size_bytes: 12884901888, padding_bytes: 0}]
newest_volumes:
  description: The volumes of the newest chain, of the same form. A restore of all data reads them.
  returned: success
  type: list
  elements: dict
  sample: [{storage_class: DEEP_ARCHIVE, object_count: 4, size_bytes: 4294967296, padding_bytes: 0}]
last_run:
  description: Times, exit code, cause of failure and unreadable files of the last backup that this host knows of.
  returned: success
  type: dict
  sample:
    started: "2026-11-01T02:00:00Z"
    finished: "2026-11-01T02:01:00Z"
    exit_code: 0
    cause: null
    unreadable_count: 0
last_success:
  description: The same of the last backup that counts as a success, how many files it had, and who signed it.
  returned: success
  type: dict
  sample:
    started: "2026-11-01T02:00:00Z"
    finished: "2026-11-01T02:01:00Z"
    exit_code: 0
    cause: null
    source_files: 1200
    unreadable_count: 0
    sign_key: null
last_drill:
  description:
    - What the last restore drill of this job found; null as long as there was none.
    - C(outcome) is proven, looked (nothing could be read without a thaw) or failed, and C(proven) when a restore was
      proven last.
  returned: success
  type: dict
  sample:
    started: "2026-11-01T04:00:00Z"
    finished: "2026-11-01T04:10:00Z"
    outcome: proven
    cause: null
    proven: "2026-11-01T04:10:00Z"
history:
  description:
    - The last 400 runs of backups, restores and verifies on this host that ended, by modules and timers, oldest first.
    - C(stored_bytes) is V(null) for all but backups that came to their end.
  returned: success
  type: list
  elements: dict
  sample:
    - time: "2026-11-01T02:00:00Z"
      verb: backup
      exit_code: 0
      elapsed_seconds: 58.4
      stored_bytes: 12884901888
last_full_age_seconds:
  description: Age of the newest complete full; null when there is none.
  returned: success
  type: int
  sample: 86400
last_success_age_seconds:
  description: Time since the end of RV(last_success); null when this host knows of none.
  returned: success
  type: int
  sample: 3600
files:
  description: Files that match, with path relative to the source, mtime in UTC, and type.
  returned: when O(files=true)
  type: list
  elements: dict
  sample: [{path: etc/nginx.conf, mtime: "2026-10-01T00:00:00Z", type: reg}]
files_time:
  description: The time of the set that holds these files, in UTC.
  returned: when O(files=true), or O(sample) is given
  type: str
  sample: "2026-11-01T02:00:00Z"
sample:
  description: Paths of the chosen files, relative to the source.
  returned: when O(sample) is given
  type: list
  elements: str
  sample: [etc/nginx.conf, var/lib/app/17.dat]
file_count:
  description: Number of files in the backup at that time.
  returned: when O(files=true)
  type: int
  sample: 8123
matched_count:
  description: Number of files that match.
  returned: when O(files=true)
  type: int
  sample: 1
changes:
  description:
    - Files of the set that match, each with its path relative to the source and V(new), V(changed) or V(deleted).
    - Null, as are the counts, for a set whose manifest has no list of files; an older duplicity wrote none.
  returned: when O(changes) is given
  type: list
  elements: dict
  sample: [{path: etc/hosts, kind: changed}]
changes_time:
  description: The time of that set, in UTC.
  returned: when O(changes) is given
  type: str
  sample: "2026-11-02T02:00:00Z"
changes_kind:
  description: Whether that set is a full or an incremental.
  returned: when O(changes) is given
  type: str
  sample: incremental
change_counts:
  description: Number of all files of the set by kind, whether they match or not.
  returned: when O(changes) is given
  type: dict
  sample: {new: 1, changed: 1, deleted: 0}
changes_matched_count:
  description: Number of files of the set that match.
  returned: when O(changes) is given
  type: int
  sample: 1
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: no_backup, what: No complete backup was found.}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import inspecting, module

SPEC = {
    **module.JOB_ARGUMENT,
    "files": {"type": "bool", "default": False},
    "time": {"type": "str", "default": "now"},
    "changes": {"type": "str"},
    "pattern": {"type": "str", "default": "*"},
    "limit": {"type": "int", "default": 1000},
    "sample": {"type": "int"},
    "seed": {"type": "str", "default": ""},
}


def main() -> None:
    module.run(SPEC, inspecting.work)


if __name__ == "__main__":
    main()
