"""report.py: what stands beside restored data, whatever was killed on the way."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import report
from ansible_collections.permafrost.backup.plugins.module_utils.report import Report

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
WISH = {"job": "web01", "target": "s3://b/w", "path": "", "asked_time": "now", "host": "new", "dest": "/srv/restored"}
PLANNED = {"time": "2026-10-31T02:00:00Z", "plan": {"volume_count": 2, "size_bytes": 3 << 20}}
COUNTS = {"files": 3, "directories": 1, "others": 0, "size_bytes": 7}
RESTORED = {"restored": COUNTS, "elapsed_seconds": 1.5, "proof": {"proven": True}}


def quoted(tier: str | None, days: int = 6, thaw: str = "0.5", copies: str = "0.25") -> dict[str, Any]:
    chosen = {"tier": tier, "days": days, "reading_usd": "0.01", "egress_usd": "1"}
    chosen |= {"thaw_usd": thaw, "copies_usd": copies} if tier else {"thaw_usd": "0", "copies_usd": "0"}
    return {"region": "us-east-1", "prices_date": "2026-06", "chosen": chosen}


def run(old: Report | None, of: dict[str, Any], hours: float) -> Report:
    """One run of the playbook as far as the consent."""
    text = json.dumps(old) if old else ""
    return report.agreed(report.begun(text, WISH), PLANNED, of, NOW + timedelta(hours=hours))


def cost(found: Report) -> str:
    return str(report.finished(found, RESTORED, NOW + timedelta(hours=50))["cost_usd"])


def test_one_thaw_over_two_runs() -> None:
    first = run(None, quoted("Bulk"), 0)
    assert (first["finished"], first["begun"], first["time"]) == (None, "2026-11-01T00:00:00Z", "2026-10-31T02:00:00Z")
    done = report.finished(run(first, quoted(None), 49), RESTORED, NOW + timedelta(hours=50))
    assert (done["cost_usd"], done["elapsed_seconds"], done["restore_seconds"]) == ("1.76", 180000, 1.5)
    assert report.text(done) == (
        "Restored:  everything of job web01 as of 2026-10-31T02:00:00Z\n"
        "From:      s3://b/w\n"
        "To:        /srv/restored on new\n"
        "Holds:     3 files, 1 directories, 0 others, 7 bytes\n"
        "Proven:    every entry, against the signatures of that time\n"
        "Read:      2 volumes, 3.0 MB\n"
        "Begun:     2026-11-01T00:00:00Z\n"
        "Finished:  2026-11-03T02:00:00Z, after 2 days, 2:00:00\n"
        "Thawed:    Bulk for 6 days, agreed at 2026-11-01T00:00:00Z: 0.5 USD, copies 0.25 USD\n"
        "Reading:   0.01 USD, egress 1 USD\n"
        "Cost:      at most 1.76 USD by the prices of us-east-1, 2026-06\n"
    )


def test_the_rest_of_a_killed_request_is_no_second_payment() -> None:
    assert cost(run(run(None, quoted("Bulk"), 0), quoted("Bulk", thaw="0.2", copies="0.1"), 1)) == "1.76"


@pytest.mark.parametrize(
    ("second", "hours"),
    [
        (quoted("Standard", days=6), 1),  # an upgrade, or the rest with another tier
        (quoted("Bulk", days=7), 1),
        (quoted("Bulk"), 24 * 6),  # the copies had expired
    ],
)
def test_what_was_agreed_to_anew_is_added(second: dict[str, Any], hours: float) -> None:
    assert cost(run(run(None, quoted("Bulk"), 0), second, hours)) == "2.51"


def test_what_was_read_before_a_kill_was_paid() -> None:
    """The rest of a restore is quoted without what is staged already."""
    rest = quoted(None)
    rest["chosen"].update(reading_usd="0.002", egress_usd="0.3")
    assert cost(run(run(None, quoted("Bulk"), 0), rest, 49)) == "1.76"
    assert cost(run(run(None, rest, 0), quoted("Bulk"), 1)) == "1.76"


def test_nothing_to_thaw() -> None:
    done = report.finished(run(None, quoted(None), 0), {"restored": RESTORED["restored"]}, NOW)
    assert (done["cost_usd"], done["restore_seconds"], done["quotes"]) == ("1.01", None, [])
    assert "Thawed:    nothing" in report.text(done)
    assert "Proven:    no\n" in report.text(done)


def test_only_the_same_wish_is_taken_up() -> None:
    open_one = run(None, quoted("Bulk"), 0)
    assert report.begun(json.dumps(open_one), WISH) == open_one
    for key in WISH:
        assert report.begun(json.dumps({**open_one, key: "other"}), WISH) == WISH
    finished = report.finished(open_one, RESTORED, NOW)
    assert report.begun(json.dumps(finished), WISH) == WISH


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"job": "web01"}'])
def test_what_is_no_report_begins_a_new_one(text: str) -> None:
    assert report.begun(text, WISH) == WISH
