"""glacier_restore_info and duplicity_restore through main()."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.modules import duplicity_restore, glacier_restore_info
from unit import transcript
from unit.modules.world import World, later

WHOLE = {"plan": "plan-whole", "info": "status-after-loss", "list": "list", "restore": "restore"}


def plan(world: World, **options: Any) -> dict[str, Any]:
    world.replies = {**WHOLE, **world.replies}
    return world.run(glacier_restore_info, {"job": world.job(), **options})


def restore(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    world.replies = {**WHOLE, **world.replies}
    given = {"job": world.job(), "dest": str(world.directory / "dest"), **options}
    return world.run(duplicity_restore, given, check=check)


def names(result: dict[str, Any]) -> set[str]:
    return {one["key"].rpartition("/")[2] for one in result["plan"]["volumes"]}


def test_a_plan_of_the_whole_tree(world: World) -> None:
    result = plan(world)
    assert result["changed"] is False
    assert names(result) == set(transcript.load("plan-whole").run().required_volumes or [])
    assert result["plan"]["ready"] is True
    assert all(one["sha1"] and one["size_bytes"] for one in result["plan"]["volumes"])
    assert result["path"] == ""


def test_a_plan_of_a_path(world: World) -> None:
    world.replies["plan"] = "plan-path"
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    result = plan(world, path="/etc/nginx/")
    assert result["path"] == "etc/nginx"
    assert names(result) == set(transcript.load("plan-path").run().required_volumes or [])
    assert list(result["plan"]["states"]) == ["frozen"]


@pytest.mark.parametrize("module", [plan, restore])
def test_refused_before_anything_is_paid(world: World, module: Any) -> None:
    assert module(world, time="1990-01-01")["error"]["cause"] == "before_first_backup"
    assert module(world, time="soon")["error"]["cause"] == "bad_time"
    assert module(world, path="a/../b")["error"]["cause"] == "bad_input"
    world.objects = {}
    assert module(world)["error"]["cause"] == "no_backup"
    assert world.verbs() == []


def test_a_path_that_is_not_in_the_backup(world: World) -> None:
    world.replies["plan"] = "plan-no-such-path"
    result = plan(world, path="no/such")
    assert result["error"]["cause"] == "path_not_in_backup"
    assert result["error"]["path"] == "no/such"


def test_a_missing_volume_is_named(world: World) -> None:
    world.replies["plan"] = "volume-missing"
    world.drop(".vol5.")
    result = plan(world)
    assert result["error"]["cause"] == "volumes_missing"
    assert [name.endswith(".vol5") for name in result["error"]["volumes"]] == [True]


def test_manifests_and_dry_run_must_agree(world: World) -> None:
    world.replies["plan"] = "plan-path"
    assert plan(world)["error"]["cause"] == "plan_disagrees"


def test_a_restore_is_put_in_place(world: World) -> None:
    result = restore(world)
    assert result["changed"] is True
    assert Path(result["dest"], "restored").read_text() == "content"
    assert [one.name for one in world.directory.iterdir() if one.name.startswith(".")] == []
    assert names(result) == set(transcript.load("plan-whole").run().required_volumes or [])
    assert world.verbs()[-2:] == ["restore", "prove"]
    assert result["command"][:2] == ["duplicity", "restore"]


def test_the_diff_of_a_new_place(world: World) -> None:
    check, real = restore(world, check=True), restore(world)
    assert check["diff"] == real["diff"]
    assert real["diff"]["before"] == {"dest": "absent"}
    assert real["diff"]["after"] == {"dest": "restored", "path": "", "time": real["time"]}
    again = restore(world)
    assert (again["changed"], again["diff"]) == (False, {"before": {}, "after": {}})


def test_an_empty_directory_gives_way(world: World) -> None:
    (world.directory / "dest").mkdir()
    result = restore(world)
    assert (result["changed"], result["diff"]["before"]) == (True, {"dest": "an empty directory"})
    assert (world.directory / "dest" / "restored").exists()


def test_check_mode_restores_nothing(world: World) -> None:
    result = restore(world, check=True)
    assert result["changed"] is True
    assert result["plan"]["ready"] is True
    assert "restore" not in world.verbs()
    assert not (world.directory / "dest").exists()


@pytest.mark.parametrize("check", [False, True])
def test_frozen_volumes_are_named(world: World, check: bool) -> None:
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    world.change(".vol2.", restoring=True)
    world.change(".vol1.", expires=later())
    result = restore(world, check=check)
    assert result["error"]["cause"] == "volumes_frozen"
    assert len(result["error"]["thawing"]) == 2
    total = len(transcript.load("plan-whole").run().required_volumes or [])
    assert len(result["error"]["frozen"]) == total - 4
    assert "restore" not in world.verbs()
    assert not (world.directory / "dest").exists()


def test_destinations(world: World) -> None:
    (world.directory / "full").mkdir()
    (world.directory / "full" / "file").touch()
    (world.directory / "link").symlink_to("full")
    cases = {"full": "destination_not_empty", "link": "destination_not_empty", "full/file": "destination_not_empty"}
    for name, cause in {**cases, "no/parent": "bad_input", "a/../b": "bad_input"}.items():
        assert restore(world, dest=f"{world.directory}/{name}")["error"]["cause"] == cause, name
    assert restore(world, dest="relative/../x")["error"]["cause"] == "bad_input"
    assert world.verbs() == []


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("hash-mismatch", "damaged_volume"), ("frozen", "volumes_frozen"), ("killed", "killed"),
        ("restore-no-such-path", "path_not_in_backup"), ("wrong-passphrase-restore", "wrong_passphrase"),
    ],
)  # fmt: skip
def test_a_failed_restore_leaves_nothing(world: World, reply: str, cause: str) -> None:
    world.replies["restore"] = reply
    result = restore(world)
    assert result["error"]["cause"] == cause
    assert not (world.directory / "dest").exists()
    assert [one.name for one in world.directory.iterdir() if one.name.startswith(".")] == []


def test_a_restore_with_unreadable_files_is_incomplete(world: World) -> None:
    world.replies["restore"] = "unreadable"
    result = restore(world)
    assert result["error"]["cause"] == "restore_incomplete"
    assert not (world.directory / "dest").exists()


@pytest.mark.parametrize("module", [glacier_restore_info, duplicity_restore])
def test_the_job_is_required(world: World, module: ModuleType) -> None:
    result = world.run(module, {"dest": "/x"} if module is duplicity_restore else {})
    assert "job" in result["msg"]
