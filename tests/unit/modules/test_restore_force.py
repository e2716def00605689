"""duplicity_restore through main(): what force replaces, what it refuses to, and kills on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import mounts
from ansible_collections.permafrost.backup.plugins.modules import duplicity_info
from unit.modules.restores import NEW, OLD, files, hidden, make_old, restore
from unit.modules.world import World

# The calls by which a task changes what is where.
DEEDS = ("rename", "replace", "unlink", "rmdir", "mkdir")


class Killed(BaseException):
    """SIGKILL: from here on the task does nothing any more."""


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


class Sword:
    """Kills the task before its deed of a number, counted from the end of the restore's container on."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.world, self.left, self.armed = world, number, True
        for name in DEEDS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, deed: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any, **more: Any) -> Any:
            if self.armed and "restore" in self.world.verbs():
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return deed(*given, **more)

        return done


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


# --- mount points ---------------------------------------------------------------------------------------------------

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
