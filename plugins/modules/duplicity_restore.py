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
  - Refuses as well when thawed copies would expire on the way, or when there is no room, or too few inodes.
  - Restores into a hidden directory beside the destination and moves it into place in one step, so that a restore
    that fails or is killed leaves nothing there. In a mount point, which cannot be renamed, entries are moved one by
    one; what a kill interrupts there is finished by the next task of the job.
  - Fetches the volumes first and checks each against the SHA1 of its manifest, where the disk has room, so that damage
    is known before a file is written, a killed restore fetches no finished volume again, and a thawed copy that expires
    on the way does no harm.
  - Proves what it restored before it is moved into place, against the signatures of that time. These are other objects
    than the volumes, and need no thaw.
  - A destination that holds the same restore already, unchanged, is left alone. No volume is read for that, so they may
    be frozen again. What counts is names, types, sizes, mtimes, modes, owners and the targets of links, and no content.
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
      - Where the path, or the whole tree, will be. An absolute path that does not exist, or an empty directory, unless
        O(force) is used.
      - Its parent must exist, and its file system needs room and inodes for the restored files.
      - A mount point may be given. An empty C(lost+found) in it does not count.
    type: path
    required: true
  force:
    description:
      - Replace what is at O(dest), as a whole. Check mode with C(--diff) shows what would go, come and change.
      - The restore is complete before the old tree is moved aside; then it is moved in, and the old one is removed. So
        there must be room for both. A kill leaves one of the two in place, or the next task of the job brings it there.
      - A directory is replaced by a directory only, a file by a file, a link by a link.
      - Refused are what holds another mount point, directories of the system unless they are where O(path) comes from,
        what holds more than that, and whatever touches the directories of the job.
    type: bool
    default: false
  fetch:
    description:
      - V(staged) fetches all volumes into a directory below O(job.state_dir) before duplicity starts, which then has
        neither network nor AWS credentials. The directory goes with the success; what a failed or killed task has
        fetched stays.
      - V(streamed) lets duplicity read each volume when it comes to it.
      - V(auto) is V(staged) where the disk has room for the volumes beside the restore, else V(streamed).
    type: str
    choices: [auto, staged, streamed]
    default: auto
  prove:
    description:
      - Compare every restored file with the signatures of its time before anything is in place.
      - It needs an image of this collection. With another one, or where the bucket lacks signatures, the task is
        refused before it begins unless this is V(false).
    type: bool
    default: true
  expected_rate:
    description:
      - How many MB of volumes this host reads and restores in a second. The end of the restore is estimated with it,
        and all thawed copies must last until then.
    type: float
    default: 10
attributes:
  diff_mode:
    description: Shows what a restore with O(force) replaces, file by file, and of a new place what comes there.
    support: full
seealso:
  - module: permafrost.backup.duplicity_prove
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

- name: Show what would be lost if the configuration of last week were put back in place
  permafrost.backup.duplicity_restore:
    job: "{{ web01_data }}"
    path: etc/nginx
    time: 7D
    dest: /etc/nginx
    force: true
  check_mode: true
  diff: true

- name: Restore with the image of the guide, which has no program for the proof
  permafrost.backup.duplicity_restore:
    job: "{{ web01_data | combine({'image': 'duplicity-local:latest-s3'}) }}"
    dest: /srv/restored
    prove: false

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
restored:
  description: Counts of what the destination holds, and the bytes of its files.
  returned: success, except in check mode; also there when nothing was to be done
  type: dict
  sample: {files: 1200, directories: 34, others: 5, size_bytes: 73400320}
replaced:
  description:
    - With O(force), what was at the destination and the backup side by side, relative to O(dest). Removed is what only
      the destination has, new what only the backup has, changed what both have with another type or mtime.
    - Counts are exact, lists hold 1000 names at most.
  returned: when O(force) replaces something, unless RV(attached)
  type: dict
  sample:
    removed: [conf.d/new.conf]
    removed_count: 1
    new: []
    new_count: 0
    changed: [nginx.conf]
    changed_count: 1
    same_count: 32
plan:
  description: The volumes that the restore read, as in M(permafrost.backup.glacier_restore_info).
  returned: when something was to be restored, unless RV(attached)
  type: dict
  sample: {bucket: acme-dr, ready: true, volume_count: 1, size_bytes: 1073741824, states: {}, volumes: []}
fetch:
  description:
    - How the volumes were, or would be, got, and why. C(fetched) volumes were read, C(kept) were there from an earlier
      task. These two, bytes and seconds are there only when they were staged.
  returned: when something was restored, unless RV(attached); in check mode too
  type: dict
  sample: {way: staged, why: "There is room.", fetched: 14, kept: 0, size_bytes: 1073741824, elapsed_seconds: 12.5}
proof:
  description: What was compared with the signatures of that time, as in M(permafrost.backup.duplicity_prove).
  returned: when O(prove) is true, except in check mode; with a failure, what differs
  type: dict
  sample: {proven: true, files: 1200, directories: 34, others: 5, size_bytes: 73400320, difference_count: 0}
elapsed_seconds:
  description: The time that the container ran.
  returned: when something was restored
  type: float
  sample: 61.0
attached:
  description: Whether an earlier task had started this run.
  returned: when something was restored
  type: bool
  sample: false
warnings_of_duplicity:
  description: Warnings of the run.
  returned: when something was restored
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

SPEC = {
    **module.JOB_ARGUMENT,
    **module.SELECTION_ARGUMENTS,
    "dest": {"type": "path", "required": True},
    "force": {"type": "bool", "default": False},
    **module.FETCH_ARGUMENT,
    "prove": {"type": "bool", "default": True},
    "expected_rate": {"type": "float", "default": 10},
}


def main() -> None:
    module.run(SPEC, restoring.work)


if __name__ == "__main__":
    main()
