#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_restore_info
short_description: Plan a restore - which volumes it reads, and whether they are thawed
version_added: 0.1.0
description:
  - Names exactly the volumes that a restore of a path at a time reads, with size, storage class and state.
  - The list comes from duplicity's own dry run and is compared with the manifests; nothing is changed or thawed.
  - Knows which of them an interrupted restore has staged on the host, where they cost nothing any more.
  - Refuses what cannot work before anything is paid, such as a missing volume or a path that is not in the backup.
author:
  - permafrost.backup contributors (@permafrost-backup)
options:
  fetch:
    description:
      - How the restore will get its volumes, as in M(permafrost.backup.duplicity_restore).
      - Those that an earlier task has staged on this host are needed no more, unless the restore is V(streamed).
    type: str
    choices: [auto, staged, streamed]
    default: auto
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.selection
  - permafrost.backup.attributes.on_host
  - permafrost.backup.attributes.group_duplicity
  - permafrost.backup.attributes.info
seealso:
  - module: permafrost.backup.glacier_restore
  - module: permafrost.backup.duplicity_restore
"""

EXAMPLES = r"""
- name: What would a restore of one directory read?
  permafrost.backup.glacier_restore_info:
    job: "{{ web01_data }}"
    path: etc/nginx
  register: planned

- name: Thaw just that, from the controller
  permafrost.backup.glacier_restore:
    bucket: "{{ planned.plan.bucket }}"
    keys: "{{ planned.plan.volumes | rejectattr('state', 'equalto', 'staged') | map(attribute='key') }}"
    tier: Bulk
  delegate_to: localhost

- name: What would the newest backup of everything need?
  permafrost.backup.glacier_restore_info:
    job: "{{ web01_data }}"

- name: What would the whole tree of the first of November need?
  permafrost.backup.glacier_restore_info:
    job: "{{ web01_data }}"
    time: 2026-11-01T12:00:00Z
"""

RETURN = r"""
plan:
  description:
    - The volumes with key, size, storage class, state and the manifest's SHA1; counts and bytes by state.
    - A state is V(ready) (never frozen), V(frozen), V(thawing), V(thawed), or V(staged) on this host already by a
      restore that did not come to its end. There its state in the bucket does not matter.
    - C(version_id) is that of an older version, where the current object is not what the backup had stored.
    - C(expires_first) is when the first of the thawed copies expires. The task warns when that is within a day, or
      before the rest can be thawed with V(Bulk).
  returned: success
  type: dict
  sample:
    bucket: acme-dr
    ready: false
    volume_count: 1
    size_bytes: 1073741824
    states: {frozen: {volumes: 1, size_bytes: 1073741824}}
    expires_first: null
    volumes:
      - key: web01/data/duplicity-full.20261101T020000Z.vol3.difftar.gz
        size_bytes: 1073741824
        storage_class: DEEP_ARCHIVE
        state: frozen
        expires: null
        sha1: 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12
        version_id: null
time:
  description: The time of the set that the restore would be made from, in UTC.
  returned: success
  type: str
  sample: "2026-11-01T02:00:00Z"
path:
  description: The path without outer slashes; empty for the whole tree.
  returned: success
  type: str
  sample: etc/nginx
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: path_not_in_backup, what: "'etc/nginx' is not in the backup of 2026-11-01T02:00:00Z."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, restoring

SPEC = {**module.JOB_ARGUMENT, **module.SELECTION_ARGUMENTS, **module.FETCH_ARGUMENT}


def main() -> None:
    module.run(SPEC, restoring.plan)


if __name__ == "__main__":
    main()
