"""drill.py: policies, samples, the plan of several paths, and the record of an end."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.permafrost.backup.plugins.module_utils import drill, offers, sampling
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
ABOUT = {"job": "web01-data", "host": "web01", "started": "2026-11-25T11:00:00Z"}
LAST = {"finished": "2026-10-20T12:00:00Z", "proven": "2026-10-20T12:00:00Z"}
COUNTS = {"files": 1, "directories": 0, "others": 0, "size_bytes": 5}
RESTORED = {"path": "a", "restored": COUNTS, "elapsed_seconds": 1.5, "proof": {"proven": True}}
REPORT = {
    "begun": "2026-11-25T11:00:00Z",
    "reading_usd": "0.1",
    "egress_usd": "0.2",
    "quotes": [{"thaw_usd": "1", "copies_usd": "0.5"}],
}


def test_a_policy_has_layers() -> None:
    made = drill.policy({"sample": "5", "every": "2W"}, {"cold": "yes", "max_cost": "2.5", "seed": None})
    assert made == {**drill.DEFAULTS, "sample": 5, "every": "2W", "cold": True, "max_cost": 2.5}
    assert drill.policy({"paths": ["etc/hosts"], "sample": 9})["sample"] == 0


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        ({"smaple": 3}, "smaple"),
        ({"sample": 0}, "sample"),
        ({"sample": "many"}, "sample"),
        ({"cold": "maybe"}, "cold"),
        ({"cold": True}, "max_cost"),
        ({"max_cost": -1}, "max_cost"),
        ({"max_cost": "nan"}, "max_cost"),
        ({"max_cost": "much"}, "max_cost"),
        ({"every": "monthly"}, "every"),
        ({"paths": "etc"}, "paths"),
    ],
)
def test_a_policy_that_means_nothing(layer: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        drill.policy(layer)


@pytest.mark.parametrize(
    ("last", "due"),
    [
        ({}, True),
        (LAST, True),
        ({"finished": "2026-10-28T12:00:00Z"}, True),
        ({"finished": "2026-10-28T12:00:01Z"}, False),
    ],
)
def test_due(last: dict[str, str], due: bool) -> None:
    assert drill.is_due(drill.policy({}), last, NOW) is due


def test_a_sample_is_the_same_for_a_seed_and_fair() -> None:
    paths = [f"files/{number}" for number in range(200)]
    first = sampling.sample(paths, 5, "2026-11-25")
    assert sampling.sample(reversed(paths), 5, "2026-11-25") == first == sorted(set(first))
    assert sampling.sample(paths, 5, "2026-11-26") != first
    assert sampling.sample(paths[:2], 5, "") == paths[:2]
    assert sampling.sample(["odd\udcff"], 1, "") == ["odd\udcff"]
    chosen = {path for seed in range(400) for path in sampling.sample(paths, 5, str(seed))}
    assert len(chosen) == len(paths)


def volume(key: str, state: str) -> dict[str, Any]:
    return {"key": key, "size_bytes": 10, "storage_class": "DEEP_ARCHIVE", "state": state}


def planned(path: str, *volumes: dict[str, Any], time: str = "2026-11-24T00:00:00Z") -> dict[str, Any]:
    ready = all(one["state"] in ("ready", "thawed") for one in volumes)
    return {"path": path, "time": time, "plan": {"bucket": "b", "volumes": list(volumes), "ready": ready}}


def test_a_shared_volume_is_thawed_once_and_read_twice() -> None:
    found = drill.joined(
        [planned("a", volume("1", "frozen")), planned("b", volume("1", "frozen"), volume("2", "frozen"))], cold=True
    )
    assert (found["paths"], found["left_out"], found["plan"]["ready"]) == (["a", "b"], [], False)
    made = offers.plan_of(found["plan"])
    assert [(one.key, one.state) for one in made.volumes] == [("1", "frozen"), ("1", "ready"), ("2", "frozen")]


def test_without_cold_what_is_frozen_is_left_out() -> None:
    results = [planned("a", volume("1", "frozen"), volume("2", "thawing")), planned("b", volume("3", "thawed"))]
    found = drill.joined(results, cold=False)
    assert (found["paths"], found["plan"]["volume_count"], found["plan"]["ready"]) == (["b"], 1, True)
    assert found["left_out"] == [
        {"path": "a", "volumes": ["1", "2"], "volume_count": 2, "size_bytes": 20, "states": ["frozen", "thawing"]}
    ]


def test_a_backup_in_between() -> None:
    with pytest.raises(BadInput, match="Run it again"):
        drill.joined([planned("a"), planned("b", time="2026-11-25T00:00:00Z")], cold=True)


def test_a_proven_restore() -> None:
    found = drill.record(ABOUT, {"restored": [RESTORED, {**RESTORED, "path": "b"}], "report": REPORT}, LAST, NOW)
    assert (found["outcome"], found["cause"], found["proven"]) == ("proven", None, "2026-11-25T12:00:00Z")
    assert (found["restored"]["files"], found["cost_usd"], found["elapsed_seconds"]) == (2, "1.8", 3600)
    unproven = {**RESTORED, "proof": {"proven": False}}
    with pytest.raises(BadInput, match="was not proven"):
        drill.record(ABOUT, {"restored": [unproven], "report": REPORT}, LAST, NOW)


def test_what_was_proven_before_counts_until_it_is_again() -> None:
    looked = drill.record(ABOUT, {}, LAST, NOW)
    assert (looked["outcome"], looked["cause"], looked["proven"]) == ("looked", None, LAST["proven"])
    failed = drill.record(ABOUT, {"failed": {"msg": "no\nroute"}}, {}, NOW)
    assert (failed["outcome"], failed["cause"], failed["what"]) == ("failed", "task_failed", "no route")
    assert failed["proven"] is None


def test_the_cause_of_a_loop_is_that_of_its_first_failure() -> None:
    error = {"cause": "damaged_volume", "what": "vol1 is damaged."}
    result = {"msg": "One or more items failed", "results": [{"failed": False}, {"failed": True, "error": error}]}
    assert drill.failure(result) == ("damaged_volume", "vol1 is damaged.")
    assert drill.failure({"error": error, "msg": "longer"}) == ("damaged_volume", "vol1 is damaged.")


def test_metrics() -> None:
    def figures(record: dict[str, Any]) -> dict[str, float]:
        families = text_string_to_metric_families(drill.metrics(record))
        samples = [one for family in families for one in family.samples]
        assert {tuple(sorted(one.labels.items())) for one in samples} == {(("job", "web01-data"), ("verb", "drill"))}
        return {one.name.removeprefix("permafrost_"): one.value for one in samples}

    proven = figures(drill.record(ABOUT, {"restored": [RESTORED], "report": REPORT}, {}, NOW))
    assert proven == {
        "last_run_timestamp_seconds": NOW.timestamp(),
        "last_success_timestamp_seconds": NOW.timestamp(),
        "duration_seconds": 3600,
        "exit_code": 0,
    }
    assert "last_success_timestamp_seconds" not in figures(drill.record(ABOUT, {}, {}, NOW))
    assert figures(drill.record(ABOUT, {"failed": {"msg": "x"}}, LAST, NOW))["exit_code"] == 1
