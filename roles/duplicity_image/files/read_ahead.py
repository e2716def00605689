"""Have the small files of a full backup read from disk side by side, before duplicity asks for one after the other.

A disk, and a cloud's volume even more, answers many requests in the time of one. What reads ahead is wc: it takes names
from its stdin for as long as it lives, needs 2 MB, and leaves Python's lock alone. The page cache is all that changes;
whatever goes wrong here, duplicity reads the file itself and tells what is wrong with it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any, Optional

# So few that a file is stored as duplicity saw it a moment ago; a large one, which may take hours, ends a batch.
_BATCH = 64
_SMALL = 64 * 1024
_READERS = 4
_WC = ("wc", "-l", "--files0-from=-")


def batches(selected: Iterable[Any]) -> Iterator[Any]:
    """What duplicity has selected, unchanged. Each batch is read ahead if it is not in memory."""
    readers: list[subprocess.Popen[bytes]] = []
    try:
        for batch in _batches(selected):
            names = [path.name for path in batch if _is_small(path)]
            if names and _is_on_disk_only(names[-1]):
                readers = readers or _readers()
                _order(readers, names)
            yield from batch
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def _batches(selected: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for path in selected:
        batch.append(path)
        if len(batch) == _BATCH or (path.type == "reg" and path.stat.st_size >= _SMALL):
            yield batch
            batch = []
    yield batch


def _is_small(path: Any) -> bool:
    return path.type == "reg" and 0 < path.stat.st_size < _SMALL


def _is_on_disk_only(name: bytes) -> bool:
    """Whether a read would wait for the disk. True also where a file system cannot tell."""
    number: Optional[int] = None
    try:
        number = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        os.preadv(number, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError:
        return True
    finally:
        if number is not None:
            os.close(number)
    return False


def _readers() -> list[subprocess.Popen[bytes]]:
    """As many as the container's limit of processes allows, and be it none."""
    readers: list[subprocess.Popen[bytes]] = []
    with contextlib.suppress(OSError):
        while len(readers) < _READERS:
            readers.append(_reader())
    return readers


def _reader() -> subprocess.Popen[bytes]:
    nothing = subprocess.DEVNULL
    reader = subprocess.Popen(_WC, bufsize=0, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing)
    assert reader.stdin is not None
    os.set_blocking(reader.stdin.fileno(), False)
    return reader


def _order(readers: list[subprocess.Popen[bytes]], names: list[bytes]) -> None:
    """Names in turn to each reader. One that has ended, or has enough to do, gets none."""
    for turn, reader in enumerate(readers):
        some = names[turn :: len(readers)]
        assert reader.stdin is not None
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(reader.stdin.fileno(), b"".join(b"%b\0" % name for name in some))
