"""glacier_restore through main()."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible.module_utils.common import warnings

from ansible_collections.permafrost.backup.plugins.module_utils import errors, requesting, retrieval
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3
from ansible_collections.permafrost.backup.plugins.modules import glacier_restore
from unit import transcript
from unit.modules.world import World, later


@pytest.fixture(autouse=True)
def frozen(world: World) -> None:
    """Three volumes: frozen, thawing, thawed."""
    one = next(iter(world.objects.values()))
    deep = replace(one, storage_class="DEEP_ARCHIVE", size_bytes=100)
    world.objects = {
        "data/vol1": replace(deep, key="data/vol1"),
        "data/vol2": replace(deep, key="data/vol2", restoring=True),
        "data/vol3": replace(deep, key="data/vol3", expires=later()),
        "data/manifest": replace(one, key="data/manifest", storage_class="STANDARD"),
        "other": replace(deep, key="other"),
    }


def thaw(world: World, *keys: str, check: bool = False, **options: Any) -> dict[str, Any]:
    return world.run(glacier_restore, {"bucket": "life", "keys": list(keys), **options}, check=check)


ALL = ("data/vol1", "data/vol2", "data/vol3", "data/manifest")


def test_only_what_is_frozen_is_requested(world: World) -> None:
    result = thaw(world, *ALL, tier="Standard", days=3)
    assert world.thawed == [("data/vol1", "Standard", 3)]
    assert (result["changed"], result["requested"], result["requested_bytes"]) == (True, ["data/vol1"], 100)
    assert result["replies"] == {"accepted": 1}
    assert result["ready_within_hours"] == 48  # one thaws already, nobody knows with which tier
    assert result["plan"]["volume_count"] == 4


def test_check_mode_asks_for_nothing(world: World) -> None:
    result = thaw(world, *ALL, check=True)
    assert (result["changed"], result["requested"]) == (True, ["data/vol1"])
    assert world.thawed == []
    assert "replies" not in result


def test_all_readable(world: World) -> None:
    result = thaw(world, "data/vol3", "data/manifest", wait=True)
    assert (result["changed"], result["requested"], result["ready_within_hours"]) == (False, [], 0)
    assert result["plan"]["ready"] is True


def test_a_plan_of_nothing_lists_nothing(world: World) -> None:
    result = thaw(world)
    assert result["changed"] is False
    assert world.lists == []


def test_one_listing_of_what_the_keys_have_in_common(world: World) -> None:
    thaw(world, "data/vol1", "data/vol2", check=True)
    assert world.lists == ["data/vol"]


def test_keys_that_are_not_there(world: World) -> None:
    result = thaw(world, "data/vol1", "data/gone")
    assert (result["error"]["cause"], result["error"]["volumes"]) == ("volumes_missing", ["data/gone"])
    assert world.thawed == []


def test_no_expedited_for_deep_archive(world: World) -> None:
    result = thaw(world, "data/vol1", tier="Expedited")
    assert (result["error"]["cause"], result["error"]["tier"]) == ("tier_unavailable", "Expedited")
    assert world.thawed == []


@pytest.mark.parametrize(
    ("reply", "told"), [("no_capacity", "no_capacity"), (errors.AccessRefused("S3 refused."), "failed")]
)
def test_some_requests_fail_and_the_others_are_told(world: World, reply: Any, told: str) -> None:
    world.thaw_replies["data/vol1"] = reply
    result = thaw(world, "data/vol1", "other")
    assert result["error"]["cause"] == "thaw_incomplete"
    assert result["error"]["failed"] == ["data/vol1"]
    assert result["replies"] == {told: 1, "accepted": 1}
    assert result["changed"] is True
    assert {key for key, _tier, _days in world.thawed} == {"data/vol1", "other"}


def test_what_was_in_progress_already_changes_nothing(world: World) -> None:
    world.thaw_replies["data/vol1"] = "in_progress"
    result = thaw(world, "data/vol1")
    assert (result["changed"], result["replies"]) == (False, {"in_progress": 1})


def test_waiting_ends_when_all_is_thawed(world: World) -> None:
    def thawed(times: int) -> None:
        if times == 3:
            world.objects["data/vol1"] = replace(world.objects["data/vol1"], restoring=False, expires=later())

    world.on_list = thawed
    result = thaw(world, "data/vol1", wait=True, poll_interval=1)
    assert result["plan"]["ready"] is True
    assert len(world.lists) == 3


def test_waiting_has_an_end(world: World) -> None:
    result = thaw(world, "data/vol1", "data/vol2", wait=True, wait_timeout=1, poll_interval=1)
    assert result["error"]["cause"] == "thaw_timeout"
    assert result["plan"]["ready"] is False
    assert len(world.thawed) == 1


@pytest.mark.parametrize("options", [{"days": 0}, {"poll_interval": 0}, {"wait_timeout": -1}, {"limit": -1}])
def test_numbers_that_make_no_sense(world: World, options: dict[str, int]) -> None:
    assert thaw(world, "data/vol1", **options)["error"]["cause"] == "bad_input"


def test_credentials_are_complete_or_absent(world: World) -> None:
    assert "secret_key" in thaw(world, "data/vol1", credentials={"access_key": "A"})["msg"]


def test_the_bucket_does_not_answer(world: World) -> None:
    world.fails["list"] = errors.EndpointUnreachable("Nobody there.")
    result = thaw(world, "data/vol1")
    assert result["error"] == errors.EndpointUnreachable("Nobody there.").to_result()


# --- what to thaw -----------------------------------------------------------------------------------------------------


def test_all_archived_objects_below_a_prefix(world: World) -> None:
    result = world.run(glacier_restore, {"bucket": "life", "prefix": "data/", "tier": "Standard"})
    assert world.thawed == [("data/vol1", "Standard", 7)]
    assert result["left_out"]["STANDARD"]["objects"] == 1
    assert (result["other_names"], result["plan"]["volume_count"]) == (0, 3)


def test_a_pattern_below_a_prefix(world: World) -> None:
    result = world.run(glacier_restore, {"bucket": "life", "prefix": "", "pattern": "*vol[12]"})
    assert [one["key"] for one in result["plan"]["volumes"]] == ["data/vol1", "data/vol2"]
    assert (result["left_out"], result["other_names"]) == ({}, 3)


def test_the_whole_bucket_is_not_thawed_by_an_empty_variable(world: World) -> None:
    assert world.run(glacier_restore, {"bucket": "life", "prefix": ""})["error"]["cause"] == "bad_input"
    assert world.run(glacier_restore, {"bucket": "life", "prefix": "dta/"})["error"]["cause"] == "nothing_to_thaw"
    assert world.thawed == []


def of_chain(world: World, **options: Any) -> dict[str, Any]:
    """A task with the recorded chain as its target."""
    world.objects = transcript.listing("life")
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    return world.run(glacier_restore, {"target": "s3://life/web01/data", **options})


def test_all_volumes_of_the_chain_of_a_target(world: World) -> None:
    result = of_chain(world)
    volumes = {key for key in world.objects if "difftar" in key}
    assert {key for key, _tier, _days in world.thawed} == volumes
    assert (result["requested_count"], result["time"]) == (len(volumes), "2026-11-22T23:31:45Z")
    world.thawed.clear()
    full = {key for key in volumes if "duplicity-full" in key}
    result = of_chain(world, time="2026-11-22T23:31:40Z")
    assert {key for key, _tier, _days in world.thawed} == full < volumes
    assert result["time"] == "2026-11-22T23:31:39Z"


def test_a_chain_with_other_names(world: World) -> None:
    world.objects = {
        f"p/{part}{name}": replace(one, key=f"p/{part}{name}")
        for key, one in transcript.listing("life").items()
        for name in [key.rpartition("/")[2]]
        for part in ["archive-" if "difftar" in name else "meta-"]
    }
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    options = {"target": "s3://life/p", "file_prefixes": {"archive": "archive-", "manifest": "meta-"}}
    assert world.run(glacier_restore, options)["requested_count"] == len(transcript.listing("life")) - 4
    assert world.run(glacier_restore, {"target": "s3://life/p"})["error"]["cause"] == "no_backup"


def test_a_chain_with_a_gap_or_an_empty_volume_is_refused(world: World) -> None:
    lost = next(key for key in world.objects if "vol1" in key)
    for change in (lambda: world.drop(".vol1."), lambda: world.change(".vol2.", size_bytes=0)):
        world.objects = transcript.listing("life")
        world.change("difftar", storage_class="DEEP_ARCHIVE")
        change()
        result = world.run(glacier_restore, {"target": "s3://life/web01/data"})
        assert result["error"]["cause"] == "volumes_missing", lost
    assert world.thawed == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"bucket": "b"}, "keys, prefix, target"), ({"keys": ["a"]}, "bucket"), ({"prefix": "a"}, "bucket"),
        ({"bucket": "b", "keys": ["a"], "prefix": "a"}, "mutually exclusive"),
        ({"bucket": "b", "target": "s3://b/a"}, "mutually exclusive"),
        ({"bucket": "b", "keys": ["a"], "pattern": "*"}, "prefix"),
    ],
)  # fmt: skip
def test_exactly_one_way_to_say_what_is_meant(world: World, options: dict[str, Any], word: str) -> None:
    result = world.run(glacier_restore, options)
    assert result["failed"]
    assert word in result["msg"]
    assert world.lists == []


# --- upgrades and extensions ------------------------------------------------------------------------------------------


def test_a_running_thaw_is_made_faster(world: World) -> None:
    result = thaw(world, *ALL, tier="Standard", upgrade=True)
    assert sorted(world.thawed) == [("data/vol1", "Standard", 7), ("data/vol2", "Standard", 7)]
    assert (result["requested"], result["upgraded"], result["requested_bytes"]) == (["data/vol1"], ["data/vol2"], 100)
    assert result["ready_within_hours"] == 12


def test_an_upgrade_that_s3_refuses_is_no_failure(world: World) -> None:
    world.thaw_replies["data/vol2"] = "in_progress"
    result = thaw(world, "data/vol2", "data/vol3", tier="Standard", upgrade=True)
    assert (result["changed"], result["upgraded"], result["replies"]) == (False, [], {"in_progress": 1})
    assert result["ready_within_hours"] == 48


def test_nothing_is_upgraded_to_bulk(world: World) -> None:
    assert thaw(world, "data/vol2", tier="Bulk", upgrade=True)["changed"] is False
    assert world.thawed == []


def in_days(days: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def test_only_copies_that_end_too_soon_are_extended(world: World) -> None:
    world.objects["other"] = replace(world.objects["other"], expires=in_days(6.1))
    world.thaw_replies["data/vol3"] = "extended"
    result = thaw(world, "data/vol3", "other", extend=True)
    assert world.thawed == [("data/vol3", "Bulk", 7)]
    assert (result["changed"], result["extended"], result["requested"]) == (True, ["data/vol3"], [])
    assert thaw(world, "data/vol3", "other")["changed"] is False
    assert len(world.thawed) == 1


def test_check_mode_says_what_the_task_would_do(world: World) -> None:
    expires = in_days(1)
    world.change("vol3", expires=expires)
    world.thaw_replies["data/vol3"] = "extended"
    options: dict[str, Any] = {"tier": "Standard", "upgrade": True, "extend": True}
    days = [retrieval.extended_until(in_days(0), 7)]
    check = thaw(world, *ALL, check=True, **options)
    days.append(retrieval.extended_until(in_days(0), 7))  # a midnight may be between
    assert world.thawed == []
    assert check["diff"]["before"] == {"frozen": 1, "ready": 1, "thawed": 1, "thawing": 1} | {
        "expires_first": to_w3(expires)
    }
    until = check["diff"]["after"]["expires_first"]
    assert until in map(to_w3, days)
    assert check["diff"]["after"] == {"ready": 1, "thawed": 1, "thawing": 2, "expires_first": until}
    real = thaw(world, *ALL, **options)
    for name in ("changed", "requested", "upgraded", "extended", "requested_bytes", "ready_within_hours"):
        assert check[name] == real[name], name
    assert (check["requested"], check["upgraded"], check["extended"]) == (["data/vol1"], ["data/vol2"], ["data/vol3"])


def test_a_copy_that_expired_between_the_look_and_the_request_is_told_as_a_thaw(world: World) -> None:
    result = thaw(world, "data/vol3", extend=True)  # S3 accepts a thaw
    assert (result["requested"], result["extended"], result["changed"]) == (["data/vol3"], [], True)


def test_a_warning_when_copies_may_expire_before_the_rest_is_thawed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ansible keeps the warnings of a process, and here several modules run in one.
    monkeypatch.setattr(warnings, "_global_warnings", type(warnings._global_warnings)())
    assert "may be thawed as late as" in str(thaw(world, *ALL)["warnings"])
    monkeypatch.setattr(warnings, "_global_warnings", type(warnings._global_warnings)())
    world.change("vol3", expires=in_days(5))
    assert "warnings" not in thaw(world, *ALL)


# --- a busy S3 --------------------------------------------------------------------------------------------------------


def test_expedited_without_capacity_falls_back(world: World) -> None:
    world.change("", storage_class="GLACIER")
    world.thaw_replies = {"data/vol1": ["no_capacity", "accepted"], "data/vol2": ["no_capacity", "accepted"]}
    options: dict[str, Any] = {"tier": "Expedited", "upgrade": True}
    result = thaw(world, "data/vol1", "data/vol2", "other", fallback_tier="Standard", **options)
    asked = {
        key: [tier for one, tier, _days in world.thawed if one == key] for key in ("data/vol1", "data/vol2", "other")
    }
    assert asked == {
        "data/vol1": ["Expedited", "Standard"], "data/vol2": ["Expedited", "Standard"], "other": ["Expedited"],
    }  # fmt: skip
    assert (result["replies"], result["ready_within_hours"]) == ({"accepted": 3}, 5)


def test_a_running_thaw_does_not_fall_back_to_bulk(world: World) -> None:
    world.change("", storage_class="GLACIER")
    world.thaw_replies["data/vol2"] = "no_capacity"
    result = thaw(world, "data/vol2", tier="Expedited", upgrade=True, fallback_tier="Bulk")
    assert world.thawed == [("data/vol2", "Expedited", 7)]
    assert (result["changed"], result["replies"]) == (False, {"in_progress": 1})


def test_a_busy_s3_loses_no_request(world: World) -> None:
    lost = errors.EndpointUnreachable("Reset.")
    world.thaw_replies = {"data/vol1": ["busy", "busy", "accepted"], "other": [lost, "in_progress"]}
    result = thaw(world, "data/vol1", "other")
    assert (result["requested"], result["replies"]) == (["data/vol1", "other"], {"accepted": 2})
    assert len(world.thawed) == 5


def test_patience_with_a_busy_s3_has_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requesting, "_PATIENCE_SECONDS", 0.3)
    world.thaw_replies["data/vol1"] = "busy"
    result = thaw(world, "data/vol1", "other")
    assert result["error"]["cause"] == "thaw_incomplete"
    assert "S3 was too busy to thaw data/vol1" in result["msg"]
    assert (result["error"]["failed"], result["requested"]) == (["data/vol1"], ["other"])


# --- large ------------------------------------------------------------------------------------------------------------


def test_a_large_thaw_has_a_small_result(world: World) -> None:
    deep = world.objects["other"]
    world.objects = {f"many/{number:05d}": replace(deep, key=f"many/{number:05d}") for number in range(3000)}
    result = world.run(glacier_restore, {"bucket": "life", "prefix": "many/", "limit": 10})
    assert (result["requested_count"], len(result["requested"])) == (3000, 10)
    assert (result["plan"]["volume_count"], len(result["plan"]["volumes"])) == (3000, 10)
    assert result["plan"]["states"] == {"frozen": {"volumes": 3000, "size_bytes": 300_000}}
    assert len(world.thawed) == len(set(world.thawed)) == 3000
    assert world.lists == ["many/", "many/"]  # one to choose, one after the requests


def test_what_asks_for_nothing_looks_once(world: World) -> None:
    for wait in (False, True):
        world.lists.clear()
        assert thaw(world, "data/vol3", wait=wait)["changed"] is False
        assert len(world.lists) == 1
