# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a restore gets its volumes: fetched and checked before, where there is room, or read by duplicity on the way.

I/O; the decision is estimate.py's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import destination, estimate, fetching, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job


def way(job: Job, dest: Path, made: Plan, wanted: str) -> estimate.Way:
    """Staged or streamed, and why. What an earlier task has staged counts; what is of no use any more will go.

    duplicity reads no older versions, so where they are needed the only way is staged.
    """
    if any(one.version_id for one in made.volumes):
        if wanted == estimate.STREAMED:
            raise BadInput(
                "Older versions of volumes are needed, which duplicity cannot read: fetch must not be streamed."
            )
        wanted = estimate.STAGED
    there, needed = fetching.there(job), {one.name: one.size_bytes for one in made.volumes}
    lacking = sum(size for name, size in needed.items() if there.get(name) != size)
    useless = sum(size for name, size in there.items() if needed.get(name) != size)
    here, beside = fetching.place(job), 0
    if destination.same_disk(here, destination.base(dest)):
        beside += estimate.restored_bytes(made)
    if destination.same_disk(here, Path(job.temp_dir)):
        beside += destination.temporary_bytes(job)
    only = not made.ready and at_hand(job, made).ready
    free = destination.free(here) + useless
    return estimate.way(wanted, volumes=lacking, beside=beside, free=free, staged_only=only)


def at_hand(job: Job, made: Plan) -> Plan:
    """The plan where what an earlier task has staged need not be thawed any more."""
    there = fetching.there(job)
    return made.having({one.name for one in made.volumes if there.get(one.name) == one.size_bytes})


def fetch(archive: Archive, made: Plan, sets: Iterable[manifest.BackupSet]) -> fetching.Fetched:
    """Stage the volumes of the plan, and the manifests that duplicity finds them by. Call under the lock."""
    prefix = archive.job.key_prefix
    wanted = [fetching.Wanted(one.key, one.sha1, one.version_id) for one in made.volumes]
    for name in (str(one.manifest) for one in sets):
        found = archive.older.get(name)
        wanted.append(fetching.Wanted(prefix + name, version_id=found.version_id if found else None))
    return fetching.fetch(archive.job, archive.bucket, wanted)
