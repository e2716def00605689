"""duplicity_restore through main() into a mount point: what it is filled with, and kills on the way."""

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

MORE = {**NEW, "old": "new", "deep/file": "new"}


@pytest.fixture
def point(world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system as mkfs makes it, and a backup with more than one file."""
    path = world.directory / "dest"
    (path / mounts.LOST).mkdir(parents=True)
    monkeypatch.setattr(mounts, "_points", lambda: [Path("/"), path])

    def bring() -> None:
        data = path / ".web01-data.permafrost-restore" / "data"
        (data / "deep").mkdir()
        for name, content in MORE.items():
            (data / name).write_text(content)
        data.chmod(0o711)
        os.utime(data, ns=(0, 1_500_000_000_123_456_789))

    world.on_restore = bring
    return path


def visible(point: Path) -> list[str]:
    return sorted(one.name for one in point.iterdir())


def test_a_mount_point_is_filled(world: World, point: Path) -> None:
    """It stays the same directory, with mode and mtime of the backup's; lost+found is no content."""
    inode = point.stat().st_ino
    first = restore(world)
    assert (first["changed"], files(point), hidden(world)) == (True, MORE, [])
    assert visible(point) == ["deep", "lost+found", "old", "restored"]
    found = point.stat()
    assert (found.st_ino, found.st_mode & 0o777, found.st_mtime_ns) == (inode, 0o711, 1_500_000_000_123_456_789)
    for force in (False, True):
        again = restore(world, force=force)
        assert (again["changed"], again["restored"]) == (False, first["restored"])
    (point / "lost+found" / "#4711").touch()
    assert "was changed since" in restore(world)["msg"]


@pytest.mark.parametrize("name", ["file", "deep/file", "lost+found/file"])
def test_a_mount_point_with_content_needs_force(world: World, point: Path, name: str) -> None:
    (point / "deep").mkdir()
    (point / name).write_text("old")
    assert restore(world)["error"]["cause"] == "destination_not_empty"
    result = restore(world, force=True)
    assert (result["changed"], files(point)) == (True, MORE)
    assert name in result["replaced"]["removed"]


def test_a_backup_of_a_file_system_brings_its_own_lost_and_found(world: World, point: Path) -> None:
    bring = world.on_restore

    def with_lost() -> None:
        bring()
        lost = point / ".web01-data.permafrost-restore" / "data" / mounts.LOST
        lost.mkdir()
        (lost / "#1").write_text("found")

    world.on_restore = with_lost
    assert restore(world)["changed"] is True
    assert files(point) == {**MORE, "lost+found/#1": "found"}
    assert restore(world)["changed"] is False


def test_no_file_takes_the_place_of_a_mount_point(world: World, point: Path) -> None:
    world.replies["plan"] = "plan-path"
    for check in (True, False):
        result = restore(world, path="etc/nginx/nginx.conf", check=check)
        assert "is a directory, and what would replace it is a file" in result["msg"]
    assert visible(point) == ["lost+found"]


@pytest.mark.parametrize("next_task", ["info", "restore"])
@pytest.mark.parametrize("force", [False, True])
def test_a_kill_while_a_mount_point_is_filled(
    world: World, point: Path, monkeypatch: pytest.MonkeyPatch, next_task: str, force: bool
) -> None:
    old = OLD if force else {}
    seen = set()
    for number in range(100):
        shutil.rmtree(world.directory / "state", ignore_errors=True)
        shutil.rmtree(point)
        (point / mounts.LOST).mkdir(parents=True)
        if force:
            make_old(point)
        world.specs = []
        with monkeypatch.context() as patched:
            sword = Sword(world, patched, number)
            try:
                restore(world, force=force)
                break
            except Killed:
                sword.armed = False
        shown = {name: content for name, content in files(point).items() if not name.startswith(".")}
        seen.add("old" if shown == old else "new" if shown == MORE else "between")
        world.specs = []
        if next_task == "info":
            world.run(duplicity_info, {"job": world.job()})
            assert files(point) in (old, MORE), number
        assert "failed" not in restore(world, force=force)
        assert (files(point), visible(point)) == (MORE, ["deep", "lost+found", "old", "restored"]), number
        assert point.stat().st_mtime_ns == 1_500_000_000_123_456_789
    else:
        pytest.fail("the task was always killed")
    assert seen == {"old", "between", "new"}


def killed_while_filling(world: World, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old(point)
    rename = os.rename

    def killing(source: Any, target: Any, **more: Any) -> None:
        rename(source, target, **more)
        if "/data/" in str(source):
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killing)
        with pytest.raises(Killed):
            restore(world, force=True)


def test_what_came_to_a_mount_point_meanwhile(world: World, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_while_filling(world, point, monkeypatch)
    (point / "foreign").write_text("foreign")
    before = files(point)
    result = restore(world, force=True)
    assert result["error"]["cause"] == "replacement_interrupted"
    assert f"{point}/foreign has come meanwhile" in result["msg"]
    assert "failed" not in world.run(duplicity_info, {"job": world.job()})
    assert files(point) == before
    (point / "foreign").unlink()
    assert restore(world, force=True)["changed"] is True
    assert files(point) == MORE


def test_a_mount_that_is_gone_is_waited_for(world: World, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_while_filling(world, point, monkeypatch)
    away = point.rename(world.directory / "away")
    point.mkdir()
    assert "is its file system mounted?" in restore(world, force=True)["msg"]
    point.rmdir()
    away.rename(point)
    assert restore(world, force=True)["changed"] is True
    assert files(point) == MORE


def test_a_move_that_fails_is_taken_back(world: World, point: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old(point)
    rename = os.rename
    for part in ("/dest/below", "/data/old"):

        def failing(source: Any, target: Any, part: str = part, **more: Any) -> None:
            if str(source).endswith(part):
                raise OSError(1, "Operation not permitted")
            rename(source, target, **more)

        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", failing)
            result = restore(world, force=True)
        assert result["error"]["cause"] == "not_in_place"
        assert "Operation not permitted" in result["msg"]
        assert (files(point), visible(point)) == (OLD, ["below", "lost+found", "old"])
