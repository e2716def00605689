"""Small files come into memory before they are asked for, and nothing else changes."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.kills import until
from lab.places import CHECKOUT, LAB

FILES = 150  # two batches and a part of one


class Selected:
    """What the module needs of duplicity's Path."""

    def __init__(self, path: Path) -> None:
        self.name, self.stat = os.fsencode(path), path.lstat()
        self.type = "reg" if path.is_file() else "dir"


@pytest.fixture(scope="module")
def ahead() -> Any:
    source = CHECKOUT / "roles" / "duplicity_image" / "files" / "read_ahead.py"
    spec = importlib.util.spec_from_file_location("read_ahead", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def readers(ahead: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that were started."""
    started: list[Any] = []
    start = ahead._reader
    monkeypatch.setattr(ahead, "_reader", lambda: started.append(start()) or started[-1])
    return started


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


def test_a_batch_is_read_while_its_first_file_is_looked_at(ahead: Any, readers: list[Any], tree: list[Any]) -> None:
    forget(tree)
    paths = ahead.batches(iter(tree))
    assert next(paths) is tree[0]
    batch, rest = tree[1 : ahead._BATCH], tree[ahead._BATCH :]
    until(lambda: in_memory(batch) == len(batch), "the batch in memory")
    assert in_memory(rest) == 0, "no more than a batch"
    assert list(paths) == tree[1:]
    assert len(readers) == ahead._READERS
    assert all(reader.returncode is not None for reader in readers), "none is left behind"


def test_nothing_is_started_for_what_is_in_memory(ahead: Any, readers: list[Any], tree: list[Any]) -> None:
    assert list(ahead.batches(iter(tree))) == tree
    assert readers == []


def test_a_large_file_ends_a_batch(ahead: Any, tree: list[Any]) -> None:
    large = Path(os.fsdecode(tree[2].name))
    large.write_bytes(bytes(ahead._SMALL))
    tree[2] = Selected(large)
    assert [len(batch) for batch in ahead._batches(iter(tree))] == [3, 64, 64, 20]


def test_trouble_is_left_to_duplicity(ahead: Any, readers: list[Any], tree: list[Any]) -> None:
    """A file that went, a pipe that nobody writes to in the place of another, readers that are killed."""
    forget(tree)
    Path(os.fsdecode(tree[5].name)).unlink()
    for number in range(10, 64):
        Path(os.fsdecode(tree[number].name)).unlink()
        os.mkfifo(tree[number].name)
    paths = ahead.batches(iter(tree))
    found = [next(paths)]
    for reader in readers:
        reader.kill()
        reader.wait()
    assert found + list(paths) == tree


def test_a_limit_of_processes_costs_readers_and_nothing_else(
    ahead: Any, readers: list[Any], tree: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ahead._reader

    def limited() -> Any:
        if len(readers) == 2:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return start()

    monkeypatch.setattr(ahead, "_reader", limited)
    forget(tree)
    assert list(ahead.batches(iter(tree))) == tree
    assert len(readers) == 2


def test_a_run_that_ends_amid_a_batch_leaves_no_reader(ahead: Any, readers: list[Any], tree: list[Any]) -> None:
    forget(tree)
    paths = ahead.batches(iter(tree))
    next(paths)
    assert all(reader.poll() is None for reader in readers)
    paths.close()
    assert readers
    assert all(reader.returncode is not None for reader in readers)
