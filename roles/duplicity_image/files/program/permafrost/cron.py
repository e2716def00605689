"""When a job's turn comes: cron expressions, words that stand for them, a job's own slot. Pure.

APScheduler finds the moments. What it takes otherwise than cron is made plain for it: its weekday 0 is Monday, it
wants a day of the month and a weekday where cron wants either, and it refuses some steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from apscheduler.triggers.cron import CronTrigger

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

NEVER = "never"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")
_SPANS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
}
_INSTANT = timedelta(microseconds=1)
# What never comes after this moment never comes.
_SOME_TIME = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class _Times:
    """The moments of one cron expression. ``fixed``: it names hours, and an hour that comes twice counts once."""

    trigger: CronTrigger
    fixed: bool

    def after(self, moment: datetime) -> datetime | None:
        found: datetime | None = self.trigger.get_next_fire_time(None, moment + _INSTANT)
        while found and found.fold and self.fixed:
            found = self.trigger.get_next_fire_time(None, found.astimezone(timezone.utc) + _INSTANT)
        return found.astimezone(timezone.utc) if found else None


@dataclass(frozen=True)
class Schedule:
    """When a job's turn comes; ``delay`` later than its expressions say."""

    text: str
    times: tuple[_Times, ...]
    delay: timedelta = timedelta()

    def after(self, moment: datetime) -> datetime:
        """The first turn after a moment, in UTC."""
        return min(found for one in self.times if (found := one.after(moment - self.delay))) + self.delay


def schedule(text: str, words: Mapping[str, str], zone: tzinfo, delay: timedelta = timedelta()) -> Schedule | None:
    """One or more of the words, or a cron expression; None for never. Raises ValueError, which says why."""
    given = text.lower().split()
    if given == [NEVER]:
        return None
    if given and all(one in words for one in given):
        expressions = [words[one] for one in given]
    elif len(given) == 5:
        expressions = [" ".join(given)]
    else:
        raise ValueError(f"it is neither {', '.join(words)} nor a cron expression of five fields")
    return Schedule(text, tuple(times for one in expressions for times in _times(one, zone)), delay)


def span(text: str, place: str) -> timedelta:
    """A time span of systemd.time(7), such as 1h 30min; a number alone is seconds. Raises BadInput."""
    found = re.findall(r"(\d+)\s*([a-zA-Z]*)", text)
    rest = re.sub(r"\d+\s*[a-zA-Z]*", "", text).strip()
    if rest or not found or any(unit not in _SPANS for _number, unit in found):
        raise BadInput(f"{place} is '{text}', which is no time span such as 1h, 90min or 1h 30min.")
    return timedelta(seconds=sum(int(number) * _SPANS[unit] for number, unit in found))


def _times(expression: str, zone: tzinfo) -> list[_Times]:
    fields = expression.lower().split()
    if len(fields) != 5:
        raise ValueError(f"'{expression}' has {len(fields)} fields, and a cron expression has five")
    limits = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS))
    minute, hour, day, month = (
        ",".join(map(str, sorted(_numbers(text, low, high, names)))) for text, (low, high, names) in zip(fields, limits)
    )
    # By names, since numbers mean other days to APScheduler; both 0 and 7 are Sunday.
    weekday = ",".join({_WEEKDAYS[number % 7] for number in _numbers(fields[4], 0, 7, _WEEKDAYS)})
    days = [(day, weekday)]
    if not fields[2].startswith("*") and not fields[4].startswith("*"):
        days = [(day, "*"), ("*", weekday)]
    found = [
        _Times(CronTrigger(minute=minute, hour=hour, day=one, month=month, day_of_week=other, timezone=zone),
               fixed=not fields[1].startswith("*"))
        for one, other in days
    ]  # fmt: skip
    if not all(one.after(_SOME_TIME) for one in found):
        raise ValueError(f"the day of '{expression}' never comes")
    return found


def _numbers(field: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """The numbers that a field stands for. Names count from ``low`` on."""
    found: set[int] = set()
    for part in field.split(","):
        numbered = re.sub("|".join(names), lambda match: str(names.index(match[0]) + low), part) if names else part
        match = _PART.fullmatch(numbered)
        if not match:
            raise ValueError(f"'{part}' is no part of a cron expression")
        first, last, step = (None if text is None else int(text) for text in match.groups())
        begin = low if first is None else first
        end = high if first is None or (last is None and step) else first if last is None else last
        end = high if names is _WEEKDAYS and end == 0 < begin else end  # sat-sun
        if not low <= begin <= end <= high or step == 0:
            raise ValueError(f"'{part}' is not within {low} to {high}")
        found |= {*range(begin, end + 1, step or 1)}
    return found
