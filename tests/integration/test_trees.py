"""The comparison that proves restores must itself notice every kind of damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import trees

FIRST_BYTE = b"X"


def _same_time(path: Path, change: Callable[[], object]) -> None:
    """Damage that size and mtime do not show."""
    found = path.lstat()
    change()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)


def _other_content(top: Path) -> None:
    path = top / "awkward/links/file"
    content = path.read_bytes()
    _same_time(path, lambda: path.write_bytes(FIRST_BYTE + content[1:]))


def _other_target(top: Path) -> None:
    path = top / "awkward/links/dangling"
    path.unlink()
    path.symlink_to("no/such thong")


def _other_type(top: Path) -> None:
    path = top / "awkward/kinds/empty file"
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (_other_content, "awkward/links/file: sha256"),
    "target": (_other_target, "awkward/links/dangling: target"),
    "type": (_other_type, "awkward/kinds/empty file: type"),
    "mode": (lambda top: (top / "awkward/modes/file 4755").chmod(0o755), "awkward/modes/file 4755: mode"),
    "owner": (lambda top: os.chown(top / "awkward/links/relative", 0, -1, follow_symlinks=False), "relative: uid"),
    "group": (lambda top: os.chown(top / "awkward/kinds/fifo", -1, 7), "awkward/kinds/fifo: gid"),
    "mtime": (lambda top: os.utime(top / "awkward/kinds/old", (3, 3)), "awkward/kinds/old: mtime"),
    "root": (lambda top: top.chmod(0o700), ".: mode"),
    "missing": (lambda top: (top / "awkward/kinds/empty directory/nested").rmdir(), "nested: missing"),
    "additional": (lambda top: (top / "awkward/new").touch(), "awkward/new: was not in the source"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_noticed(name: str, tmp_path: Path) -> None:
    damage, told = DAMAGES[name]
    top = tmp_path / "tree"
    trees.make(top, files=3)
    expected = trees.snapshot(top)
    (top / "awkward/not kept/socket").unlink()
    os.utime(top / "awkward/not kept", (expected[b"awkward/not kept"].mtime,) * 2)
    assert trees.differences(expected, trees.snapshot(top)) == []

    damage(top)

    assert [line for line in trees.differences(expected, trees.snapshot(top)) if told in line]


def test_trees_and_their_changes_are_the_same_each_time(tmp_path: Path) -> None:
    snapshots = []
    for number in (1, 2):
        top = tmp_path / str(number)
        trees.make(top, files=200)
        for round_ in (1, 2, 3):
            trees.change(top, round_)
        snapshots.append({name: (one.type, one.size, one.sha256) for name, one in trees.snapshot(top).items()})
    assert snapshots[0] == snapshots[1]


def test_there_are_as_many_files_as_asked_for(tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    sample.mkdir()
    for number in range(3):
        (sample / f"{number}").write_text(str(number))
    trees.make(tmp_path / "tree", sample=sample, files=10)
    assert sum(path.is_file() for path in (tmp_path / "tree/sample").rglob("*")) == 10
