# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a restore can cost and when it can be ready: one offer a tier, and the choice among them.

Pure. What a thaw would request is asked from retrieval.py, which also decides it when the thaw is requested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import estimate, glacier, prices, retrieval
from ansible_collections.permafrost.backup.plugins.module_utils.billed import Amount
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    NoOfferFits,
    TierUnavailable,
    VolumesMissing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan, PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Line, Prices, plain
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish, Work
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

# Amazon S3 User Guide, "Archive retrieval options": for larger objects no time is stated for Expedited.
_EXPEDITED_BYTES = 250_000_000
# duplicity downloads with boto3, which asks for the size first (HEAD) and gets larger objects in parts.
_PART_BYTES = 8 << 20
# Copies are there for some days more than the thaw and the restore take: people sleep, and there are weekends.
_SPARE_DAYS = 3

# Lines by what they are for: the thaw, the copies, the reading.
THAW = ("thaw_requests", "thaw_data", "upgrade_requests", "upgrade_data", "extend_requests")
COPIES = ("copies",)
READING = ("get_requests", "get_data")
EGRESS = ("egress",)


@dataclass(frozen=True)
class Terms:
    """How a restore shall be: ``days`` of the copies (None: enough), MB a second, and whether data leave the Region.

    ``streamed``: duplicity reads the volumes itself, instead of getting them staged.
    """

    days: int | None = None
    rate: float = 10
    egress: bool = True
    upgrade: bool = False
    extend: bool = False
    streamed: bool = False


@dataclass(frozen=True)
class Offer:
    """A restore with one tier. ``tier`` is None where nothing has to be requested.

    ``requested_hours`` is the upper bound of what this offer requests, ``ready_hours`` that of all: S3 does not tell
    the tier of a running thaw, so one counts as the slowest.
    """

    tier: str | None
    days: int
    requested_hours: float
    ready_hours: float
    restore_seconds: float
    lines: tuple[Line, ...]
    copy_day_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        return prices.total(self.lines)

    def done(self, now: datetime) -> datetime:
        """When the data are back at the latest, by what this offer requests."""
        return now + timedelta(hours=self.requested_hours, seconds=self.restore_seconds)

    def to_result(self, now: datetime) -> dict[str, Any]:
        return {
            "tier": self.tier,
            "days": self.days,
            "ready_within_hours": self.ready_hours,
            "ready_at": to_w3(now + timedelta(hours=self.ready_hours)),
            "restored_at": to_w3(now + timedelta(hours=self.ready_hours, seconds=self.restore_seconds)),
            "thaw_usd": plain(prices.total(self.lines, *THAW)),
            "copies_usd": plain(prices.total(self.lines, *COPIES)),
            "copies_usd_a_day": plain(self.copy_day_usd),
            "reading_usd": plain(prices.total(self.lines, *READING)),
            "egress_usd": plain(prices.total(self.lines, *EGRESS)),
            "total_usd": plain(self.total_usd),
            "lines": [line.to_result() for line in self.lines],
        }


@dataclass(frozen=True)
class Limits:
    """What an offer has to keep: a total, a time, a tier. None is no limit."""

    max_cost: Decimal | None = None
    ready_by: datetime | None = None
    tier: str | None = None


# --- the plan, back from data ---------------------------------------------------------------------------------------


def plan_of(data: Mapping[str, Any]) -> Plan:
    """A plan as glacier_restore_info gave it. Raises BadInput, and VolumesMissing for one that cannot work."""
    known = {one.name for one in fields(PlannedObject)}
    try:
        volumes = tuple(PlannedObject(**{key: one[key] for key in known & set(one)}) for one in data["volumes"])
        made = Plan(str(data["bucket"]), volumes)
        count = int(data.get("volume_count", len(volumes)))
        whole = all(isinstance(one.size_bytes, int) and one.size_bytes >= 0 for one in volumes)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"plan is not that of glacier_restore_info: {error!r}.") from None
    states = {*glacier.READABLE, glacier.FROZEN, glacier.THAWING, glacier.MISSING}
    if not whole or not {one.state for one in volumes} <= states:
        raise BadInput("plan is not that of glacier_restore_info: a volume has no size or an unknown state.")
    if count != len(volumes):
        raise BadInput(f"plan names {len(volumes)} of its {count} volumes: take that of glacier_restore_info.")
    missing = made.keys(glacier.MISSING)
    if missing:
        raise VolumesMissing(f"The bucket lacks {len(missing)} volumes: {', '.join(missing[:5])}.", volumes=missing)
    return made


# --- offers ---------------------------------------------------------------------------------------------------------


def quote(plan: Plan, table: Prices, terms: Terms, now: datetime) -> list[Offer]:
    """An offer for each tier that can work, the cheapest first; one without a tier where it would request nothing."""
    found: dict[str | None, Offer] = {}
    days = terms.days or _enough_days(
        {one.storage_class or "" for one in plan.volumes}, restore_seconds(plan, terms.rate)
    )
    for tier in glacier.TIERS:
        try:
            work = retrieval.work_of(plan, Wish(tier, days, terms.upgrade, terms.extend), now)
        except TierUnavailable:
            continue
        chosen = tier if len(work) else None
        found.setdefault(chosen, _offer(plan, table, terms, work, (chosen, days)))
    return sorted(found.values(), key=lambda one: (one.total_usd, one.ready_hours))


def restore_seconds(plan: Plan, rate: float) -> float:
    """How long the restore itself takes, reading so many MB a second."""
    return estimate.size_bytes(plan) / (rate * estimate.MB)


def of_frozen(amounts: Iterable[Amount], table: Prices, terms: Terms) -> dict[str | None, tuple[Line, ...]]:
    """The lines of a restore of so much when all of it is frozen, by tier; None where nothing has to be thawed."""
    those = sorted(amounts, key=lambda one: one.storage_class)
    archived = [one for one in those if one.storage_class in glacier.ARCHIVED]
    size = sum(one.size_bytes for one in archived)
    seconds = sum(one.size_bytes for one in those) / (terms.rate * estimate.MB)
    days = terms.days or _enough_days({one.storage_class for one in archived}, seconds)
    reading = tuple(_reading_lines(those, table, terms))
    tiers = [tier for tier in glacier.TIERS if all(tier in glacier.TIER_HOURS[one.storage_class] for one in archived)]
    if not archived:
        return {None: reading}
    copies = prices.storage("copies", "STANDARD", table.figure(prices.COPY), size, days)
    return {
        tier: (*(line for one in archived for line in _asked("thaw", tier, one, table)), copies, *reading)
        for tier in tiers
    }


def _enough_days(storage_classes: Iterable[str], seconds: float) -> int:
    """Whole days that outlast the slowest thaw and the restore.

    Neither states nor tiers count, so that a thaw which is taken up again or made faster has the days of the first
    request: S3 wants it so.
    """
    hours = max((max(glacier.TIER_HOURS.get(one, {"": 0.0}).values()) for one in storage_classes), default=0.0)
    return math.ceil((hours + seconds / 3600) / 24) + _SPARE_DAYS


def _sure_tier(one: PlannedObject, tier: str) -> str:
    """The tier whose time is promised."""
    return "Standard" if tier == "Expedited" and one.size_bytes > _EXPEDITED_BYTES else tier


def _offer(plan: Plan, table: Prices, terms: Terms, work: Work, chosen: tuple[str | None, int]) -> Offer:
    tier, days = chosen
    asked = {one.key: _sure_tier(one, tier) for one in (*work.request, *work.upgrade)} if tier else {}
    frozen = sum(one.size_bytes for one in work.request)
    unread = _by_class(one for one in plan.volumes if one.state != glacier.STAGED)
    return Offer(
        tier=tier,
        days=days,
        requested_hours=glacier.longest_hours(asked, (*work.request, *work.upgrade)),
        ready_hours=glacier.longest_hours(asked, plan.volumes),
        restore_seconds=restore_seconds(plan, terms.rate),
        lines=(*_thaw_lines(work, table, tier, days), *_reading_lines(unread, table, terms)),
        copy_day_usd=prices.storage("copies", "STANDARD", table.figure(prices.COPY), frozen, 1).amount_usd,
    )


def _thaw_lines(work: Work, table: Prices, tier: str | None, days: int) -> Iterator[Line]:
    """Only what is asked for is paid: requests, bytes, and the copies that appear or stay."""
    for one in _by_class(work.request):
        yield from _asked("thaw", tier, one, table)
    # A faster tier is paid as if it were the first: an upper bound, since S3 refuses what is not faster.
    for one in _by_class(work.upgrade):
        yield from _asked("upgrade", tier, one, table)
    for one in _by_class(work.extend):
        figure = table.figure(f"{one.storage_class}.{tier}.{prices.REQUEST}")
        yield prices.requests("extend_requests", one.storage_class, figure, one.count)
    copied = sum(one.size_bytes for one in (*work.request, *work.extend))
    if copied:
        yield prices.storage("copies", "STANDARD", table.figure(prices.COPY), copied, days)


def _asked(what: str, tier: str | None, those: Amount, table: Prices) -> Iterator[Line]:
    name = those.storage_class
    yield prices.requests(f"{what}_requests", name, table.figure(f"{name}.{tier}.{prices.REQUEST}"), those.count)
    yield prices.data(f"{what}_data", name, table.figure(f"{name}.{tier}.{prices.DATA}"), those.size_bytes)


def _reading_lines(amounts: Sequence[Amount], table: Prices, terms: Terms) -> Iterator[Line]:
    """Every volume is read once, whatever its class and state; staged by one GET. HEAD is billed as GET."""
    size = 0
    for one in amounts:
        name, size = one.storage_class, size + one.size_bytes
        count = one.parts if terms.streamed else one.count
        yield prices.requests("get_requests", name, table.figure(f"{name}.get_1000"), count)
        if name == "GLACIER_IR":
            yield prices.data("get_data", name, table.figure("GLACIER_IR.get_gb"), one.size_bytes)
    if terms.egress and amounts:
        yield prices.data("egress", "", table.figure(prices.EGRESS), size)


def _by_class(volumes: Iterable[PlannedObject]) -> list[Amount]:
    found: dict[str, list[PlannedObject]] = {}
    for one in volumes:
        found.setdefault(one.storage_class or "STANDARD", []).append(one)
    return [
        Amount(
            storage_class=name,
            count=len(those),
            size_bytes=sum(one.size_bytes for one in those),
            parts=sum(1 + max(1, math.ceil(one.size_bytes / _PART_BYTES)) for one in those),
        )
        for name, those in sorted(found.items())
    ]


# --- the choice -----------------------------------------------------------------------------------------------------


def choose(offers: list[Offer], limits: Limits, now: datetime) -> Offer:
    """The cheapest offer within the limits. Raises NoOfferFits, with what would fit."""
    free = [one for one in offers if one.tier is None]
    wanted = [one for one in offers if one.tier == limits.tier] or free if limits.tier else offers
    for one in wanted:
        if not _objections(one, limits, now):
            return one
    told = "; ".join(_told(one, limits, now) for one in offers)
    raise NoOfferFits(f"No tier fits {_shown(limits)}. {told}.", limits=_shown(limits))


def _objections(one: Offer, limits: Limits, now: datetime) -> list[str]:
    """Why an offer does not do. What requests nothing is not too late: it only goes on with what was begun."""
    found = []
    if limits.tier and one.tier not in (None, limits.tier):
        found.append("another tier")
    if limits.max_cost is not None and one.total_usd > limits.max_cost:
        found.append("too dear")
    if limits.ready_by is not None and one.tier is not None and one.done(now) > limits.ready_by:
        found.append("too late")
    return found


def _told(one: Offer, limits: Limits, now: datetime) -> str:
    why = " and ".join(_objections(one, limits, now)) or "fits"
    named = one.tier or "What is left to do"
    return f"{named} costs {plain(one.total_usd)} USD and has the data back by {to_w3(one.done(now))} ({why})"


def _shown(limits: Limits) -> str:
    parts = []
    if limits.tier:
        parts.append(f"tier {limits.tier}")
    if limits.max_cost is not None:
        parts.append(f"max_cost {plain(limits.max_cost)} USD")
    if limits.ready_by is not None:
        parts.append(f"ready_by {to_w3(limits.ready_by)}")
    return ", ".join(parts)


# --- for people -----------------------------------------------------------------------------------------------------


def table_of(offers: list[Offer], chosen: Offer | None, now: datetime) -> list[str]:
    """The offers side by side, as lines of text."""
    copies = f"copies for {offers[0].days} days"
    head = ("tier", "thawed by", "thaw", copies, "a day", "reading", "egress", "total USD")
    rows = [head, *(_row(one, now) for one in offers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    marks = ["", *("  <- chosen" if one is chosen else "" for one in offers)]
    return [_line(row, widths) + mark for row, mark in zip(rows, marks)]


def _row(one: Offer, now: datetime) -> tuple[str, ...]:
    sums = [prices.total(one.lines, *kinds) for kinds in (THAW, COPIES, READING, EGRESS)]
    sums.insert(2, one.copy_day_usd)
    ready = to_w3(now + timedelta(hours=one.ready_hours)) if one.ready_hours else "now"
    return (one.tier or "nothing to request", ready, *(f"{amount:.4f}" for amount in (*sums, one.total_usd)))


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(row[:2], widths)]
    numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:])]
    return "  ".join(texts + numbers)
