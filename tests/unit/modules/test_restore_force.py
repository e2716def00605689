"""duplicity_restore through main(): what force replaces, what it refuses to, and kills on the way."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import mounts
from ansible_collections.permafrost.backup.plugins.modules import duplicity_info
from unit.modules.restores import NEW, OLD, Killed, Sword, files, hidden, make_old, restore
from unit.modules.world import World

# --- force ----------------------------------------------------------------------------------------------------------


def test_what_force_would_replace(world: World, dest: Path) -> None:
    (dest / "etc").mkdir()
    (dest / "etc" / "hosts").write_text("in the full, deleted since")
    (dest / "etc" / "new").mkdir()
    result = restore(world, force=True, check=True)
    replaced = result["replaced"]
    assert replaced["removed"] == ["below", "below/older", "etc/hosts", "old"]
    assert "etc/nginx/nginx.conf" in replaced["new"]
    assert replaced["changed"] == ["etc", "etc/new"]
    assert (replaced["removed_count"], replaced["changed_count"], replaced["same_count"]) == (4, 2, 0)
    assert result["diff"]["before"].splitlines()[-1].startswith("old (reg, ")
    assert "etc/new (dir, " in result["diff"]["before"]
    assert "etc/new (reg, " in result["diff"]["after"]
    assert "restore" not in world.verbs()
    assert files(dest).items() >= OLD.items()


def test_force_replaces(world: World, dest: Path) -> None:
    result = restore(world, force=True)
    assert (result["changed"], files(dest), hidden(world)) == (True, NEW, [])
    assert result["replaced"]["removed_count"] == 3
    assert restore(world, force=True)["changed"] is False


def test_force_is_not_needed_for_what_is_new(world: World) -> None:
    result = restore(world, force=True)
    assert (result["changed"], "replaced" in result) == (True, False)


@pytest.mark.parametrize("reply", ["hash-mismatch", "frozen", "killed"])
def test_a_failed_restore_replaces_nothing(world: World, dest: Path, reply: str) -> None:
    world.replies["restore"] = reply
    assert "error" in restore(world, force=True)
    assert (files(dest), hidden(world)) == (OLD, [])


REFUSED = {
    "/": "holds, or lies in, the job's state_dir",
    "/etc": "directory of the system",
    "/usr/bin": "directory of the system",
    "{0}": "holds, or lies in, the job's state_dir",
    "{0}/state": "holds, or lies in, the job's state_dir",
    "{0}/state/web01-data": "holds, or lies in, the job's state_dir",
    "{0}/state/web01-data/archive": "holds, or lies in, the job's state_dir",
    "{0}/temp": "holds, or lies in, the job's temp_dir",
    "{0}/sources": "holds more than the path that is restored, which comes from {0}/sources/here",
    "{0}/link": "symbolic link",
    "{0}/file": "is a file, and what would replace it is a directory",
}


@pytest.mark.parametrize("dest", REFUSED)
def test_what_is_never_replaced(world: World, dest: str) -> None:
    top = world.directory
    for name in ("state/web01-data/archive", "sources/here", "sources/other", "temp"):
        (top / name).mkdir(parents=True)
    (top / "link").symlink_to("sources")
    (top / "file").touch()
    job = world.job(source=f"{top}/sources/here", temp_dir=f"{top}/temp")
    for check in (True, False):
        result = restore(world, job=job, dest=dest.format(top), force=True, check=check)
        assert result["error"]["cause"] == "bad_input", result["msg"]
        assert REFUSED[dest].format(top) in result["msg"]
    assert "restore" not in world.verbs()


def test_a_part_does_not_replace_the_whole(world: World) -> None:
    source = world.directory / "source"
    (source / "etc").mkdir()
    world.replies["plan"] = "plan-path"
    result = restore(world, path="etc/nginx", dest=str(source), force=True)
    assert f"comes from {source}/etc/nginx" in result["msg"]
    result = restore(world, path="etc/nginx", dest=str(source / "etc"), force=True)
    assert "holds more than the path" in result["msg"]


def test_the_source_may_be_put_back(world: World) -> None:
    source = world.directory / "source"
    (source / "file").touch()
    result = restore(world, dest=str(source), force=True)
    assert (result["changed"], files(source)) == (True, NEW)


def test_what_holds_a_mount_point_is_not_replaced(world: World, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_points", lambda: [Path("/"), Path("/proc"), dest / "below"])
    result = restore(world, force=True)
    assert f"holds the mount point {dest}/below" in result["msg"]
    assert files(dest) == OLD


def test_what_is_mounted_in_the_old_tree_is_not_removed(
    world: World, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after the last look, and moved with the tree."""
    aside = world.directory / ".dest.web01-data.permafrost-old"
    with monkeypatch.context() as patched:
        patched.setattr(mounts, "_points", lambda: [Path("/"), aside / "below"])
        result = restore(world, force=True)
        assert f"{aside} ({aside}/below is a mount point)" in str(result["warnings"])
        (dest / "restored").write_text("changed")
        assert "warnings" not in restore(world, force=True)  # another old tree, of another name
        assert (files(aside), files(dest), hidden(world)) == (OLD, NEW, [aside.name])


def test_a_file_that_is_mounted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.directory / "file"
    file.touch()
    monkeypatch.setattr(mounts, "_points", lambda: [Path("/"), file])
    for force in (False, True):
        result = restore(world, dest=str(file), force=force)
        assert "is a mount point and no directory" in result["msg"]


def test_mount_points_with_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    row = rb"36 35 98:0 /mnt1 /mnt/with\040space rw,noatime master:1 - ext3 /dev/root rw"
    monkeypatch.setattr(Path, "read_bytes", lambda _path: row + b"\n")
    assert mounts.below(Path("/mnt")) == [Path("/mnt/with space")]
    assert mounts.below(Path("/mnt/with")) == []


# --- kills ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("next_task", ["info", "restore"])
def test_a_kill_at_any_point_costs_neither_tree(
    world: World, dest: Path, monkeypatch: pytest.MonkeyPatch, next_task: str
) -> None:
    """Each deed in turn is the one that is not done any more."""
    seen = set()
    for number in range(100):
        shutil.rmtree(world.directory / "state", ignore_errors=True)
        shutil.rmtree(dest)
        make_old(dest)
        world.specs = []
        with monkeypatch.context() as patched:
            sword = Sword(world, patched, number)
            try:
                restore(world, force=True)
                break
            except Killed:
                sword.armed = False
        seen.add("old" if dest.exists() and files(dest) == OLD else "new" if dest.exists() else "aside")
        world.specs = []
        if next_task == "info":
            world.run(duplicity_info, {"job": world.job()})
            assert files(dest) in (OLD, NEW), number
            assert hidden(world) == [], number
        restore(world, force=True)
        assert (files(dest), hidden(world)) == (NEW, []), number
    else:
        pytest.fail("the task was always killed")
    assert seen == {"old", "new", "aside"}
    assert number > 10


def killed_between_the_renames(world: World, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        with monkeypatch.context() as patched:
            Sword(world, patched, number)
            world.specs = []
            with pytest.raises(Killed):
                restore(world, force=True)
        if not dest.exists():
            return
    raise AssertionError


def test_the_next_restore_finishes_what_was_begun(world: World, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_between_the_renames(world, dest, monkeypatch)
    world.specs = []
    result = restore(world)
    assert (result["changed"], result["restored"]["files"], world.specs) == (True, 1, [])
    assert "A killed task had begun to replace" in str(result["warnings"])
    assert (files(dest), hidden(world)) == (NEW, [])
    assert restore(world)["changed"] is False


def test_what_came_to_the_destination_meanwhile_is_not_touched(
    world: World, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_between_the_renames(world, dest, monkeypatch)
    dest.mkdir()
    (dest / "foreign").touch()
    left = sorted(hidden(world))
    assert len(left) == 2
    result = restore(world, force=True)
    assert result["error"]["cause"] == "replacement_interrupted"
    assert all(name in result["msg"] for name in left)
    assert "failed" not in world.run(duplicity_info, {"job": world.job()})
    assert sorted(hidden(world)) == left
    shutil.rmtree(dest)
    assert restore(world, force=True)["changed"] is True
    assert (files(dest), hidden(world)) == (NEW, [])


def test_a_rename_that_fails_is_taken_back(world: World, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def failing(source: Any, target: Any, **more: Any) -> None:
        if str(source).endswith("/data"):
            raise OSError(28, "No space left on device")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", failing)
    result = restore(world, force=True)
    assert result["error"]["cause"] == "not_in_place"
    assert "No space left on device" in result["msg"]
    assert (files(dest), hidden(world)) == (OLD, [])
    shutil.rmtree(dest)
    assert restore(world)["error"]["cause"] == "not_in_place"
    assert not dest.exists()


def test_an_old_tree_that_cannot_be_removed_is_told(world: World, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:

        def refuse(path: Any, *_given: Any, **_more: Any) -> None:
            raise OSError(1, "Operation not permitted", str(path))

        rmdir = os.rmdir
        patched.setattr(os, "rmdir", lambda path, **more: refuse(path) if str(path) == "below" else rmdir(path, **more))
        result = restore(world, force=True)
    assert (result["changed"], files(dest)) == (True, NEW)
    assert "could not be removed" in str(result["warnings"])
    assert len(hidden(world)) == 1
    world.run(duplicity_info, {"job": world.job()})
    assert hidden(world) == []
