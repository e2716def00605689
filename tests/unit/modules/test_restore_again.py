"""duplicity_restore through main(), to a destination that is not new; and what keeps a restore from beginning."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors, log, mounts
from ansible_collections.permafrost.backup.plugins.modules import duplicity_info, duplicity_restore
from unit import transcript
from unit.modules.world import World

REPLIES = {"plan": "plan-whole", "info": "status-after-loss", "list": "list", "restore": "restore"}
OLD, NEW = {"old": "old", "below/older": "older"}, {"restored": "content"}
# The calls by which a task changes what is where.
DEEDS = ("rename", "replace", "unlink", "rmdir", "mkdir")


class Killed(BaseException):
    """SIGKILL: from here on the task does nothing any more."""


def restore(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    world.replies = {**REPLIES, **world.replies}
    given = {"job": world.job(), "dest": str(world.directory / "dest"), **options}
    return world.run(duplicity_restore, given, check=check)


@pytest.fixture
def dest(world: World) -> Path:
    """A destination with something in it."""
    path = world.directory / "dest"
    for name, content in OLD.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    return path


def files(path: Path) -> dict[str, str]:
    return {str(one.relative_to(path)): one.read_text() for one in path.rglob("*") if one.is_file()}


def hidden(world: World) -> list[str]:
    return [one.name for one in world.directory.iterdir() if one.name.startswith(".")]


# --- the same again -------------------------------------------------------------------------------------------------


def test_the_same_again_starts_nothing(world: World) -> None:
    first = restore(world)
    assert first["restored"] == {"files": 1, "directories": 1, "others": 0, "size_bytes": 7}
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    world.specs, world.lists = [], []
    for force in (False, True):
        for check in (False, True):
            again = restore(world, force=force, check=check)
            assert (again["changed"], again["restored"]) == (False, first["restored"])
            assert "plan" not in again
    assert world.specs == []
    assert world.lists == ["web01/data/"] * 4


CHANGES: dict[str, Callable[[Path], object]] = {
    "another file": lambda dest: (dest / "new").touch(),
    "no file but another": lambda dest: (dest / "restored").rename(dest / "moved"),
    "another size": lambda dest: (dest / "restored").write_text("longer content"),
    "another mtime": lambda dest: os.utime(dest / "restored", ns=(0, (dest / "restored").stat().st_mtime_ns + 1)),
    "another mode": lambda dest: (dest / "restored").chmod(0o600),
    "another owner": lambda dest: os.chown(dest / "restored", 4711, -1),
    "another mode of the root": lambda dest: dest.chmod(0o711),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_destination_is_not_the_same(world: World, what: str) -> None:
    dest = world.directory / "dest"
    restore(world)
    found = dest.stat()
    CHANGES[what](dest)
    os.utime(dest, ns=(found.st_atime_ns, found.st_mtime_ns))
    before = files(dest)
    result = restore(world)
    assert result["error"]["cause"] == "destination_not_empty"
    assert "was changed since" in result["msg"]
    assert files(dest) == before


def test_a_link_to_the_parent_is_the_same_place(world: World) -> None:
    restore(world)
    (world.directory / "link").symlink_to(world.directory)
    assert restore(world, dest=str(world.directory / "link" / "dest"))["changed"] is False


@pytest.mark.parametrize(
    "changes",
    [{"target": "s3://life/web01/other"}, {"endpoint_url": "https://s3.example.com"}, {"extra_args": ["--no-such"]}],
)
def test_of_another_backup_it_is_not_the_same(world: World, changes: dict[str, Any]) -> None:
    restore(world)
    world.objects = {
        **world.objects,
        **{
            key.replace("/data/", "/other/"): replace(one, key=key.replace("/data/", "/other/"))
            for key, one in world.objects.items()
        },
    }
    assert restore(world, job=world.job(**changes))["error"]["cause"] == "destination_not_empty"


def test_a_record_that_was_cut_off_is_none(world: World) -> None:
    restore(world)
    (record,) = (world.directory / "state" / "web01-data" / "restored").iterdir()
    record.write_text("{")
    assert "exists and is not an empty directory" in restore(world)["msg"]


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
        shutil.copytree(made_old(world), dest)
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


def made_old(world: World) -> Path:
    """A copy of the old tree, beside the world."""
    place = world.directory / "old tree"
    for name, content in OLD.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    return place


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


# --- before it begins -----------------------------------------------------------------------------------------------


def thawed(world: World, size_bytes: int, hours: float) -> None:
    """All volumes are thawed, and of this size; the copy of one expires sooner."""
    late = datetime.now(timezone.utc) + timedelta(days=30)
    world.change("difftar", storage_class="DEEP_ARCHIVE", size_bytes=size_bytes, expires=late)
    world.change(".vol3.", expires=datetime.now(timezone.utc) + timedelta(hours=hours))


@pytest.mark.parametrize("check", [False, True])
def test_copies_that_expire_before_the_end(world: World, check: bool) -> None:
    volumes = sum(".difftar" in key for key in world.objects)
    thawed(world, 1 << 20, hours=99)
    assert "warnings" not in restore(world, check=check, dest=f"{world.directory}/late")
    world.specs = []
    thawed(world, 1 << 20, hours=1)
    for rate, expected in ((volumes / 7200, "copies_expire"), (volumes / 3000, "warning"), (10, "warning"), (0, "bad")):
        result = restore(world, expected_rate=rate, check=check, dest=f"{world.directory}/dest {rate}")
        if expected == "copies_expire":
            assert result["error"]["cause"] == "copies_expire"
            assert all(".vol3." in key for key in result["error"]["expiring"])
            assert result["error"]["first_expiry"] in result["msg"]
            assert "glacier_restore with extend" in result["msg"]
            assert "restore" not in world.verbs()
        elif expected == "bad":
            assert result["error"]["cause"] == "bad_input"
        else:
            assert "expire soon after" in str(result["warnings"])


def room(monkeypatch: pytest.MonkeyPatch, **free: int) -> None:
    """Free bytes below directories of a name; plenty elsewhere."""

    def usage(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=next((size for name, size in free.items() if name in path.parts), 1 << 50))

    monkeypatch.setattr(shutil, "disk_usage", usage)


def test_no_room_at_the_destination(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sure for a full alone; after an incremental it may do, so that is said and no more."""
    (world.directory / "small").mkdir()
    read = sum(one.size_bytes for key, one in world.objects.items() if ".difftar" in key)
    room(monkeypatch, small=read)
    assert "warnings" not in restore(world, dest=str(world.directory / "small" / "dest"), check=True)
    room(monkeypatch, small=read - 1)
    result = restore(world, dest=str(world.directory / "small" / "dest"), check=True)
    assert "it does not fit" in str(result["warnings"])


def test_no_inodes_at_the_destination(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have no limit, and then say 0 of 0."""
    needed = sum(log.listed_file(event) is not None for event in transcript.load("list").events())
    for total, free, refused in ((1000, needed - 1, True), (1000, needed, False), (0, 0, False)):
        found = SimpleNamespace(f_files=total, f_favail=free, f_bavail=1 << 50, f_blocks=1 << 50, f_bfree=1 << 50, f_frsize=1)
        monkeypatch.setattr(os, "statvfs", lambda _path, found=found: found)
        for check in (True, False):
            result = restore(world, check=check, dest=f"{world.directory}/{total} {free} {check}")
            assert (result.get("error", {}).get("cause") == "destination_space") is refused
            if refused:
                assert (result["error"]["free_inodes"], result["error"]["needed_inodes"]) == (free, needed)
                assert "restore" not in world.verbs()


def test_a_list_that_cannot_be_had_is_told(world: World, dest: Path) -> None:
    """A restore needs no signatures; what force would replace is not known without them."""
    world.replies["list"] = "no-bucket"
    result = restore(world, dest=f"{world.directory}/new")
    assert result["changed"] is True
    assert "no inodes were checked" in str(result["warnings"])
    assert "failed" in restore(world, force=True)
    assert files(dest) == OLD


def test_no_room_for_volumes_in_the_making(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = int(4.3 * 256 * 1024 * 1024)  # two at once
    (world.directory / "scarce").mkdir()
    for free, refused in ((needed - 1, True), (needed, False)):
        room(monkeypatch, scarce=free)
        result = restore(world, job=world.job(temp_dir=str(world.directory / "scarce")), check=True)
        assert (result.get("error", {}).get("cause") == "temporary_space") is refused


def test_the_disk_that_is_full_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Error '[Errno 28] No space left on device' processing etc"
    world.replies["restore"] = "temp-space"
    result = restore(world)
    assert result["error"]["cause"] == "destination_space"
    assert text
    (world.directory / "far").mkdir()
    room(monkeypatch, **{"permafrost-web01-data": 0})
    monkeypatch.setattr(errors.PermafrostError, "__doc__", json.dumps({}))
