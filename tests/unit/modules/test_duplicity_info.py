"""duplicity_info through main()."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.modules import duplicity_info
from unit import transcript
from unit.awkward import NAMES
from unit.modules.world import World


def look(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    world.replies.setdefault("info", "status-after-loss")
    world.replies.setdefault("list", "list")
    return world.run(duplicity_info, {"job": world.job(), **options}, check=check)


@pytest.mark.parametrize("check", [False, True])
def test_chains(world: World, check: bool) -> None:
    result = look(world, check=check)
    assert result["changed"] is False
    (chain,) = result["chains"]
    assert [one["kind"] for one in chain["sets"]] == ["full", "incremental"]
    assert chain["missing_count"] == 0
    assert result["object_count"] == len(world.objects)
    assert result["size_bytes"] == {"STANDARD": sum(one.size_bytes for one in world.objects.values())}
    assert (result["interrupted"], result["orphaned"], result["unknown"]) == ([], [], [])
    assert result["last_run"] is None
    assert "files" not in result


def test_manifests_that_are_there_need_no_container(world: World) -> None:
    look(world)
    assert world.verbs() == ["info"]
    look(world)
    assert world.verbs() == ["info"]


def test_missing_and_empty_volumes_and_signatures(world: World) -> None:
    full = next(key for key in world.objects if "duplicity-full." in key).split(".manifest")[0].split(".vol")[0]
    world.drop(f"{full}.vol3.")
    world.change(f"{full}.vol4.", size_bytes=0)
    world.drop("full-signatures")
    (chain,) = look(world)["chains"]
    assert chain["missing_count"] == 3
    missing = " ".join(chain["sets"][0]["missing"])
    assert ".vol3" in missing
    assert ".vol4" in missing
    assert "signatures" in missing
    assert chain["sets"][1]["missing"] == []


def test_an_interrupted_set_is_never_complete(world: World) -> None:
    world.objects = transcript.listing("interrupted")
    result = look(world)
    assert result["chains"] == []
    assert [one["complete"] for one in result["interrupted"]] == [False]
    assert world.verbs() == []


def test_files(world: World) -> None:
    result = look(world, files=True, pattern="awkward/*", limit=3)
    assert len(result["files"]) == 3
    assert result["matched_count"] == len(NAMES)
    assert result["file_count"] > result["matched_count"]
    assert result["files"][0]["type"] == "reg"
    assert result["files_time"].endswith("Z")


def test_an_awkward_name_is_found(world: World) -> None:
    result = look(world, files=True, pattern="awkward/new\nline")
    assert [one["path"] for one in result["files"]] == ["awkward/new\nline"]


def test_times(world: World) -> None:
    assert look(world, files=True, time="1990-01-01")["error"]["cause"] == "before_first_backup"
    assert look(world, time="yesterday")["error"]["cause"] == "bad_time"
    world.objects = {}
    assert look(world, files=True)["error"]["cause"] == "no_backup"
    assert look(world)["chains"] == []


def test_a_manifest_that_nobody_can_read(world: World) -> None:
    world.manifests = "resumed"  # of another chain: those of this one did not come
    result = look(world)
    assert result["error"]["cause"] == "manifest_unreadable"
    assert result["error"]["manifests"]


def test_busy(world: World) -> None:
    world.fails["info"] = errors.Busy("The backup runs.", verb="backup")
    result = look(world)
    assert (result["error"]["cause"], result["error"]["verb"]) == ("busy", "backup")
