# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a thaw is about: which objects are meant, and for which of them S3 has to be asked.

Pure. Rules: Amazon S3 User Guide, "Restoring an archived object" and "Upgrading the speed of an in-progress restore";
API Reference, "RestoreObject".
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from ansible_collections.permafrost.backup.plugins.module_utils import glacier, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.errors import NothingToThaw, VolumesMissing
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan, PlannedObject, S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3
from ansible_collections.permafrost.backup.plugins.module_utils.versions import stored

_Found = TypeVar("_Found")

# In a listing, INTELLIGENT_TIERING looks the same whether its optional archive tiers hold the object or not.
_CANNOT_TELL = "INTELLIGENT_TIERING"


# --- which objects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chosen:
    """The keys that are meant, and the prefixes to list so that all of them are seen."""

    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    volumes_only: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)  # key -> the older version that is meant

    def plan(self, bucket: str, listing: Mapping[str, S3Object], now: datetime) -> Plan:
        wanted = [(key, None) for key in self.keys]
        return glacier.make_plan(bucket, wanted, listing, now, volumes_only=self.volumes_only)


def by_keys(keys: Iterable[str], versions: Mapping[str, str] | None = None) -> Chosen:
    """Given keys, and of some an older version.

    They are listed directory by directory: one request for 1,000, where HEAD would be one each.
    """
    unique = tuple(dict.fromkeys(keys))
    directories: dict[str, list[str]] = {}
    for key in unique:
        directories.setdefault(key.rpartition("/")[0], []).append(key)
    prefixes = tuple(_common_prefix(together) for together in directories.values())
    known = set(unique)
    return Chosen(unique, prefixes, versions={key: one for key, one in (versions or {}).items() if key in known})


def _common_prefix(keys: list[str]) -> str:
    # Of all strings the first and the last in order have the shortest prefix in common.
    first, last = min(keys), max(keys)
    common = next((at for at, (one, two) in enumerate(zip(first, last)) if one != two), min(len(first), len(last)))
    return first[:common]


def older(
    versions: Mapping[str, list[S3Object]],
    listing: Mapping[str, S3Object],
    key_prefix: str,
    prefixes: manifest.FilePrefixes,
) -> dict[str, S3Object]:
    """By key, the versions that the sets below a prefix had stored, where current ones are newer."""

    def own(objects: Mapping[str, _Found]) -> dict[str, _Found]:
        cut = len(key_prefix)
        return {key[cut:]: found for key, found in objects.items() if "/" not in key[cut:]}

    current = own(listing)
    sets = [one for chain in manifest.collect(current, prefixes).chains for one in chain.sets]
    return {key_prefix + name: found for name, found in stored(sets, current, own(versions)).items()}


def by_chain(
    names: Iterable[str],
    key_prefix: str,
    prefixes: manifest.FilePrefixes,
    time: datetime,
    versions: Mapping[str, S3Object] | None = None,
) -> tuple[Chosen, datetime]:
    """All volumes of the sets that a restore as of ``time`` reads, by the names of a listing; and the set's time.

    ``versions`` has by key what is meant in the place of a current object.
    """
    sets = manifest.sets_at(manifest.collect(names, prefixes), time)
    lacking = manifest.gaps(sets)
    if lacking:
        some = ", ".join(lacking[:5])
        raise VolumesMissing(f"By their numbers, {len(lacking)} volumes are missing: {some}.", volumes=lacking)
    volumes = [key_prefix + one.volumes[number] for one in sets for number in sorted(one.volumes)]
    return by_keys(volumes, {key: str(one.version_id) for key, one in (versions or {}).items()}), sets[-1].end


@dataclass
class Below:
    """What lies below a key prefix: archived objects, and counts of the rest."""

    archived: dict[str, S3Object] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)  # storage class -> objects and bytes
    other_names: int = 0

    @property
    def warnings(self) -> list[str]:
        if _CANNOT_TELL not in self.left_out:
            return []
        count = self.left_out[_CANNOT_TELL]["objects"]
        return [
            f"{count} objects of {_CANNOT_TELL} were left out. A listing does not tell whether one of them is in an "
            "archive access tier; HEAD does (x-amz-archive-status)."
        ]


def by_prefix(objects: Iterable[S3Object], prefix: str, pattern: str | None) -> tuple[Chosen, Below]:
    """All archived objects below a prefix whose rest of the key fits the shell pattern."""
    below = Below()
    for found in objects:
        if pattern is not None and not fnmatch.fnmatchcase(found.key[len(prefix) :], pattern):
            below.other_names += 1
        elif found.storage_class in glacier.ARCHIVED:
            below.archived[found.key] = found
        else:
            entry = below.left_out.setdefault(found.storage_class, {"objects": 0, "size_bytes": 0})
            entry["objects"] += 1
            entry["size_bytes"] += found.size_bytes
    if not below.archived and not below.left_out:
        fitting = f" and goes on as '{pattern}'" if below.other_names else ""
        raise NothingToThaw(f"No key begins with '{prefix}'{fitting}.", prefix=prefix)
    return Chosen(tuple(below.archived), (prefix,), volumes_only=False), below


# --- what to ask for ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """How to thaw. ``fallback_tier`` is for what Expedited has no capacity for, or None."""

    tier: str
    days: int
    upgrade: bool = False
    extend: bool = False
    fallback_tier: str | None = None


@dataclass(frozen=True)
class Work:
    """The objects to ask S3 for: frozen ones, running thaws that shall be faster, copies that would end too soon."""

    request: tuple[PlannedObject, ...]
    upgrade: tuple[PlannedObject, ...]
    extend: tuple[PlannedObject, ...]

    def __iter__(self) -> Iterator[PlannedObject]:
        yield from self.request
        yield from self.upgrade
        yield from self.extend

    def __len__(self) -> int:
        return len(self.request) + len(self.upgrade) + len(self.extend)


NO_WORK = Work((), (), ())


def work_of(plan: Plan, wish: Wish, now: datetime) -> Work:
    """What of a plan S3 has to be asked for. Raises TierUnavailable where a class does not have the tier."""
    too_soon = to_w3(_enough(now, wish.days))
    work = Work(
        request=tuple(one for one in plan.volumes if one.state == glacier.FROZEN),
        # Nothing is slower than Bulk, so there is nothing that it could make faster.
        upgrade=tuple(
            one for one in plan.volumes if wish.upgrade and wish.tier != "Bulk" and one.state == glacier.THAWING
        ),
        extend=tuple(
            one
            for one in plan.volumes
            if wish.extend and one.state == glacier.THAWED and one.expires and one.expires < too_soon
        ),
    )
    glacier.check_tier(wish.tier, work)
    return work


def _enough(now: datetime, days: int) -> datetime:
    """A copy that is there until then is left alone: a day short of ``days``, or half a day for one day.

    S3 counts Days from now and rounds up to midnight UTC, so a copy that was just extended is there for at least Days.
    Without the day in between, the next run after a midnight would ask for every object once more.
    """
    return now + timedelta(days=days) - min(timedelta(days=1), timedelta(days=days) / 2)


def extended_until(now: datetime, days: int) -> datetime:
    """Where S3 puts the end of a copy that is extended now: Days later, rounded up to midnight UTC."""
    end = now + timedelta(days=days)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == end else midnight + timedelta(days=1)


def foreseen(plan: Plan, work: Work, wish: Wish, now: datetime) -> Plan:
    """The plan as it will be when S3 accepts all of the work; an upgrade changes nothing that can be seen."""
    requested = {one.key for one in work.request}
    extended = {one.key for one in work.extend}
    until = to_w3(extended_until(now, wish.days))

    def after(one: PlannedObject) -> PlannedObject:
        if one.key in requested:
            return replace(one, state=glacier.THAWING)
        return replace(one, expires=until) if one.key in extended else one

    return Plan(plan.bucket, tuple(after(one) for one in plan.volumes))


def days_warnings(plan: Plan, days: int, hours: float) -> list[str]:
    """What to say when copies of one request may end before others of it are thawed."""
    if hours <= days * 24 or len(plan.keys(glacier.FROZEN)) < 2:
        return []
    return [
        f"Thawing may take {hours:g} hours, and a copy stays {days * 24} hours: the first copies may expire before the "
        "last are thawed. Give more days or a faster tier."
    ]
