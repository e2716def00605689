#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: duplicity_backup
short_description: Back up a job's source to S3, in an archive storage class
version_added: 0.1.0
description:
  - Runs duplicity in a container on the host and stores a full or an incremental set.
  - The volumes go to the job's storage class; manifests and signatures stay in STANDARD, so that incrementals and
    the planning of a restore never need a thaw.
  - A run outlives the task. A task that finds its job's backup running attaches to it, and one that finds it
    finished within the last hour returns its result. Never two runs of one job at once.
  - An interrupted backup is resumed by the next one, as long as the archive directory on the host survives and nothing
    of the source that it had already stored has changed since. Else the next one starts over.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.attributes.on_host
  - permafrost.backup.attributes.group_duplicity
attributes:
  diff_mode:
    support: full
options:
  full:
    description:
      - Start a new chain, whatever the age of the last full is.
      - Only then may its keys, its signer or its passphrase differ from those of the newest chain. The old chain stays,
        and needs its own for a restore.
    type: bool
    default: false
  prices:
    description:
      - The prices of a Region, as in O(permafrost.backup.glacier_quote_info#module:prices). With them RV(economy) also
        says whether volumes and storage class make sense for what is in the source.
    type: dict
seealso:
  - module: permafrost.backup.duplicity_info
  - module: permafrost.backup.duplicity_restore
"""

EXAMPLES = r"""
- name: Back up what changed, with a full every four weeks
  permafrost.backup.duplicity_backup:
    job: "{{ web01_data }}"

- name: Begin a new chain now
  permafrost.backup.duplicity_backup:
    job: "{{ web01_data }}"
    full: true

- name: A job in full, encrypted, with keys from the vault
  permafrost.backup.duplicity_backup:
    job:
      name: web01-data
      source: /srv/data
      target: s3://acme-dr/web01/data
      region: eu-central-1
      encryption:
        mode: symmetric
        passphrase: "{{ vault_web01_passphrase }}"
      credentials:
        access_key: "{{ vault_web01_key }}"
        secret_key: "{{ vault_web01_secret }}"

- name: For a key whose secret part is not on this host
  permafrost.backup.duplicity_backup:
    job:
      name: web01-data
      source: /srv/data
      target: s3://acme-dr/web01/data
      encryption:
        mode: gpg
        encrypt_keys: [8A51E3DD15BB30C9A8086C76F6A7F5F8C712F79C]
        public_keys: "{{ lookup('ansible.builtin.file', 'backup-public.asc') }}"
"""

RETURN = r"""
action:
  description: What the run was, V(full), V(incremental), or V(skipped) when nothing had changed.
  returned: success
  type: str
  sample: incremental
resumed:
  description: Whether the run went on with a set that an earlier one had left unfinished.
  returned: success
  type: bool
  sample: false
new_secrets:
  description:
    - Whether this run began a chain with other keys, another signer or another passphrase than the newest chain.
  returned: when duplicity ran to its end
  type: bool
  sample: false
attached:
  description: Whether an earlier task had started this run.
  returned: success
  type: bool
  sample: false
previous_run:
  description: Exit code and times of an earlier run that no task had seen the end of.
  returned: when there was one
  type: dict
  sample: {exit_code: 137, started: "2026-11-01T02:00:00Z", finished: "2026-11-01T02:10:00Z"}
set:
  description: The set that the run completed; its time in UTC, its volumes, and its bytes in the bucket by class.
  returned: success, when something was stored
  type: dict
  sample:
    kind: full
    time: "2026-11-01T02:00:00Z"
    volumes: 12
    size_bytes: {DEEP_ARCHIVE: 12884901888, STANDARD: 1048576}
statistics:
  description: duplicity's statistics of the source, counts and bytes.
  returned: always, when duplicity ran to its end
  type: dict
  sample: {source_files: 8123, source_bytes: 20132659, new_files: 3, changed_files: 1, deleted_files: 0}
anomaly:
  description:
    - What is odd about this backup, such as most files changed or half of them gone since the last set. Also a warning
      of the task.
  returned: success, except in check mode
  type: list
  elements: str
  sample: ["8123 of 9000 files changed since the last set."]
log_file:
  description: duplicity's log of the run, on the host. The last O(job.keep_logs) stay.
  returned: when duplicity ran to its end, but not in check mode
  type: str
  sample: /var/lib/permafrost/web01-data/logs/backup-20261101T020000Z.log
elapsed_seconds:
  description: The time that the container ran.
  returned: success
  type: float
  sample: 61.0
unreadable:
  description: Source files that were unreadable, or vanished during the run, at most 1000 names.
  returned: when duplicity ran to its end
  type: list
  elements: str
  sample: []
unreadable_count:
  description: How many these are in all.
  returned: when duplicity ran to its end
  type: int
  sample: 0
not_preserved:
  description:
    - What of the source duplicity does not keep, counted in entries. Hard links become copies, mtimes are cut to
      seconds and those of symbolic links are lost, sparse files are filled, sockets are dropped, ACLs and extended
      attributes are not stored.
  returned: success, except in check mode
  type: dict
  sample: {hard_links: 2, subsecond_mtimes: 8100, symlink_mtimes: 9, sparse_files: 0, sockets: 1, acls: 0, xattrs: 0}
rewrites:
  description:
    - What is written anew to go on with an interrupted backup - the first of its volumes, the bytes of all of them, up
      to O(job.concurrency) + 1, and for how many days S3 goes on billing the old ones. Also a warning of the task.
  returned: when duplicity ran to its end; null where none is
  type: dict
  sample:
    key: web01/data/duplicity-full.20261101T020000Z.vol3.difftar.gz
    size_bytes: 268435456
    storage_class: DEEP_ARCHIVE
    early_days: 180
economy:
  description:
    - What of O(job) makes no economic sense for what is in the source, with the value that would be better - retention
      that comes before the minimum of the storage class, and chunks; volumes and storage class where O(prices) are
      given. Also warnings of the task.
  returned: success
  type: list
  elements: str
  sample:
    - >-
      job.multipart_chunk_size is 10: each volume of 1024 MB takes 105 billed requests. With 1088, or without the
      option, it is one.
warnings_of_duplicity:
  description: Other warnings of the run.
  returned: when duplicity ran to its end
  type: list
  elements: str
  sample: []
command:
  description: The command line inside the container. Secrets are never part of it.
  returned: always, when duplicity ran to its end
  type: list
  elements: str
  sample: [duplicity, backup, --full-if-older-than, 4W]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: source_missing, what: The source /srv/data does not exist on this host.}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import backing_up, module

SPEC = {**module.JOB_ARGUMENT, "full": {"type": "bool", "default": False}, "prices": {"type": "dict"}}


def main() -> None:
    module.run(SPEC, backing_up.work)


if __name__ == "__main__":
    main()
