"""pace.py: one pace for many workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.pace import Pace

MOST = 16


def begin(pace: Pace, now: float) -> int:
    """Send as many requests as there is room for; how many."""
    count = 0
    while pace.wait(now) == 0:
        count += 1
        assert count <= MOST
    return count


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
    assert begin(pace, 100) == 2
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
