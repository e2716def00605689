"""counting.py: a tree counted once, in memory that does not grow with it."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import counting
from ansible_collections.permafrost.backup.plugins.module_utils.errors import SourceMissing
from ansible_collections.permafrost.backup.plugins.module_utils.forecast import Source

MB = 1 << 20


def test_files_directories_and_links(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "small").write_bytes(b"x" * 1000)
    with (tmp_path / "a" / "b" / "large").open("wb") as large:
        large.truncate(9 * MB)
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")
    expected = Source()
    for name in ("", "/a", "/a/b", "/link", "/pipe"):
        expected.other(len(name) or 1)
    expected.file(1000, len("/a/small"))
    expected.file(9 * MB, len("/a/b/large"))
    assert counting.count(str(tmp_path)) == (expected, 0)
    assert (expected.files, expected.entries, expected.size_bytes) == (2, 7, 9 * MB + 1000)
    assert (expected.raw_parts, expected.raw_padding_bytes) == (3, 131072 - 1000)


def test_what_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shut", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12")
    whole = os.scandir

    def scandir(path: bytes) -> os._ScandirIterator[bytes]:  # the tests may run as root, whom no mode keeps out
        if path.endswith(b"/shut"):
            raise PermissionError
        return whole(path)

    monkeypatch.setattr(counting.os, "scandir", scandir)
    found, unreadable = counting.count(str(tmp_path))
    assert (found.files, found.entries, unreadable) == (1, 4, 1)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="No such file"):
        counting.count(str(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    with pytest.raises(SourceMissing, match="Not a directory"):
        counting.count(str(tmp_path / "file"))


def test_memory_does_not_grow_with_the_tree(tmp_path: Path) -> None:
    def peak() -> int:
        tracemalloc.start()
        counting.count(str(tmp_path))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    def add(first: int, last: int) -> None:
        for number in range(first, last):
            (tmp_path / f"directory {number}").mkdir()
            (tmp_path / f"directory {number}" / "file").touch()

    add(0, 20)
    peak()
    small = peak()
    add(20, 2000)
    assert peak() < small + 20_000
