# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be said of a restore before it begins: how long it takes at the least, and how much room it needs.

A verify of the data reads the same volumes.

Pure. The bucket tells the size of volumes only. What they hold takes at least as much room once it is restored, but for
two cases: an incremental may delete what a full holds, and a volume may hold other files beside a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, CopiesExpire, StagingSpace
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import THAWED, Plan, PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

MB = 1024 * 1024
# Name, mode, mtime and checksum of an entry, compressed, take more than this.
_LEAST_HEADER = 2
STAGED, STREAMED = "staged", "streamed"
# A copy that expires so soon after the estimated end is told.
_NEAR = timedelta(hours=1)


def size_bytes(plan: Plan) -> int:
    """The bytes that the restore reads."""
    return sum(volume.size_bytes for volume in plan.volumes)


def least_room(plan: Plan, path: str) -> int:
    """Bytes that the restored data take in any case; 0 where the volumes do not tell."""
    if any("duplicity-inc." in volume.key for volume in plan.volumes):
        return 0
    sure = plan.volumes[1:-1] if path else plan.volumes  # the outer ones may hold other paths too
    return sum(volume.size_bytes for volume in sure)


@dataclass(frozen=True)
class Way:
    """How a restore gets its volumes: ``staged``, all of them fetched and checked before, or ``streamed``."""

    name: str
    why: str

    @property
    def is_staged(self) -> bool:
        return self.name == STAGED


def way(wanted: str, *, volumes: int, beside: int, free: int, staged_only: bool = False) -> Way:
    """Stage where there is room for the volumes that are not there yet, and for what else grows on that disk.

    ``wanted`` is the option fetch; sizes in bytes. ``staged_only``: some volumes can be read nowhere but where an
    earlier task has staged them. Raises StagingSpace when staging is asked for and cannot be.
    """
    if wanted == STREAMED:
        return Way(STREAMED, "It was asked for.")
    if staged_only and wanted != STAGED and volumes <= free:
        return Way(STAGED, "Volumes that are staged already are thawed no more.")
    need = volumes if wanted == STAGED else volumes + beside
    sums = f"{volumes / MB:.1f} MB of volumes, {beside / MB:.1f} MB of other data, {free / MB:.1f} MB free"
    if need <= free:
        return Way(STAGED, "It was asked for." if wanted == STAGED else f"There is room: {sums}.")
    if wanted == STAGED:
        raise StagingSpace(f"There is no room to stage: {sums}.", needed_bytes=need, free_bytes=free)
    return Way(STREAMED, f"There is no room to stage: {sums}.")


def most_files(signature_bytes: int) -> int:
    """More files than signatures of that size tell of: each has a tar header of its own, however well it compresses."""
    return signature_bytes // _LEAST_HEADER


def restored_bytes(plan: Plan) -> int:
    """About what the volumes become: compression halves what is worth a backup, more or less."""
    return 2 * size_bytes(plan)


def checked_rate(rate: float) -> float:
    """The expected_rate option, in MB a second."""
    if not 0 < rate < float("inf"):
        raise BadInput(f"expected_rate is {rate:g}: a number above 0 is wanted.")
    return rate


def check_expiry(plan: Plan, rate: float, now: datetime, reader: str = "restore") -> list[str]:
    """Raise CopiesExpire when a thawed copy ends before the run does; words of warning when soon after."""
    takes = timedelta(seconds=size_bytes(plan) / (rate * MB))
    end = now + takes
    expiring = _before(plan, end)
    at_work = f"The {reader} reads {size_bytes(plan) / MB:.1f} MB, at {rate:g} MB/s until about {to_w3(end)}"
    if expiring:
        raise CopiesExpire(
            f"{at_work}, and {len(expiring)} thawed copies expire before: {_some(expiring)}.",
            expiring=[volume.key for volume in expiring],
            first_expiry=expiring[0].expires,
            estimated_end=to_w3(end),
        )
    near = _before(plan, end + max(takes, _NEAR))
    if near:
        return [f"{at_work}, and {len(near)} thawed copies expire soon after: {_some(near)}."]
    return []


def _before(plan: Plan, end: datetime) -> list[PlannedObject]:
    """Thawed copies that are gone by then, the first to go first. W3 times in UTC sort as text."""
    found = [one for one in plan.volumes if one.state == THAWED and (one.expires or "") < to_w3(end)]
    return sorted(found, key=lambda one: (one.expires or "", one.key))


def _some(volumes: list[PlannedObject]) -> str:
    named = ", ".join(f"{one.key.rpartition('/')[2]} at {one.expires}" for one in volumes[:3])
    return named + (f" and {len(volumes) - 3} more" if len(volumes) > 3 else "")
