"""fleet.py: rows, verdicts and points of charts, from what hosts answered."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import fleet, fleet_page
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from unit import fleets
from unit.fleets import GIB, NOW, ago, backup_set, chain, look, objects, record, run
from unit.priced import PRICES

BUSY = {"cause": "busy", "what": "The backup is at work.", "meaning": "Two would damage.", "next_step": "Wait."}


def model(*looks: dict[str, Any], max_age: str | None = None, **job: Any) -> dict[str, Any]:
    jobs = [fleets.job(one["item"], **job) for one in looks]
    return fleet.status({"web01": fleet.seen(jobs, looks, max_age)}, NOW)


def row(max_age: str | None = None, job: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    (found,) = model(look(**changes), max_age=max_age, **(job or {}))["rows"]
    assert isinstance(found, dict)
    return found


def kinds(found: dict[str, Any]) -> list[str]:
    return [problem["kind"] for problem in found["problems"]]


def test_a_job_that_is_as_it_should_be() -> None:
    found = row()
    assert (found["verdict"], found["problems"]) == ("fine", [])
    assert (found["host"], found["job"], found["target"]) == ("web01", "web01-data", "s3://acme-dr/web01-data")
    assert (found["last_success"], found["last_success_age_seconds"]) == (ago(days=0.4), 34560)
    assert (found["last_full"], found["last_full_age_seconds"]) == (ago(days=10), 864000)
    assert (found["chain_count"], found["newest_chain_sets"], found["missing_count"]) == (2, 2, 0)
    assert found["size_bytes"] == {"DEEP_ARCHIVE": 24 * GIB, "STANDARD": 4000}
    assert (found["last_drill"], found["unreadable_count"]) == (None, 0)


@pytest.mark.parametrize(
    ("changes", "job", "kind", "verdict"),
    [
        ({"last_success": record(1.6)}, {}, "stale", "broken"),
        ({"last_success": record(1.4)}, {}, None, "fine"),
        ({"last_success": record(10)}, {"schedule": {"backup": "weekly"}}, None, "fine"),
        ({"last_success": record(11)}, {"schedule": {"backup": "weekly"}}, "stale", "broken"),
        ({"last_success": record(11)}, {"schedule": {"backup": "weekly", "random_delay": "1d"}}, None, "fine"),
        ({"last_success": record(4)}, {"schedule": {"backup": "Mon..Fri 02:00"}}, None, "fine"),
        ({"last_success": record(1.4)}, {"scheduler": "none", "schedule": {"backup": "hourly"}}, None, "fine"),
        ({"last_success": record(99)}, {"state": "absent"}, None, "fine"),
        ({"last_success": None, "chains": []}, {}, "never", "broken"),
        ({"chains": []}, {}, "no_full", "broken"),
        ({}, {"full_if_older_than": "1W"}, "full_too_old", "broken"),
        ({}, {"full_if_older_than": "9D"}, None, "fine"),
        ({"last_run": record(0.4, unreadable=3)}, {}, "unreadable", "broken"),
        ({"last_run": record(0.4, "source_unreadable", 3)}, {}, "unreadable", "broken"),
        ({"last_run": record(0.4, unreadable=3)}, {"on_unreadable": "warn"}, "unreadable", "notice"),
        ({"last_run": record(0.1, "endpoint_unreachable")}, {}, "last_run_failed", "notice"),
        ({"interrupted": [{"time": ago(hours=2)}]}, {}, "interrupted", "notice"),
        ({"orphaned": [{"time": ago(days=9)}]}, {}, "orphaned", "notice"),
        ({"chains": [chain(backup_set(9, GIB, "full", missing=2))]}, {}, "missing_volumes", "broken"),
        ({"chains": [chain(backup_set(9, GIB, "full"), unreadable="No.")]}, {}, "manifest_unreadable", "broken"),
        ({"last_drill": record(3)}, {}, None, "fine"),
        ({"last_drill": record(3, "verify_differs")}, {}, "drill_failed", "broken"),
    ],
)
def test_verdicts(changes: dict[str, Any], job: dict[str, Any], kind: str | None, verdict: str) -> None:
    found = row(job=job, **changes)
    assert kinds(found) == ([kind] if kind else [])
    assert found["verdict"] == verdict
    for problem in found["problems"]:
        assert problem["text"].endswith(".")
        assert problem["next_step"].endswith(".")


def test_an_old_chain_that_does_not_open_is_only_mentioned() -> None:
    chains = [chain(backup_set(40, GIB, "full"), unreadable="gpg says no."), chain(backup_set(9, GIB, "full"))]
    found = row(chains=chains)
    assert (kinds(found), found["verdict"], found["missing_count"]) == (["manifest_unreadable"], "notice", None)


def test_max_age_counts_more_than_the_schedule() -> None:
    assert kinds(row(last_success=record(3), max_age="4D")) == []
    assert kinds(row(last_success=record(3), max_age="2D")) == ["stale"]
    with pytest.raises(BadTime, match="'two days' is not an interval"):
        row(max_age="two days")


def test_a_host_without_records_has_what_the_bucket_tells() -> None:
    found = row(last_success=None, last_run=None)
    assert (found["last_success"], found["verdict"], found["unreadable_count"]) == (ago(days=0.4), "fine", None)


def test_failures_are_rows() -> None:
    unreachable = {"item": "a", "unreachable": True, "msg": "Failed to connect\nto the host via ssh: no route"}
    refused = {**BUSY, "cause": "engine_unavailable"}
    engine = {"item": "b", "failed": True, "msg": "all of it", "error": refused}
    busy = {"item": "c", "failed": True, "msg": "all of it", "error": BUSY}
    strange = {"item": "d", "failed": True, "msg": "The module failed"}
    found = {one["job"]: one for one in model(look("e"), strange, busy, engine, unreachable)["rows"]}
    assert list(found) == ["a", "b", "d", "c", "e"]
    assert [one["verdict"] for one in found.values()] == ["broken"] * 3 + ["notice", "fine"]
    assert found["a"]["problems"][0]["text"] == "Failed to connect to the host via ssh: no route"
    assert kinds(found["b"]) == ["engine_unavailable"]
    assert found["b"]["problems"][0]["text"] == "The backup is at work. Two would damage."
    assert found["b"]["problems"][0]["next_step"] == "Wait."
    assert kinds(found["d"]) == ["look_failed"]
    assert (found["a"]["looked"], found["a"]["last_success"], found["a"]["max_age_seconds"]) == (False, None, 133200)


def test_hosts_that_say_nothing_and_hosts_without_jobs() -> None:
    found = fleet.status({"web02": None, "web03": [], "web01": fleet.seen([fleets.job()], [look()], None)}, NOW)
    assert [(one["host"], one["job"], one["verdict"]) for one in found["rows"]] == [
        ("web02", None, "broken"),
        ("web01", "web01-data", "fine"),
    ]
    assert found["hosts_without_jobs"] == ["web03"]
    assert (found["host_count"], found["job_count"]) == (3, 1)
    assert found["counts"] == {"broken": 1, "notice": 0, "fine": 1}


def test_points_of_a_job() -> None:
    found = row()
    step = 2 * GIB // 2 + 1000
    assert found["stored"] == [
        [ago(days=40), 10 * GIB + 1000],
        [ago(days=20), 10 * GIB + 1000 + step],
        [ago(days=10), 22 * GIB + 2000 + step],
        [ago(days=0.4), 22 * GIB + 2000 + 2 * step],
    ]
    assert found["durations"] == [[ago(days=2), 90.0, True], [ago(days=1.4), 30.0, True], [ago(days=0.4), 60.0, True]]


def test_charts_have_an_end() -> None:
    sets = [backup_set(1000 - number, 1000, "full" if not number else "incremental") for number in range(1000)]
    found = model(look(chains=[chain(*sets)], history=[run(400 - number, number + 1) for number in range(400)]))
    (one,) = found["rows"]
    assert (len(one["stored"]), len(one["durations"])) == (60, 60)
    assert (one["stored"][0], one["stored"][-1][1]) == ([ago(days=1000), 2000], 2_000_000)
    assert found["stored"][-1][1] == 2_000_000
    assert len(found["stored"]) <= 180


def test_charts_of_the_fleet() -> None:
    other = look("b", history=[run(0.4, 10.0), run(0.3, 500.0, exit_code=1)])
    found = model(look("a"), other)
    assert found["stored"][-1] == [ago(days=0.4)[:10], 2 * (24 * GIB + 4000)]
    assert len(found["stored"]) == 4
    assert found["durations"][-1] == [ago(days=0.4)[:10], 35.0, 60.0]
    assert found["size_bytes"] == {"DEEP_ARCHIVE": 48 * GIB, "STANDARD": 8000}


def test_secrets_of_a_job_go_nowhere() -> None:
    named = ("target", "full_if_older_than", "on_unreadable", "scheduler", "state", "schedule", "name")
    job = {name: f"canary-{name}" for name in JOB_OPTIONS if name not in named}
    job["encryption"] = {"mode": "symmetric", "passphrase": "canary-passphrase"}
    looks = [look(invocation={"module_args": {"job": job}}), {"item": "b", "failed": True, "invocation": job}]
    seen = fleet.seen([fleets.job(**job), fleets.job("b", **job)], looks, None)
    found = fleet.status({"web01": seen}, NOW)
    assert "canary" not in json.dumps([seen, found, fleet_page.page(found)])


def test_a_second_look_at_the_same_changes_only_times() -> None:
    looks = [look(), look("b", last_success=record(9))]
    jobs = [fleets.job(), fleets.job("b")]
    first, second = (
        fleet.status({"web01": fleet.seen(jobs, looks, None)}, now) for now in (NOW, NOW + timedelta(minutes=3))
    )
    for found in (first, second):
        del found["generated"]
        for one in found["rows"]:
            del one["last_success_age_seconds"], one["last_full_age_seconds"]
    assert first == second


# --- what it costs ----------------------------------------------------------------------------------------------------


def priced(*looks: dict[str, Any]) -> dict[str, Any]:
    jobs = [fleets.job(one["item"]) for one in looks]
    return fleet.status({"web01": fleet.seen(jobs, looks, None)}, NOW, PRICES)


def test_what_each_job_costs_by_hand() -> None:
    """24 GB and 8 x 32 KB of Deep Archive, 8 x 8 KB and 4000 bytes of STANDARD; and a restore of 4 volumes of 13 GB."""
    small = look("b", stored=[objects("STANDARD", 3, 30 * GIB)], newest_volumes=[objects("STANDARD", 2, 10 * GIB)])
    found = priced(look("a"), small, look("c", chains=[], stored=[], newest_volumes=[]))
    rows = {row["job"]: row for row in found["rows"]}
    month = 24 * Fraction("0.00099") + Fraction(8 * 32 * 1024, GIB) * Fraction("0.00099")
    month += Fraction(8 * 8 * 1024 + 4000, GIB) * Fraction("0.023")
    assert abs(Fraction(rows["a"]["month_usd"]) - month) < Fraction(1, 10**8)
    copies = 13 * Fraction("0.023") * 6 / 30  # within 48 hours, and three days more
    reading = 4 * Fraction("0.0004") / 1000 + 13 * Fraction("0.09")
    bulk = 4 * Fraction("0.025") / 1000 + 13 * Fraction("0.0025")
    standard = 4 * Fraction("0.1") / 1000 + 13 * Fraction("0.02")
    assert [(one["tier"], round(Fraction(one["total_usd"]), 8)) for one in rows["a"]["restores"]] == [
        ("Standard", round(standard + copies + reading, 8)), ("Bulk", round(bulk + copies + reading, 8)),
    ]  # fmt: skip
    assert rows["b"]["month_usd"] == "0.69"
    assert rows["b"]["restores"] == [{"tier": None, "total_usd": "0.9000008"}]
    assert (rows["c"]["month_usd"], rows["c"]["restores"]) == ("0", [])
    assert Fraction(found["cost"]["month_usd"]) == Fraction(rows["a"]["month_usd"]) + Fraction("0.69")
    assert (found["cost"]["region"], found["cost"]["prices_date"]) == ("us-east-1", "2026-06")
    assert [line.split(":")[0] for line in fleet_page.costs(found)] == ["web01 b", "web01 a", "web01 c", "together"]


def test_a_cost_that_is_not_known() -> None:
    found = priced(look("a", stored=[objects("INTELLIGENT_TIERING", 1, GIB)]), {"item": "b", "msg": "no"})
    assert [row["month_usd"] for row in found["rows"]] == [None, None]
    assert model(look())["cost"] is None
    assert fleet_page.costs(model(look())) == []
