"""pace.py: one pace for many workers."""

from __future__ import annotations

import bisect

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.pace import A_SECOND, Pace

MOST = 16


def begin(pace: Pace, now: float) -> int:
    """Send as many requests as there is room for, a millisecond apart; how many."""
    count = 0
    while pace.wait(now + count / 1000) == 0:
        count += 1
        assert count <= MOST
    return count


def sent_in(pace: Pace, seconds: float, stalls: dict[int, float] | None = None) -> list[float]:
    """The times of requests that are sent as soon as they may be and answered at once; stalls by number of request."""
    now, times = 0.0, []
    while now < seconds:
        wait = pace.wait(now)
        if wait:
            now += wait + 1e-9
        else:
            times.append(now)
            pace.answered(now)
            now += (stalls or {}).get(len(times), 0)
    return times


def most_in_a_second(times: list[float]) -> int:
    return max(bisect.bisect_left(times, one + 1) - at for at, one in enumerate(times))


def test_close_to_what_s3_accepts_and_never_more() -> None:
    times = sent_in(Pace(MOST, now=0, patience=300), 20)
    assert len(times) / 20 > 960
    assert most_in_a_second(times) <= A_SECOND < 1000


def test_what_was_late_is_made_up_for_within_the_limit() -> None:
    times = sent_in(Pace(MOST, now=0, patience=300), 20, {300 * number: 0.04 for number in range(1, 60)})
    assert len(times) / 20 > 960
    assert most_in_a_second(times) <= A_SECOND


@settings(max_examples=25)
@given(st.dictionaries(st.integers(0, 3000), st.floats(0, 2), max_size=20))
def test_no_stall_leads_to_a_rush(stalls: dict[int, float]) -> None:
    assert most_in_a_second(sent_in(Pace(MOST, now=0, patience=300), 4, stalls)) <= A_SECOND


def test_while_all_is_well_all_are_under_way() -> None:
    pace = Pace(MOST, now=100, patience=300)
    assert begin(pace, 100) == MOST
    pace.answered(101)
    assert begin(pace, 101) == 1


def test_busy_replies_make_all_pause_longer_and_longer_and_halve_what_is_under_way() -> None:
    pace = Pace(MOST, now=0, patience=300)
    now, rooms, pauses = 0.0, [], []
    for _round in range(7):
        sent = begin(pace, now)
        rooms.append(sent)
        for _request in range(sent):  # what was under way together counts once
            pace.busy(sent=now, now=now + 1)
        pauses.append(round(pace.wait(now + 1), 3))
        now += 1.001 + pauses[-1]
    assert rooms == [16, 8, 4, 2, 1, 1, 1]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_a_good_reply_ends_the_row_and_makes_room_for_one_more() -> None:
    pace = Pace(MOST, now=0, patience=300)
    for now in range(1, 9):
        assert pace.wait(10 * now) == 0
        pace.busy(sent=10 * now, now=10 * now)
    assert pace.wait(100) == 0
    pace.answered(100)
    assert begin(pace, 100.01) == 2
    pace.busy(sent=100, now=101)
    assert round(pace.wait(101), 3) == 0.1


def test_patience_ends_without_a_good_reply_and_begins_anew_with_one() -> None:
    pace = Pace(MOST, now=0, patience=10)
    begin(pace, 0)
    assert pace.busy(sent=8, now=9)
    assert not pace.busy(sent=9, now=10)
    pace.answered(now=15)
    assert pace.busy(sent=16, now=24)


@given(st.lists(st.booleans(), max_size=200))
def test_there_is_always_room_for_one_and_never_for_too_many(replies: list[bool]) -> None:
    pace = Pace(MOST, now=0, patience=300)
    now = 0.0
    for good in replies:
        wait = pace.wait(now)
        if wait:
            now += wait + 0.001
            assert pace.wait(now) == 0
        if good:
            pace.answered(now)
        else:
            pace.busy(sent=now, now=now)
        assert 1 <= pace.room <= MOST
    for _reply in range(MOST):
        now += pace.wait(now) + 0.001
        pace.answered(now)
    assert pace.room == MOST
