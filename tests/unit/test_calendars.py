"""calendars.py: the longest time between two runs of a schedule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import calendars

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("minutely", timedelta(minutes=1)),
        ("hourly", HOUR),
        ("daily", DAY),
        ("Daily", DAY),
        ("weekly", 7 * DAY),
        ("monthly", 31 * DAY),
        ("quarterly", 92 * DAY),
        ("semiannually", 184 * DAY),
        ("yearly", 366 * DAY),
        ("02:30", DAY),
        ("*-*-* 02:00:00", DAY),
        ("*-*-* 02:00:00 Europe/Berlin", DAY),
        ("02:00 UTC", DAY),
        ("*-*-* 00/6:00", 6 * HOUR),
        ("*:0/15", timedelta(minutes=15)),
        ("02,20:00", 18 * HOUR),
        ("Mon..Fri 02:00", 3 * DAY),
        ("Mon..Fri 08..18:00", 3 * DAY - 10 * HOUR),
        ("Sat,Sun", 6 * DAY),
        ("Fri..Mon", 4 * DAY),
        ("monday", 7 * DAY),
        ("Sun *-*-* 03:00", 7 * DAY),
        ("*-*-01 03:00", 31 * DAY),
        ("*-*-1,15", 17 * DAY),
        ("*/15 * * * *", timedelta(minutes=15)),
        ("0 2 * * *", DAY),
        ("30 2,14 * * *", 12 * HOUR),
        ("0 3 * * 0", 7 * DAY),
        ("0 3 * * 7", 7 * DAY),
        ("0 3 * * Mon-Fri", 3 * DAY),
        ("0 3 * * sun,wed", 4 * DAY),
        ("0 3 1 * *", 31 * DAY),
        ("0 3 1 jan,jul *", 184 * DAY),
        ("0 3 1 * mon", 7 * DAY),
        ("01-15", 366 * DAY),
        ("Tue *-*-1..7 04:00", 35 * DAY),
    ],
)
def test_the_longest_gap(expression: str, gap: timedelta) -> None:
    assert calendars.longest_gap(expression) == gap


@pytest.mark.parametrize(
    "expression",
    ["", "2026-01-01", "*-*~01", "@daily", "noon", "Foo 02:00", "25:00", "*-13-01", "*:0/0", "*-02-30",
     "Mon..Tue..Wed", "02:00 03:00", "*..5:00", "2026-*-* 02:00", "0 3 * * foo", "0 3 * *", "60 3 * * *"],
)  # fmt: skip
def test_what_cannot_be_told(expression: str) -> None:
    assert calendars.longest_gap(expression) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("30min", 1800), ("1h 30min", 5400), ("90", 90), ("2.5h", 9000), ("1d", 86400), ("2 weeks", 1209600),
     ("1M", 2629800), ("", 0), ("soon", 0), ("1 fortnight", 0), ("-1h", 0)],
)  # fmt: skip
def test_spans(text: str, seconds: int) -> None:
    assert calendars.span(text) == timedelta(seconds=seconds)
