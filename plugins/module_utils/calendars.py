# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far apart the runs of a schedule are: calendar expressions and time spans of systemd.time(7), and cron's.

Pure. Only what a policy needs is read: the longest time from one run to the next. An expression of a form that is not
known here (a year, a last day of months) gives None, and nobody is told a wrong number.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

_SHORT = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAYS = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*(?:(?:\.\.|,)[a-z]+)*,?\Z", re.I)
_DATE = re.compile(r"(?:\*-)?([\d*,./]+)-([\d*,./]+)\Z")
_TIME = re.compile(r"([\d*,./]+):([\d*,./]+)(?::[\d*,./]+)?\Z")
_ZONE = re.compile(r"UTC\Z|[A-Za-z_]+/[A-Za-z_/+-]+\Z")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
_SPAN_SECONDS = (
    ("s", "sec", "second", "seconds", 1),
    ("m", "min", "minute", "minutes", 60),
    ("h", "hr", "hour", "hours", 3600),
    ("d", "day", "days", 86400),
    ("w", "week", "weeks", 604800),
    ("M", "month", "months", 2629800),
)
# Four years from here hold every kind of month and one leap day.
_EVERY = [date(2024, 1, 1) + timedelta(days=number) for number in range(4 * 365 + 1)]
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Least and greatest number of cron's minute, hour, day of the month, month and weekday, and what names them.
_CRON: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 7, ("sun", *_DAYS[:6])),
)
_CRON_FIELDS = len(_CRON)


def longest_gap(expression: str) -> timedelta | None:
    """The longest time between two runs that follow each other; None when it cannot be told."""
    words = _SHORT.get(expression.strip().lower(), expression).split()
    if words and _ZONE.match(words[-1]):
        words.pop()
    if not words:
        return None
    days, times = _cron(words) if len(words) == _CRON_FIELDS else _calendar(words)
    if not days or not times or len(days) < 2:
        return None
    inside = [later - earlier for earlier, later in zip(times, times[1:])]
    over_night = [(b - a).days * 1440 - times[-1] + times[0] for a, b in zip(days, days[1:])]
    return timedelta(minutes=max([*inside, *over_night]))


def span(text: str) -> timedelta:
    """A time span such as ``1h 30min``; one that is not known counts as none."""
    found = _SPAN.findall(text)
    if "".join(f"{number}{unit}" for number, unit in found) != "".join(text.split()):
        return timedelta(0)
    units = {name: float(row[-1]) for row in _SPAN_SECONDS for name in row[:-1]}
    if any(unit and unit not in units for _number, unit in found):
        return timedelta(0)
    return timedelta(seconds=sum(float(number) * units[unit or "s"] for number, unit in found))


def _calendar(words: list[str]) -> tuple[list[date] | None, list[int] | None]:
    """Days and minutes of the day of an expression of systemd."""
    days, rest = _dates(words)
    return days, _times(rest)


def _cron(words: list[str]) -> tuple[list[date] | None, list[int] | None]:
    """The same of cron's five fields. Where days of months and of weeks are both told, either counts."""
    fields = []
    for word, (low, high, names) in zip(words, _CRON):
        found = _numbers(_numbered(word.lower(), names).replace("-", ".."), low, high)
        if not found:
            return None, None
        fields.append(found)
    minutes, hours, days, months, cron_weekdays = fields
    weekdays = {(number - 1) % 7 for number in cron_weekdays}  # cron's 0 and 7 are Sunday, which is 6 here
    either = not words[2].startswith("*") and not words[4].startswith("*")

    def fits(one: date) -> bool:
        told = (one.day in days, one.weekday() in weekdays)
        return one.month in months and (any(told) if either else all(told))

    return [one for one in _EVERY if fits(one)], _of_day(hours, minutes)


def _numbered(word: str, names: tuple[str, ...]) -> str:
    """With what cron counts in the place of names; one that it does not know stays, and is refused as no number."""
    for number, name in enumerate(names, start=names is _MONTHS):
        word = word.replace(name, str(number))
    return word


def _dates(words: list[str]) -> tuple[list[date] | None, list[str]]:
    """The days of four years that match, and the words that are not about days."""
    weekdays: set[int] | None = set(range(7))
    months: set[int] | None = set(range(1, 13))
    days: set[int] | None = set(range(1, 32))
    rest = list(words)
    if rest and _WEEKDAYS.match(rest[0]):
        weekdays = _named_days(rest.pop(0))
    match = _DATE.match(rest[0]) if rest else None
    if match:
        months, days = _numbers(match[1], 1, 12), _numbers(match[2], 1, 31)
        rest.pop(0)
    if weekdays is None or months is None or days is None:
        return None, rest
    return [one for one in _EVERY if one.weekday() in weekdays and one.month in months and one.day in days], rest


def _times(words: list[str]) -> list[int] | None:
    """Minutes of the day. Without a word, midnight."""
    if not words:
        return [0]
    match = _TIME.match(words[0]) if len(words) == 1 else None
    if not match:
        return None
    hours, minutes = _numbers(match[1], 0, 23), _numbers(match[2], 0, 59)
    if not hours or not minutes:
        return None
    return _of_day(hours, minutes)


def _of_day(hours: set[int], minutes: set[int]) -> list[int]:
    return sorted(hour * 60 + minute for hour in hours for minute in minutes)


def _named_days(text: str) -> set[int] | None:
    found: set[int] = set()
    for part in text.rstrip(",").lower().split(","):
        numbers = [_DAYS.index(name[:3]) if name[:3] in _DAYS else None for name in part.split("..")]
        first, last = numbers[0], numbers[-1]
        if first is None or last is None or len(numbers) > 2:
            return None
        found |= {number % 7 for number in range(first, last + 1 if last >= first else last + 8)}
    return found


def _numbers(text: str, low: int, high: int) -> set[int] | None:
    """What a field of numbers matches: ``*``, ``1,15``, ``1..5``, ``0/15``."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\*|\d+)(?:\.\.(\d+))?(?:/(\d+))?", part)
        if not match or match[3] == "0" or (match[1] == "*" and match[2]):
            return None
        first = low if match[1] == "*" else int(match[1])
        open_end = match[1] == "*" or match[3]
        last = int(match[2]) if match[2] else (high if open_end else first)
        if not low <= first <= last <= high:
            return None
        found |= set(range(first, last + 1, int(match[3] or 1)))
    return found
