"""glacier_restore through main()."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.modules import glacier_restore
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


@pytest.mark.parametrize("options", [{"days": 0}, {"poll_interval": 0}, {"wait_timeout": -1}])
def test_numbers_that_make_no_sense(world: World, options: dict[str, int]) -> None:
    assert thaw(world, "data/vol1", **options)["error"]["cause"] == "bad_input"


def test_credentials_are_complete_or_absent(world: World) -> None:
    assert "secret_key" in thaw(world, "data/vol1", credentials={"access_key": "A"})["msg"]


def test_the_bucket_does_not_answer(world: World) -> None:
    world.fails["list"] = errors.EndpointUnreachable("Nobody there.")
    result = thaw(world, "data/vol1")
    assert result["error"] == errors.EndpointUnreachable("Nobody there.").to_result()
