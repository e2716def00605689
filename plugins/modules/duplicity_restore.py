#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: duplicity_restore
short_description: Restore a path or a whole tree from a job's backup
version_added: 0.1.0
description:
  - Refuses to start unless every volume that the restore reads is present and thawed, and says precisely which are not.
  - Restores into a hidden directory beside the destination and moves it into place in one step, so that a restore
    that fails or is killed leaves nothing there.
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
      - Where the path, or the whole tree, will be. An absolute path that does not exist, or an empty directory.
      - Its parent must exist, and its file system needs room for the restored files.
    type: path
    required: true
seealso:
  - module: permafrost.backup.glacier_restore_info
  - module: permafrost.backup.glacier_restore
"""

EXAMPLES = r"""
- name: Restore everything as it was at the last backup
  permafrost.backup.duplicity_restore:
    job: "{{ web01_data }}"
    dest: /srv/restored

- name: Restore one directory as it was a week ago
  permafrost.backup.duplicity_restore:
    job: "{{ web01_data }}"
    path: etc/nginx
    time: 7D
    dest: /srv/nginx-last-week

- name: Say what a restore would read, and whether it could start
  permafrost.backup.duplicity_restore:
    job: "{{ web01_data }}"
    dest: /srv/restored
  check_mode: true

- name: Restore a backup for GnuPG keys, on a host that gets the secret key for this task alone
  permafrost.backup.duplicity_restore:
    job: "{{ web01_data | combine({'encryption': with_secret_key}, recursive=true) }}"
    dest: /srv/restored
  vars:
    with_secret_key:
      secret_keys: "{{ vault_backup_secret_key }}"
      passphrase: "{{ vault_backup_secret_key_passphrase }}"
"""

RETURN = r"""
dest:
  description: Where the restored data are.
  returned: success
  type: str
  sample: /srv/restored
path:
  description: The path without outer slashes; empty for the whole tree.
  returned: success
  type: str
  sample: etc/nginx
time:
  description: The time of the set that was restored, in UTC.
  returned: success
  type: str
  sample: "2026-11-01T02:00:00Z"
plan:
  description: The volumes that the restore read, as in M(permafrost.backup.glacier_restore_info).
  returned: success, unless RV(attached)
  type: dict
  sample: {bucket: acme-dr, ready: true, volume_count: 1, size_bytes: 1073741824, states: {}, volumes: []}
elapsed_seconds:
  description: The time that the container ran.
  returned: success, except in check mode
  type: float
  sample: 61.0
attached:
  description: Whether an earlier task had started this run.
  returned: success, except in check mode
  type: bool
  sample: false
warnings_of_duplicity:
  description: Warnings of the run.
  returned: success, except in check mode
  type: list
  elements: str
  sample: []
command:
  description: The command line inside the container. Secrets are never part of it.
  returned: success, unless the task attached to a run of an earlier one
  type: list
  elements: str
  sample: [duplicity, restore, --path-to-restore=etc/nginx]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: volumes_frozen, what: "Of 12 volumes that this restore reads, 12 are frozen and 0 are thawing."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, restoring

SPEC = {**module.JOB_ARGUMENT, **module.SELECTION_ARGUMENTS, "dest": {"type": "path", "required": True}}


def main() -> None:
    module.run(SPEC, restoring.work)


if __name__ == "__main__":
    main()
