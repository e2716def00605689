"""duplicity_restore through main(): the same again, and what keeps a restore from beginning."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import log
from unit import transcript
from unit.modules.restores import OLD, files, restore
from unit.modules.world import World

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
        found = SimpleNamespace(
            f_files=total, f_favail=free, f_bavail=1 << 50, f_blocks=1 << 50, f_bfree=1 << 50, f_frsize=1
        )
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
    world.change("sigtar", size_bytes=1 << 60)  # so many files that it has to be known
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
    """duplicity only says that one is."""
    world.replies["restore"] = "temp-space"
    (world.directory / "small").mkdir()
    plenty = {"small": 1 << 40, "far": 1 << 40}
    for scarce, cause in (("small", "destination_space"), ("far", "temporary_space")):
        room(monkeypatch, **plenty)
        job = world.job(temp_dir=str(world.directory / "far"))
        world.on_restore = lambda scarce=scarce: room(monkeypatch, **{**plenty, scarce: 0})
        result = restore(world, job=job, dest=str(world.directory / "small" / "dest"))
        assert result["error"]["cause"] == cause
        assert list((world.directory / "small").iterdir()) == []
