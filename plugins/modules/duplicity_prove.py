#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: duplicity_prove
short_description: Prove that a tree is what a job's backup holds
version_added: 0.1.0
description:
  - Compares every file of a tree with the signatures of a backup. They are other objects than the volumes, lie in
    STANDARD and in the archive directory, and need no thaw, so that this costs nothing once they are there.
  - Of each entry type, mode, owner, group, mtime and the target of a link are compared, of each file its librsync
    signature. What is missing or additional is named. What duplicity does not keep does not count.
  - M(permafrost.backup.duplicity_restore) does the same before it puts anything in place.
  - A proof is remembered. While neither the tree's metadata nor the backup of that time changes, the task finds it and
    reads no file.
  - A signature has 12 bytes for each block of a file, 8 of them of MD4. It finds what happens by accident. It is no
    guard against somebody who can write the archive directory or the bucket.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.selection
  - permafrost.backup.attributes.on_host
  - permafrost.backup.attributes.group_duplicity
options:
  dest:
    description:
      - The tree, or the file, that O(path) was restored to. An absolute path.
    type: path
    required: true
  on_difference:
    description:
      - V(fail) makes the task fail when anything differs. V(report) only tells it.
    type: str
    choices: [fail, report]
    default: fail
attributes:
  diff_mode:
    description: A proof writes nothing but its own record, and that it would is what the diff tells.
    support: full
seealso:
  - module: permafrost.backup.duplicity_restore
  - module: permafrost.backup.duplicity_verify
"""

EXAMPLES = r"""
- name: Prove a tree that duplicity itself has restored by hand
  permafrost.backup.duplicity_prove:
    job: "{{ web01_data }}"
    dest: /srv/restored

- name: Prove a directory as it was a week ago
  permafrost.backup.duplicity_prove:
    job: "{{ web01_data }}"
    path: etc/nginx
    time: 7D
    dest: /srv/nginx-last-week

- name: Say which files of the source have changed since the last backup
  permafrost.backup.duplicity_prove:
    job: "{{ web01_data }}"
    dest: /srv/data
    on_difference: report
"""

RETURN = r"""
dest:
  description: The tree that was looked at.
  returned: success
  type: str
  sample: /srv/restored
path:
  description: The path without outer slashes; empty for the whole tree.
  returned: success
  type: str
  sample: etc/nginx
time:
  description: The time of the set that it was compared with, in UTC.
  returned: success
  type: str
  sample: "2026-11-01T02:00:00Z"
proven:
  description: Whether nothing differs.
  returned: success, except in check mode without an earlier proof
  type: bool
  sample: true
proven_at:
  description: When an earlier task has proven it, in UTC.
  returned: when an earlier proof was found
  type: str
  sample: "2026-11-02T08:15:00Z"
files:
  description: How many files were compared; likewise C(directories), C(others) and C(size_bytes).
  returned: success, except in check mode without an earlier proof
  type: int
  sample: 1200
differences:
  description:
    - What differs, 1000 at most. C(kind) is missing, extra, type, mode, owner, mtime, target, device or content.
    - When the task fails, it is in C(proof).
  returned: success, except in check mode without an earlier proof
  type: list
  elements: dict
  sample: [{path: conf.d/site.conf, kind: mode, wanted: "0644", found: "0600"}]
difference_count:
  description: How many there are in all; C(difference_kinds) has them by kind.
  returned: success, except in check mode without an earlier proof
  type: int
  sample: 1
elapsed_seconds:
  description: The time that the proof took.
  returned: success, except in check mode without an earlier proof
  type: float
  sample: 3.5
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: proof_failed, what: "1 differences between /srv/restored and the whole tree as of …"}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, proving

SPEC = {
    **module.JOB_ARGUMENT,
    **module.SELECTION_ARGUMENTS,
    "dest": {"type": "path", "required": True},
    "on_difference": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
}


def main() -> None:
    module.run(SPEC, proving.work)


if __name__ == "__main__":
    main()
