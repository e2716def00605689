"""tree.py: a digest that notices a change, and files in the order of duplicity's lists."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import tree


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "top"
    for name in ("a", "a b", "b/c/d", "lost+found"):
        (made / name).mkdir(parents=True)
    for name in ("a/x", "a b/x", "b/file", "a-", "a0"):
        (made / name).write_text(name)
    (made / "link").symlink_to("a/x")
    os.mkfifo(made / "fifo")
    (Path(os.fsdecode(os.fsencode(made) + b"/\xff"))).touch()
    return made


def test_a_copy_has_the_same_digest(top: Path) -> None:
    subprocess.run(["cp", "-a", str(top), f"{top}2"], check=True)
    digest, counts = tree.summary(str(top))
    assert tree.summary(f"{top}2") == (digest, counts)
    assert counts.to_result() == {"files": 6, "directories": 7, "others": 2, "size_bytes": 18}


CHANGES: dict[str, Callable[[Path], object]] = {
    "new": lambda top: (top / "b" / "c" / "new").touch(),
    "gone": lambda top: (top / "a-").unlink(),
    "moved": lambda top: (top / "a-").rename(top / "a_"),
    "swapped": lambda top: [(top / one).rename(top / other) for one, other in (("a-", "t"), ("a0", "a-"), ("t", "a0"))],
    "longer": lambda top: (top / "a0").write_text("longer"),
    "touched": lambda top: os.utime(top / "a0", ns=(0, 1)),
    "mode": lambda top: (top / "a0").chmod(0o4755),
    "owner": lambda top: os.lchown(top / "link", 4711, -1),
    "group": lambda top: os.chown(top / "a0", -1, 4711),
    "target": lambda top: ((top / "link").unlink(), (top / "link").symlink_to("a/y")),
    "type": lambda top: ((top / "fifo").unlink(), (top / "fifo").touch()),
    "root": lambda top: top.chmod(0o711),
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_change_changes_the_digest(top: Path, what: str) -> None:
    before = tree.summary(str(top))[0]
    times = {place: place.lstat() for place in (top, top / "b" / "c")}
    CHANGES[what](top)
    for place, found in times.items():
        os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert tree.summary(str(top))[0] != before


def test_what_does_not_count(top: Path) -> None:
    before = tree.summary(str(top))[0]
    os.utime(top / "link", ns=(0, 0), follow_symlinks=False)
    (top / "a" / "x").read_text()
    assert tree.summary(str(top))[0] == before


def test_a_mount_point_has_things_of_its_own(top: Path) -> None:
    mounted, counts = tree.summary(str(top), mounted=True)
    staging = top / ".job.permafrost-restore"
    staging.mkdir()
    (staging / "data").touch()
    assert tree.summary(str(top), mounted=True) == (mounted, counts)
    assert counts.directories == 6
    assert (b"lost+found",) not in [one.path for one in tree.entries(str(top), mounted=True)]
    (top / "b" / "lost+found").mkdir()
    assert tree.summary(str(top), mounted=True)[1].directories == 7
    shutil.rmtree(top / "b" / "lost+found")
    (top / "lost+found" / "#1").touch()
    assert tree.summary(str(top), mounted=True)[1].files == counts.files + 1


def test_a_single_file_is_a_tree(top: Path) -> None:
    digest, counts = tree.summary(str(top / "a0"))
    assert counts.to_result() == {"files": 1, "directories": 0, "others": 0, "size_bytes": 2}
    assert digest != tree.summary(str(top / "a-"))[0]
    assert [(one.path, one.type) for one in tree.entries(str(top / "link"))] == [((), "sym")]


def test_entries_come_in_the_order_of_their_names(top: Path) -> None:
    """Not of their paths as text, where "a b" comes before "a/x"."""
    found = list(tree.entries(str(top)))
    assert [one.path for one in found] == sorted(one.path for one in found)
    assert [b"/".join(one.path) for one in found][:6] == [b"", b"a", b"a/x", b"a b", b"a b/x", b"a-"]
    assert {one.type for one in found} == {"dir", "reg", "sym", "fifo"}
    assert len(found) == 15
