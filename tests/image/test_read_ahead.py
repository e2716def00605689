"""Small files come into memory before they are asked for, and nothing else changes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.kills import until
from lab.places import CHECKOUT, LAB

FILES = 150  # two batches and a part of one


class Selected:
    """What the module needs of duplicity's Path."""

    def __init__(self, path: Path) -> None:
        self.index, self.name = path, os.fsencode(path)
        self.stat = path.lstat() if path.exists() else None
        self.type = self.stat and ("reg" if path.is_file() else "dir")

    def new_index(self, index: Path) -> Selected:
        return Selected(index)


@pytest.fixture(scope="module")
def ahead() -> Any:
    source = CHECKOUT / "roles" / "duplicity_image" / "files" / "read_ahead.py"
    spec = importlib.util.spec_from_file_location("read_ahead", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # On however busy a machine, only the test that is about it waits too long.
    module.time = SimpleNamespace(monotonic=lambda: 0.0)
    return module


@pytest.fixture
def tree() -> Iterator[list[Selected]]:
    """A folder of small files on a real disk, where memory can be told to forget them."""
    top = Path(tempfile.mkdtemp(prefix="read-ahead-", dir=LAB))
    for number in range(FILES):
        (top / f"file {number:03}").write_text(f"content of {number}\n")
    yield [Selected(top), *(Selected(path) for path in sorted(top.iterdir()))]
    shutil.rmtree(top)


def forget(tree: list[Selected]) -> None:
    for one in tree[1:]:
        number = os.open(one.name, os.O_RDONLY)
        os.fsync(number)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)
    assert in_memory(tree[1:]) == 0, "this file system forgets nothing"


def in_memory(some: list[Selected]) -> int:
    """How many of them. A look that makes no kernel read the file."""
    names = [os.fsdecode(one.name) for one in some]
    told = subprocess.run(["fincore", "--noheadings", "--output", "PAGES", *names], capture_output=True, check=True)
    return sum(int(pages) > 0 for pages in told.stdout.split())


def test_a_batch_is_read_while_its_first_file_is_looked_at(ahead: Any, tree: list[Any]) -> None:
    forget(tree)
    paths = ahead.batches(iter(tree))
    assert next(paths) is tree[0]
    batch, rest = tree[1 : ahead._BATCH], tree[ahead._BATCH :]
    until(lambda: in_memory(batch) == len(batch), "the batch in memory")
    assert in_memory(rest) == 0, "no more than a batch"
    assert list(paths) == tree[1:]


def test_nothing_is_asked_for_that_is_in_memory(ahead: Any, tree: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    monkeypatch.setattr(ahead, "_read_soon", asked.append)
    assert list(ahead.batches(iter(tree))) == tree
    assert asked == []
    forget(tree)
    assert list(ahead.batches(iter(tree))) == tree
    assert asked == [one.name for one in tree[1:]], "it would have been seen here"


def test_a_large_file_ends_a_batch(ahead: Any, tree: list[Any]) -> None:
    large = Path(os.fsdecode(tree[2].name))
    large.write_bytes(bytes(ahead._SMALL))
    tree[2] = Selected(large)
    assert [len(batch) for batch in ahead._batches(iter(tree))] == [3, 64, 64, 20]


def test_trouble_is_left_to_duplicity(ahead: Any, tree: list[Any]) -> None:
    """Files that went, and pipes that nobody writes to in the place of others: nothing waits, nothing is left out."""
    forget(tree)
    for number in range(5, 64):
        Path(os.fsdecode(tree[number].name)).unlink()
    for number in range(10, 64):
        os.mkfifo(tree[number].name)
    assert list(ahead.batches(iter(tree))) == tree


def test_no_file_stays_open(ahead: Any, tree: list[Any]) -> None:
    opened = Path("/proc/self/fd")
    before = sorted(opened.iterdir())
    forget(tree)
    paths = ahead.batches(iter(tree))
    next(paths)
    assert sorted(opened.iterdir()) == before


def test_what_had_to_wait_is_looked_at_again(ahead: Any, tree: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload may stand between two files of a batch: minutes, in which one gets another mode, and another goes."""
    now = 0.0
    monkeypatch.setattr(ahead, "time", SimpleNamespace(monotonic=lambda: now))
    paths = ahead.batches(iter(tree))
    assert [next(paths) for _ in range(3)] == tree[:3]
    changed, gone = (Path(os.fsdecode(one.name)) for one in tree[3:5])
    changed.chmod(0o600)
    gone.unlink()
    now = 60.0
    found = list(paths)
    assert found[0].stat.st_mode & 0o777 == 0o600
    assert found[1] is tree[4], "duplicity is to find out that it is gone"
    assert [one.name for one in found] == [one.name for one in tree[3:]]
    assert found[ahead._BATCH - 3 :] == tree[ahead._BATCH :], "the next batches had not waited"


AGAIN = """
import os
from pathlib import Path
import read_ahead
from duplicity import path
top = path.Path(b"/tmp")
for name in "ab":
    Path("/tmp", name).write_text(name)
given = [top, top.append("a"), top.append("b")]
read_ahead._FRESH = 0
paths = read_ahead.batches(iter(given))
next(paths)
os.chmod("/tmp/a", 0o600)
os.unlink("/tmp/b")
a, b = paths
print(oct(a.mode), a.index, a.base, a.type, b is given[2])
"""


def test_a_path_of_duplicity_is_looked_at_again(ours: str, run: Any) -> None:
    assert run(ours, ["python3", "-c", AGAIN]).split("\n")[0] == "0o600 (b'a',) b'/tmp' reg True"
