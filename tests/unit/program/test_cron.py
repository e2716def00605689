"""cron.py: the moments are those of cron, whatever APScheduler thinks of weekdays, and of clocks that are put back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from permafrost import cron
from permafrost.cron import Schedule

WORDS = {"hourly": "0 * * * *", "daily": "0 2 * * *", "broken": "0 2 * *"}
BERLIN = ZoneInfo("Europe/Berlin")
# A Wednesday.
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def made(text: str, zone: ZoneInfo | timezone = timezone.utc, delay: timedelta = timedelta()) -> Schedule:
    found = cron.schedule(text, WORDS, zone, delay)
    assert found is not None
    return found


def turns(text: str, start: datetime, count: int, zone: ZoneInfo | timezone = timezone.utc) -> list[str]:
    found, moment = [], start
    for _ in range(count):
        moment = made(text, zone).after(moment)
        assert moment.tzinfo is timezone.utc
        found.append(f"{moment.astimezone(zone):%a %m-%d %H:%M}")
    return found


def matches(field: str, number: int, lowest: int, names: tuple[str, ...] = ()) -> bool:
    """Whether a field of cron, read as its manual says, holds a number."""
    for part in field.split(","):
        span, _slash, step = part.partition("/")
        first, _dash, last = span.partition("-")
        if first != "*":
            begin = names.index(first) if first in names else int(first)
            end = begin if not last else names.index(last, begin) if last in names else int(last)
        else:
            begin, end = lowest, 59
        if begin <= number <= end and (number - begin) % int(step or 1) == 0:
            return True
    return False


def is_turn(expression: str, moment: datetime) -> bool:
    minute, hour, day, month, weekday = expression.split()
    of_month = matches(day, moment.day, 1)
    of_week = any(matches(weekday, number, 0, WEEKDAYS) for number in {moment.isoweekday() % 7, moment.isoweekday()})
    either = not day.startswith("*") and not weekday.startswith("*")
    return (
        matches(minute, moment.minute, 0)
        and matches(hour, moment.hour, 0)
        and matches(month, moment.month, 1)
        and (of_month or of_week if either else of_month and of_week)
    )


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    def span(numbers: tuple[int, int, int]) -> str:
        first, last, step = numbers
        begin, end = sorted((first, last))
        if names:
            return f"{names[begin]}-{names[end]}" if step % 2 else names[begin]
        return [f"{begin}", f"{begin}-{end}", f"{begin}-{end}/{min(step, max(1, end - begin))}"][step % 3]

    one = st.tuples(st.integers(low, high), st.integers(low, high), st.integers(1, 6)).map(span)
    return st.lists(one, min_size=1, max_size=3).map(",".join)


ANY = st.just("*")
HOURS = ANY | field(0, 23) | st.integers(1, 12).map("*/{}".format)
EXPRESSIONS = st.tuples(
    field(0, 59), HOURS, ANY | field(1, 28), ANY | field(10, 12), ANY | field(0, 7) | field(0, 6, WEEKDAYS)
).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS, st.integers(0, 10_000))
def test_turns_are_those_of_cron(expression: str, minutes: int) -> None:
    start = NOON + timedelta(minutes=minutes)
    moment = start + timedelta(minutes=1)
    found = made(expression).after(start)
    while moment < found and moment < start + timedelta(days=9):
        assert not is_turn(expression, moment), moment
        moment += timedelta(minutes=1)
    assert is_turn(expression, found), found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0 2 * * 0", ["Sun 11-29 02:00", "Sun 12-06 02:00"]),
        ("0 2 * * 7", ["Sun 11-29 02:00", "Sun 12-06 02:00"]),
        ("0 2 * * 1", ["Mon 11-30 02:00", "Mon 12-07 02:00"]),
        ("0 2 * * SAT-SUN", ["Sat 11-28 02:00", "Sun 11-29 02:00"]),
        ("0 2 * * MON-SAT", ["Thu 11-26 02:00", "Fri 11-27 02:00", "Sat 11-28 02:00", "Mon 11-30 02:00"]),
        ("0 2 * * */3", ["Sat 11-28 02:00", "Sun 11-29 02:00", "Wed 12-02 02:00"]),
        ("0 2 1 * FRI", ["Fri 11-27 02:00", "Tue 12-01 02:00", "Fri 12-04 02:00"]),
        ("0 2 1 JAN,dec *", ["Tue 12-01 02:00", "Fri 01-01 02:00"]),
        ("*/20 12,14 * * *", ["Wed 11-25 12:20", "Wed 11-25 12:40", "Wed 11-25 14:00"]),
        ("daily hourly", ["Wed 11-25 13:00"]),
        ("Daily", ["Thu 11-26 02:00", "Fri 11-27 02:00", "Sat 11-28 02:00", "Sun 11-29 02:00"]),
        ("0 0 29 2 *", ["Tue 02-29 00:00"]),
    ],
)
def test_turns(text: str, found: list[str]) -> None:
    assert turns(text, NOON, len(found)) == found


def test_a_time_that_the_clock_leaves_out_is_not_left_out() -> None:
    saturday = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    assert turns("30 2 * * *", saturday, 2, BERLIN) == ["Sun 03-29 03:30", "Mon 03-30 02:30"]


def test_a_time_that_comes_twice_counts_once() -> None:
    saturday = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    assert turns("30 2 * * *", saturday, 2, BERLIN) == ["Sun 10-25 02:30", "Mon 10-26 02:30"]
    night = datetime(2026, 10, 25, 1, 30, tzinfo=BERLIN)
    assert turns("hourly", night, 3, BERLIN) == ["Sun 10-25 02:00", "Sun 10-25 02:00", "Sun 10-25 03:00"]


def test_a_slot_of_its_own() -> None:
    late = made("0 2 * * *", delay=timedelta(hours=3))
    assert late.after(datetime(2026, 11, 25, 4, tzinfo=timezone.utc)).hour == 5
    assert late.after(datetime(2026, 11, 25, 4, tzinfo=timezone.utc)).day == 25
    assert late.after(datetime(2026, 11, 25, 5, tzinfo=timezone.utc)).day == 26


def test_never() -> None:
    assert cron.schedule("never", WORDS, timezone.utc) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither hourly, daily"), ("dayly", "neither"), ("daily never", "neither"), ("0 2 * *", "neither"),
        ("*-*-* 03:00:00", "neither"), ("Mon *-*-* 02:00", "neither"), ("0 2 * * * *", "neither"),
        ("broken", "'0 2 * *' has 4 fields"),
        ("0 24 * * *", "'24' is not within 0 to 23"), ("60 2 * * *", "0 to 59"), ("0 2 0 * *", "1 to 31"),
        ("0 2 31 2 *", "never comes"), ("0 2 * * 8", "not within 0 to 7"), ("0 2 * * 5-2", "not within 0 to 7"),
        ("0 2 * * someday", "'someday' is no part"), ("0 2 * jan-xyz *", "'jan-xyz' is no part"),
        ("0 2 L * *", "no part"), ("0 2 last * *", "no part"), ("0 2 * * mon/0", "not within"),
        ("a b c d e", "no part"),
        ("0 02:00 * * *", "no part"), ("*/0 2 * * *", "'*/0' is not"),
    ],
)  # fmt: skip
def test_what_is_no_schedule_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        cron.schedule(text, WORDS, timezone.utc)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "minutes"), [("1h", 60), ("0", 0), ("1h 30min", 90), ("90 minutes", 90), ("300", 5), ("1d12h", 2160)]
)
def test_spans(text: str, minutes: int) -> None:
    assert cron.span(text, "here") == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "soon", "1 fortnight", "-1h", "1.5h", "1" * 60 + "!"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="here is"):
        cron.span(text, "here")
