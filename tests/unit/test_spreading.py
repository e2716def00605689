"""The fulls of a fleet are spread over the period, and no chain gets too short or too long."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.spreading import next_full

DAY = timedelta(days=1)
PERIOD = 28 * DAY
INSTALLED = datetime(2026, 11, 24, 2, 0, tzinfo=timezone.utc)

targets = st.text(min_size=1, max_size=40).map("s3://bucket/{}".format)
periods = st.integers(1, 400).map(lambda days: days * DAY)
moments = st.integers(0, 40_000_000).map(lambda seconds: INSTALLED + timedelta(seconds=seconds))


@given(targets, periods, moments)
def test_a_chain_is_between_half_a_period_and_a_whole_one(target: str, period: timedelta, last: datetime) -> None:
    assert period / 2 <= next_full(target, period, last) - last <= period


@given(targets, periods, moments)
def test_from_the_third_full_on_the_period_is_kept(target: str, period: timedelta, last: datetime) -> None:
    second = next_full(target, period, last)
    third = next_full(target, period, second)
    assert next_full(target, period, third) - third == period


@given(targets, periods, moments, st.integers(0, 3600 * 11))
def test_a_timer_that_is_late_does_not_move_the_points(
    target: str, period: timedelta, last: datetime, late: int
) -> None:
    point = next_full(target, period, next_full(target, period, last))
    assert next_full(target, period, point + timedelta(seconds=late)) == point + period


def test_a_fleet_that_was_set_up_at_once_does_not_make_its_fulls_at_once() -> None:
    last = {f"s3://bucket/web{number}": INSTALLED for number in range(280)}
    for _round in range(3):
        last = {target: next_full(target, PERIOD, full) for target, full in last.items()}
    days = [(full - INSTALLED).days % 28 for full in last.values()]
    assert max(days.count(day) for day in range(28)) <= 25  # 10 on the average
