"""times.py: what users, YAML and duplicity write."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import times
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadTime

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=timezone.utc)
SECONDS = {"s": 1, "m": 60, "h": 3600, "D": 86400, "W": 7 * 86400, "M": 30 * 86400, "Y": 365 * 86400}
PAST = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))
ZONES = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(sorted(SECONDS))), min_size=1, max_size=4))
def test_an_interval_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    wanted = timedelta(seconds=sum(number * SECONDS[unit] for number, unit in parts))
    assert times.interval(text) == wanted
    assert times.moment(text, NOW) == NOW - wanted


@pytest.mark.parametrize("text", ["", "4", "W", "4w", "4 W", "-4W", "4W\n", "4.5W", "now"])
def test_no_interval(text: str) -> None:
    assert not times.is_interval(text)
    with pytest.raises(BadTime):
        times.interval(text)


@pytest.mark.parametrize("text", ["99999999999Y", "9999Y"])
def test_an_interval_beyond_all_time_is_one_clear_error(text: str) -> None:
    with pytest.raises(BadTime):
        times.moment(text, NOW)


@given(PAST, ZONES)
def test_a_moment_in_any_zone_is_the_same_moment(when: datetime, zone: timezone) -> None:
    local = when.astimezone(zone)
    for text in (local.isoformat(), local.isoformat(" "), local.strftime("%Y-%m-%dT%H:%M:%S.%f%z")):
        assert times.moment(text, NOW) == when


@given(PAST)
def test_without_a_zone_it_means_utc(when: datetime) -> None:
    whole = when.replace(microsecond=0)
    plain = whole.replace(tzinfo=None)
    for text in (plain.isoformat(), plain.isoformat(" "), plain.isoformat() + "Z", f"  {plain.isoformat()}z "):
        assert times.moment(text, NOW) == whole


@given(PAST.map(lambda when: when.replace(microsecond=0)))
def test_stamps_and_w3_times_come_back(when: datetime) -> None:
    assert times.from_stamp(times.to_stamp(when)) == when
    assert times.moment(times.to_w3(when), NOW) == when


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", NOW),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("2026-11-01T02:00:00+0200", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("1793491200", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("3D", NOW - timedelta(days=3)),
    ],
)
def test_moments(text: str, wanted: datetime) -> None:
    assert times.moment(text, NOW) == wanted


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-31", "01.11.2026", "2026-11-01T25:00", "12"])
def test_no_moment(text: str) -> None:
    with pytest.raises(BadTime):
        times.moment(text, NOW)


@given(st.text())
def test_any_text_is_a_moment_or_one_clear_error(text: str) -> None:
    with contextlib.suppress(BadTime):
        assert times.moment(text, NOW).tzinfo is not None
