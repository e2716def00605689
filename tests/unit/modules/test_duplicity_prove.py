"""duplicity_prove through main(), and the proof in a restore."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.proof import Difference, Proof
from ansible_collections.permafrost.backup.plugins.modules import duplicity_prove, glacier_restore_info
from unit.modules.restores import REPLIES, hidden, restore
from unit.modules.world import VOLUME, World


def differing() -> Proof:
    made = Proof(files=1, size_bytes=7)
    made.add(Difference("restored", "mode", "0644", "0600"))
    return made


def prove(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    world.replies = {**REPLIES, **world.replies}
    given = {"job": world.job(), "dest": str(world.directory / "dest"), **options}
    return world.run(duplicity_prove, given, check=check)


@pytest.fixture
def dest(world: World) -> Path:
    made = world.directory / "dest"
    made.mkdir()
    (made / "restored").write_text("content")
    return made


def test_a_proof_is_made_once(world: World, dest: Path) -> None:
    checked = prove(world, check=True)
    assert (checked["changed"], "proven" in checked) == (True, False)
    assert "prove" not in world.verbs()
    first = prove(world)
    assert (first["changed"], first["proven"], first["files"], first["differences"]) == (True, True, 1, [])
    order = world.orders.pop()
    assert (order["tree"], order["path"], order["owners"], order["ignored"]) == ("dest", "", True, [])
    kinds = [name.partition(".")[0] for name in order["signatures"]]
    assert kinds == ["web01-data/duplicity-full-signatures", "web01-data/duplicity-new-signatures"]
    for check in (False, True):
        again = prove(world, check=check)
        assert (again["changed"], again["proven"], again["files"]) == (False, True, 1)
        assert again["proven_at"]
    assert world.orders == []
    (dest / "restored").chmod(0o600)
    assert prove(world)["changed"] is True
    assert prove(world, time="2026-11-22T23:31:40Z")["changed"] is True


def test_differences_fail_or_are_told(world: World, dest: Path) -> None:
    world.proof = differing()
    failed = prove(world)
    assert failed["error"]["cause"] == "proof_failed"
    assert "restored (mode)" in failed["msg"]
    assert failed["proof"]["differences"][0]["wanted"] == "0644"
    told = prove(world, on_difference="report")
    assert (told["changed"], told["proven"], told["difference_kinds"]) == (False, False, {"mode": 1})
    world.proof = Proof()
    assert prove(world)["changed"] is True, "what differed is no proof"


@pytest.mark.parametrize("module", [prove, restore])
def test_what_cannot_be_proven_is_refused_before(world: World, module: Any) -> None:
    if module is prove:
        (world.directory / "dest").mkdir()
    world.labels = {}
    refused = module(world)
    assert refused["error"]["cause"] == "cannot_prove"
    assert "no program" in refused["msg"]
    world.labels = {"permafrost.prove": "1"}
    world.drop("new-signatures")
    assert len(module(world)["error"]["signatures"]) == 1
    assert not {"prove", "restore"} & set(world.verbs())


def test_a_program_that_does_not_answer_is_told(world: World, dest: Path) -> None:
    world.proof = None
    failed = prove(world)
    assert failed["error"]["cause"] == "cannot_prove"
    assert "usage: permafrost" in failed["msg"]


def test_what_is_not_there_or_not_in_the_backup(world: World) -> None:
    assert prove(world)["error"]["cause"] == "bad_input"
    (world.directory / "dest").mkdir()
    assert prove(world, path="no/such")["error"]["cause"] == "path_not_in_backup"


# --- in a restore ---------------------------------------------------------------------------------------------------


def test_a_restore_that_differs_leaves_nothing_and_keeps_what_was_fetched(world: World) -> None:
    world.proof = differing()
    failed = restore(world)
    assert failed["error"]["cause"] == "proof_failed"
    assert failed["proof"]["difference_count"] == 1
    assert not (world.directory / "dest").exists()
    assert hidden(world) == []
    fetched, world.fetched = world.fetched, []
    world.proof = Proof(files=1)
    result = restore(world)
    assert result["proof"]["proven"] is True
    assert (result["fetch"]["kept"], result["fetch"]["fetched"]) == (len(result["plan"]["volumes"]), 0)
    assert {name for name in fetched if ".difftar" in name} & set(world.fetched) == set()
    assert not (world.directory / "state/web01-data/staged").exists()
    assert prove(world)["changed"] is False


def test_what_was_restored_without_a_proof_is_proven_later(world: World) -> None:
    first = restore(world, prove=False)
    assert "proof" not in first
    assert "prove" not in world.verbs()
    assert restore(world, prove=False)["changed"] is False
    assert restore(world, check=True)["changed"] is True
    later = restore(world)
    assert (later["changed"], later["proof"]["proven"]) == (True, True)
    again = restore(world)
    assert (again["changed"], again["proof"]["proven"], again["proof"]["files"]) == (False, True, 1)


def test_two_ways_to_fetch(world: World) -> None:
    streamed = restore(world, fetch="streamed", dest=str(world.directory / "streamed"))
    assert streamed["fetch"]["way"] == "streamed"
    assert not [name for name in world.fetched if ".difftar" in name]
    assert "s3://life/web01/data" in streamed["command"]
    staged = restore(world, fetch="staged")
    assert "file:///permafrost/staged" in staged["command"]
    assert staged["fetch"]["fetched"] == len(staged["plan"]["volumes"])
    assert staged["fetch"]["size_bytes"] == len(VOLUME) * len(staged["plan"]["volumes"])
    runs = [spec for spec in world.specs if spec.verb == "restore"]
    assert [spec.network for spec in runs] == ["host", "none"]
    assert restore(world, check=True, dest=str(world.directory / "new"))["fetch"]["way"] == "staged"


def test_a_restore_without_room_is_streamed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 3 << 30})())
    world.change("difftar", size_bytes=200 << 20)
    assert restore(world, fetch="staged")["error"]["cause"] == "staging_space"
    result = restore(world, check=True)
    assert result["fetch"]["way"] == "streamed"
    assert "no room to stage" in result["fetch"]["why"]


def test_what_is_staged_may_be_frozen_again(world: World) -> None:
    world.change("difftar", size_bytes=len(VOLUME))
    world.replies["restore"] = "killed"
    assert restore(world)["error"]["cause"] == "killed"
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    del world.replies["restore"]
    assert restore(world, fetch="streamed")["error"]["cause"] == "volumes_frozen"
    for fetch, state in (("auto", "staged"), ("staged", "staged"), ("streamed", "frozen")):
        made = world.run(glacier_restore_info, {"job": world.job(), "fetch": fetch})
        assert list(made["plan"]["states"]) == [state], fetch
    result = restore(world)
    assert (result["changed"], result["fetch"]["fetched"]) == (True, 0)
