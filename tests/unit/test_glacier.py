"""glacier.py: states, plans, tiers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import glacier
from ansible_collections.permafrost.backup.plugins.module_utils.errors import TierUnavailable
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import PlannedObject, S3Object
from unit import transcript

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
LATER, EARLIER = NOW + timedelta(days=1), NOW - timedelta(days=1)


def s3_object(storage_class: str, *, restoring: bool = False, expires: datetime | None = None) -> S3Object:
    return S3Object("key", 10, storage_class, "etag", EARLIER, restoring, expires)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (s3_object("STANDARD"), "ready"), (s3_object("GLACIER_IR"), "ready"),
        (s3_object("GLACIER"), "frozen"), (s3_object("DEEP_ARCHIVE"), "frozen"),
        (s3_object("GLACIER", restoring=True), "thawing"), (s3_object("DEEP_ARCHIVE", expires=LATER), "thawed"),
        (s3_object("DEEP_ARCHIVE", expires=EARLIER), "frozen"), (s3_object("DEEP_ARCHIVE", expires=NOW), "frozen"),
        # A second request while a copy is there makes a faster or longer one; until then S3 reports the request.
        (s3_object("GLACIER", restoring=True, expires=LATER), "thawing"),
    ],
)  # fmt: skip
def test_states(found: S3Object, state: str) -> None:
    assert found.state(NOW) == state


def test_recorded_listings() -> None:
    states = {key.rpartition(".")[0][-12:]: one.state(NOW) for key, one in transcript.listing("frozen").items()}
    assert [state for key, state in states.items() if "difftar" in key] == ["frozen"]
    assert {state for key, state in states.items() if "difftar" not in key} == {"ready"}
    assert {one.state(NOW) for one in transcript.listing("life").values()} == {"ready"}


def test_a_plan_sizes_and_classes_what_is_wanted() -> None:
    listing = {
        "a": replace(s3_object("DEEP_ARCHIVE"), key="a"),
        "b": replace(s3_object("DEEP_ARCHIVE", expires=LATER), key="b"),
        "empty": replace(s3_object("STANDARD"), key="empty", size_bytes=0),
        "other": s3_object("DEEP_ARCHIVE"),
    }
    plan = glacier.make_plan("bucket", [("a", "1"), ("b", "2"), ("empty", None), ("gone", None)], listing, NOW)
    assert [one.state for one in plan.volumes] == ["frozen", "thawed", "missing", "missing"]
    assert plan.keys("frozen", "thawed") == ["a", "b"]
    assert not plan.ready
    result = plan.to_result()
    assert result["volume_count"] == 4
    assert result["size_bytes"] == 20
    assert result["states"]["missing"] == {"volumes": 2, "size_bytes": 0}
    assert result["volumes"][1]["expires"] == "2026-11-23T00:00:00Z"
    assert result["volumes"][0]["sha1"] == "1"


def test_a_plan_of_nothing_is_ready() -> None:
    assert glacier.make_plan("bucket", [], {}, NOW).ready


@pytest.mark.parametrize("tier", glacier.TIERS)
@pytest.mark.parametrize("storage_class", glacier.STORAGE_CLASSES)
def test_tiers_of_classes(tier: str, storage_class: str) -> None:
    volume = PlannedObject("key", 1, storage_class, "frozen")
    if (tier, storage_class) == ("Expedited", "DEEP_ARCHIVE"):
        with pytest.raises(TierUnavailable, match="DEEP_ARCHIVE has no Expedited"):
            glacier.check_tier(tier, [volume])
    else:
        glacier.check_tier(tier, [volume])


def test_the_longest_wait_counts_what_is_not_readable_yet() -> None:
    volumes = [
        PlannedObject("a", 1, "GLACIER", "frozen"), PlannedObject("b", 1, "DEEP_ARCHIVE", "thawed"),
        PlannedObject("c", 1, "STANDARD", "ready"),
    ]  # fmt: skip
    assert glacier.longest_hours({"a": "Bulk"}, volumes) == 12
    assert glacier.longest_hours({"a": "Standard"}, volumes) == 5
    thawing = PlannedObject("d", 1, "DEEP_ARCHIVE", "thawing")
    assert glacier.longest_hours({"a": "Bulk"}, [*volumes, thawing]) == 48  # nobody knows with which tier
    assert glacier.longest_hours({"a": "Bulk", "d": "Standard"}, [*volumes, thawing]) == 12
    assert glacier.longest_hours({}, volumes[1:]) == 0
