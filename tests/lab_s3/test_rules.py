"""The pure rules, over all classes, tiers and times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.s3 import glacier

CLASSES = st.sampled_from(glacier.ARCHIVED)
TIERS = st.sampled_from(glacier.TIERS)
TIMES = st.floats(min_value=1.7e9, max_value=2.2e9)


@given(CLASSES, TIERS, st.integers(1, 400), TIMES)
def test_a_copy_lasts_at_least_its_days_and_ends_at_midnight(
    storage_class: str, tier: str, days: int, now: float
) -> None:
    answer = glacier.request(storage_class, None, tier, days, now)
    if isinstance(answer, glacier.Refusal):
        assert (storage_class, tier) == ("DEEP_ARCHIVE", "Expedited")
        return
    status, thaw = answer
    assert status == 202
    assert thaw.expires_at % glacier.DAY == 0
    assert days * glacier.DAY <= thaw.expires_at - thaw.ready_at < (days + 1) * glacier.DAY + 1
    assert [thaw.state(at) for at in (now, thaw.ready_at, thaw.expires_at)] == ["thawing", "thawed", "frozen"]


@given(CLASSES, TIERS, TIERS, st.floats(0, 47 * glacier.HOUR), TIMES)
def test_a_repeated_request_is_refused_or_gains_time(
    storage_class: str, first: str, second: str, later: float, now: float
) -> None:
    begun = glacier.request(storage_class, None, first, 1, now)
    if isinstance(begun, glacier.Refusal) or (storage_class, second) not in glacier.THAW_SECONDS:
        return
    thaw = begun[1]
    again = glacier.request(storage_class, thaw, second, 1, now + later)
    if thaw.state(now + later) != "thawing":
        assert not isinstance(again, glacier.Refusal)
        assert again[0] == (200 if thaw.state(now + later) == "thawed" else 202)
    elif glacier.TIERS.index(second) >= glacier.TIERS.index(first):
        assert isinstance(again, glacier.Refusal)
        assert again.status == 409
    else:
        assert not isinstance(again, glacier.Refusal)
        assert again[1].ready_at <= thaw.ready_at
