"""estimate.py: the end of a restore, and the room that it needs at the least."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import estimate
from ansible_collections.permafrost.backup.plugins.module_utils.errors import CopiesExpire
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import READY, THAWED, Plan, PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
FULL, INC = "w/duplicity-full.20261001T000000Z.vol{}.difftar.gz", "w/duplicity-inc.A.to.B.vol{}.difftar.gz"


def plan(*hours: float | None, size_mb: int = 36, key: str = FULL) -> Plan:
    """One volume each, thawed for so many hours, or never frozen."""
    volumes = [
        PlannedObject(
            key.format(number),
            size_mb * estimate.MB,
            "DEEP_ARCHIVE",
            READY if left is None else THAWED,
            None if left is None else to_w3(NOW + timedelta(hours=left)),
        )
        for number, left in enumerate(hours, 1)
    ]
    return Plan("bucket", tuple(volumes))


def test_a_copy_must_last_until_the_end() -> None:
    """Two volumes of 36 MB at 0.01 MB/s are two hours."""
    with pytest.raises(CopiesExpire) as refused:
        estimate.check_expiry(plan(1.9, 1.5), 0.01, NOW)
    assert refused.value.facts["expiring"] == [FULL.format(2), FULL.format(1)]
    assert refused.value.facts["first_expiry"] == "2026-11-01T01:30:00Z"
    assert refused.value.facts["estimated_end"] == "2026-11-01T02:00:00Z"
    assert "reads 72.0 MB, at 0.01 MB/s until about 2026-11-01T02:00:00Z" in refused.value.message


@pytest.mark.parametrize(
    ("hours", "rate", "warned"),
    [((2.0, 9.0), 0.01, 1), ((3.9, 3.9), 0.01, 2), ((4.0, 4.0), 0.01, 0), ((0.9, None), 100, 1), ((1.1, None), 100, 0)],
)
def test_a_copy_that_ends_soon_after_is_told(hours: tuple[float | None, ...], rate: float, warned: int) -> None:
    """Within as long again, and within an hour in any case."""
    said = estimate.check_expiry(plan(*hours), rate, NOW)
    assert [f"{warned} thawed copies expire soon after" in text for text in said] == [True] * bool(warned)


def test_what_is_not_a_copy_never_expires() -> None:
    assert estimate.check_expiry(plan(None, None), 0.0001, NOW) == []
    assert estimate.check_expiry(plan(), 1, NOW) == []


def test_many_that_expire_are_counted() -> None:
    with pytest.raises(CopiesExpire, match=r"5 thawed copies expire before: .* and 2 more"):
        estimate.check_expiry(plan(1, 1, 1, 1, 1), 0.001, NOW)


def test_the_least_room() -> None:
    """Of a path the outer volumes may hold little; an incremental may delete what the full holds."""
    whole = plan(None, None, None, size_mb=1)
    assert estimate.size_bytes(whole) == 3 * estimate.MB
    assert estimate.least_room(whole, "") == 3 * estimate.MB
    assert estimate.least_room(whole, "etc") == estimate.MB
    assert estimate.least_room(plan(None, size_mb=1), "etc") == 0
    assert estimate.least_room(Plan("bucket", whole.volumes + plan(None, key=INC).volumes), "") == 0


def test_what_is_thawed_no_more_is_taken_from_where_it_is_staged() -> None:
    """Were it streamed for want of room, it could not be read at all."""

    def way(wanted: str, free: int) -> str:
        return estimate.way(wanted, volumes=5, beside=90, free=free, staged_only=True).name

    assert [way(wanted, 10) for wanted in ("auto", "staged", "streamed")] == ["staged", "staged", "streamed"]
    assert way("auto", 4) == "streamed"
    assert estimate.way("auto", volumes=5, beside=90, free=10).name == "streamed"
