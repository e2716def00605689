"""duplicity_info through main()."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
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


def test_a_sample(world: World) -> None:
    result = look(world, sample=4, seed="a")
    assert len(set(result["sample"])) == 4
    assert look(world, sample=4, seed="a")["sample"] == result["sample"] != look(world, sample=4, seed="b")["sample"]
    every = look(world, sample=999)["sample"]
    assert set(result["sample"]) < set(every)
    files = {one["path"]: one["type"] for one in look(world, files=True)["files"]}
    assert {files[path] for path in every} == {"reg"}
    # A name that is not UTF-8 cannot be asked for.
    assert len(every) < sum(kind == "reg" for kind in files.values())
    before = len(world.verbs())
    nothing = look(world, sample=0)
    assert (nothing["sample"], nothing["files_time"]) == ([], result["files_time"])
    assert "list" not in world.verbs()[before:]
    assert look(world, sample=-1)["error"]["cause"] == "bad_input"


def test_an_awkward_name_is_found(world: World) -> None:
    result = look(world, files=True, pattern="awkward/new\nline")
    assert [one["path"] for one in result["files"]] == ["awkward/new\nline"]


def test_changes_of_a_set(world: World) -> None:
    result = look(world, changes="now", pattern="etc/n*", limit=1)
    assert (result["changes_kind"], result["changes_time"]) == ("incremental", result["chains"][0]["end"])
    assert result["changes"] == [{"path": "etc/new", "kind": "new"}]
    assert result["change_counts"] == {"new": 1, "changed": 1, "deleted": 1}
    assert result["changes_matched_count"] == 2
    assert world.verbs() == ["info"]
    full = look(world, changes=result["chains"][0]["start"])
    assert full["changes_kind"] == "full"
    assert full["change_counts"] == {"new": len(NAMES) + 3, "changed": 0, "deleted": 0}
    assert "awkward/new\nline" in [one["path"] for one in full["changes"]]


def test_changes_that_are_not_all_there(world: World) -> None:
    first = look(world)["chains"][0]["end"]
    (local,) = Path(world.directory, "state", "web01-data", "archive", "web01-data").glob("*inc*.manifest")
    content = local.read_bytes()
    local.write_bytes(content.replace(b"Filelist 3", b"Filelist 4"))
    assert look(world, changes="now")["error"]["cause"] == "manifest_unreadable"
    local.write_bytes(content[: content.index(b"Filelist")])
    result = look(world, changes="now")
    assert (result["changes"], result["change_counts"], result["changes_matched_count"]) == (None, None, None)
    assert result["changes_time"] == first


def test_changes_of_no_set(world: World) -> None:
    assert look(world, changes="1990-01-01")["error"]["cause"] == "before_first_backup"
    assert look(world, changes="yesterday")["error"]["cause"] == "bad_time"


def test_ages(world: World) -> None:
    result = look(world)
    full = datetime.fromisoformat(result["chains"][0]["start"].replace("Z", "+00:00"))
    age = (datetime.now(timezone.utc) - full).total_seconds()
    assert 0 <= age - result["last_full_age_seconds"] < 60
    assert result["last_success_age_seconds"] is None
    ended = datetime.now(timezone.utc) - timedelta(hours=1)
    record = Path(world.directory, "state", "web01-data", "last_success.json")
    record.write_text(json.dumps({"finished": f"{ended:%Y-%m-%dT%H:%M:%SZ}"}))
    assert 3600 <= look(world)["last_success_age_seconds"] < 3660
    world.objects = {}
    assert look(world)["last_full_age_seconds"] is None


def test_history_and_drill(world: World) -> None:
    result = look(world)
    assert (result["history"], result["last_drill"]) == ([], None)
    state = Path(world.directory, "state", "web01-data")
    (state / "history.json").write_text(json.dumps({"runs": [{"verb": "backup"}]}))
    (state / "last_drill.json").write_text(json.dumps({"finished": "2026-11-01T02:00:00Z"}))
    result = look(world)
    assert result["history"] == [{"verb": "backup"}]
    assert result["last_drill"] == {"finished": "2026-11-01T02:00:00Z"}


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
