# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storage classes, retrieval tiers, thaw states; volumes and a listing become a plan.

Pure. Rules: Amazon S3 User Guide, "Understanding archive retrieval options" and "Understanding and managing Amazon S3
storage classes", and "RestoreObject" in the API Reference.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import TierUnavailable
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import NeededVolume
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

STORAGE_CLASSES = ("STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
TIERS = ("Expedited", "Standard", "Bulk")
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
# Upper bounds of the time until a thaw is ready, in hours, as AWS states them.
TIER_HOURS = {
    "GLACIER": {"Expedited": 5 / 60, "Standard": 5.0, "Bulk": 12.0},
    "DEEP_ARCHIVE": {"Standard": 12.0, "Bulk": 48.0},
}

# What is deleted or overwritten sooner is paid for as if it had been stored so long, in days.
MINIMUM_DAYS = {"STANDARD": 0, "GLACIER_IR": 90, "GLACIER": 90, "DEEP_ARCHIVE": 180}
# What a cleanup does with sets that are younger.
EARLY_DELETE = ("refuse", "warn", "allow")
# Each archived object takes so many bytes more, of its own class and of STANDARD.
OVERHEAD_BYTES, OVERHEAD_STANDARD_BYTES = 32 * 1024, 8 * 1024
# Each object of GLACIER_IR is paid for as so many bytes at the least.
LEAST_BILLED_BYTES = {"GLACIER_IR": 128 * 1024}

READY, THAWED, THAWING, FROZEN, MISSING = "ready", "thawed", "thawing", "frozen", "missing"
STAGED = "staged"  # whole on the host already, whatever it is in the bucket
# What a restore can read now: never frozen, thawed, or staged.
READABLE = frozenset({READY, THAWED, STAGED})
# A copy that ends within this time is worth a word.
_SOON = timedelta(hours=24)


@dataclass(frozen=True)
class S3Object:
    """One entry of a listing with RestoreStatus. ``size_bytes`` is the stored size; times are UTC."""

    key: str
    size_bytes: int
    storage_class: str
    etag: str
    last_modified: datetime
    restoring: bool = False
    expires: datetime | None = None
    version_id: str | None = None  # of an older version; without it the current one is meant

    def state(self, now: datetime) -> str:
        """ready (never frozen), frozen, thawing or thawed.

        Decided by the restore status, not by the class: the class stays as it is when an object is thawed.
        """
        if self.storage_class not in ARCHIVED:
            return READY
        if self.restoring:
            return THAWING
        return THAWED if self.expires and self.expires > now else FROZEN


@dataclass(frozen=True)
class Upload:
    """A multipart upload that was begun and neither completed nor aborted; its parts are stored at STANDARD."""

    key: str
    upload_id: str
    started: datetime


@dataclass(frozen=True)
class PlannedObject:
    """An object that a restore reads, with its state in the bucket at the time of the plan.

    ``version_id`` names an older version, where the current one is not what the backup had stored.
    """

    key: str
    size_bytes: int
    storage_class: str | None
    state: str
    expires: str | None = None
    sha1: str | None = None
    version_id: str | None = None

    @property
    def name(self) -> str:
        """The file name without the key prefix."""
        return self.key.rpartition("/")[2]


def _at_hand(one: PlannedObject) -> PlannedObject:
    return replace(one, state=STAGED, expires=None)


@dataclass(frozen=True)
class Plan:
    """Everything that a restore reads from archive-capable storage. Travels as plain data between hosts."""

    bucket: str
    volumes: tuple[PlannedObject, ...]

    def keys(self, *states: str) -> list[str]:
        return [volume.key for volume in self.volumes if volume.state in states]

    def having(self, names: Container[str]) -> Plan:
        """The same where these are at hand already, so that their state in the bucket does not matter."""
        return replace(self, volumes=tuple(_at_hand(one) if one.name in names else one for one in self.volumes))

    @property
    def ready(self) -> bool:
        return all(volume.state in READABLE for volume in self.volumes)

    @property
    def expires_first(self) -> str | None:
        """When the first of the thawed copies expires. W3 times in UTC sort as text."""
        return min(
            (volume.expires for volume in self.volumes if volume.state == THAWED and volume.expires), default=None
        )

    @property
    def states(self) -> dict[str, dict[str, int]]:
        """Counts and bytes by state."""
        states: dict[str, dict[str, int]] = {}
        for volume in self.volumes:
            entry = states.setdefault(volume.state, {"volumes": 0, "size_bytes": 0})
            entry["volumes"] += 1
            entry["size_bytes"] += volume.size_bytes
        return states

    def to_result(self, limit: int | None = None) -> dict[str, Any]:
        """The plan as a task result. Counts are exact; the list of volumes stops at ``limit``."""
        return {
            "bucket": self.bucket,
            "volumes": [asdict(volume) for volume in self.volumes[:limit]],
            "volume_count": len(self.volumes),
            "size_bytes": sum(volume.size_bytes for volume in self.volumes),
            "states": self.states,
            "ready": self.ready,
            "expires_first": self.expires_first,
        }


def make_plan(
    bucket: str,
    wanted: Iterable[tuple[str, str | None]],
    listing: Mapping[str, S3Object],
    now: datetime,
    *,
    volumes_only: bool = True,
) -> Plan:
    """Size, class and state of the wanted (key, SHA1) pairs from one listing by key.

    An object of no bytes holds no volume: a PUT that was cut off, or somebody's touch. Where the objects are not all
    volumes (``volumes_only`` is false) it is an object like any other.
    """
    least = 1 if volumes_only else 0
    return Plan(bucket, tuple(_planned(key, sha1, listing.get(key), now, least) for key, sha1 in wanted))


def _planned(key: str, sha1: str | None, found: S3Object | None, now: datetime, least: int) -> PlannedObject:
    if found is None or found.size_bytes < least:
        return PlannedObject(key, 0, found.storage_class if found else None, MISSING, None, sha1)
    expires = to_w3(found.expires) if found.expires else None
    state, version = found.state(now), found.version_id
    return PlannedObject(key, found.size_bytes, found.storage_class, state, expires, sha1, version)


def check_tier(tier: str, volumes: Iterable[PlannedObject]) -> None:
    """Raise TierUnavailable when a class among the archived volumes has no such tier."""
    for volume in volumes:
        tiers = TIER_HOURS.get(volume.storage_class or "")
        if tiers is not None and tier not in tiers:
            raise TierUnavailable(
                f"{volume.storage_class} has no {tier} retrieval (first object: {volume.key}).",
                storage_class=volume.storage_class,
                tier=tier,
            )


def longest_hours(tiers: Mapping[str, str], volumes: Iterable[PlannedObject]) -> float:
    """The upper bound of the wait for what is not readable yet, in hours; 0 when nothing is to be thawed.

    ``tiers`` says with which tier a key was asked for. S3 does not tell the tier of a running thaw, so one that is not
    named there counts as the slowest.
    """
    return max((_hours(tiers.get(one.key), one) for one in volumes if one.state in (FROZEN, THAWING)), default=0.0)


def _hours(tier: str | None, volume: PlannedObject) -> float:
    hours = TIER_HOURS[volume.storage_class or ""]
    return hours.get(tier or "", max(hours.values()))


def expiry_warnings(plan: Plan, hours: float, now: datetime) -> list[str]:
    """What to say when thawed copies end before the rest is thawed (in ``hours`` at the latest), or within a day."""
    first = plan.expires_first
    if first is None:
        return []
    ready = to_w3(now + timedelta(hours=hours))
    if not plan.ready and first < ready:
        return [
            f"The first of the thawed copies expires at {first}, and the rest may be thawed as late as {ready}: extend "
            "them before (glacier_restore with extend), or they have to be thawed and paid again."
        ]
    if first < to_w3(now + _SOON):
        return [f"The first of the thawed copies expires at {first}: read them before, or extend them."]
    return []


def missing_volumes(needed: Iterable[NeededVolume], listing: Mapping[str, S3Object]) -> list[str]:
    """Names of the needed volumes that the bucket lacks, or holds without a byte."""
    return [one.name or one.described_as for one in needed if one.name is None or not listing[one.name].size_bytes]
