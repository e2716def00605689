"""Have the small files of a full backup read from disk side by side, before duplicity asks for one after the other.

A disk, and a cloud's volume even more, answers many requests in the time of one. The kernel is told what will be read,
and does it while duplicity goes on. The page cache is all that changes: whatever goes wrong here, duplicity reads the
file itself and tells what is wrong with it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

# Enough to keep a disk busy. A large file, which may take hours, ends a batch.
_BATCH = 64
_SMALL = 64 * 1024
# Seconds. A batch that waits longer, for an upload or a long exclusion, is not stored as it was before that.
_FRESH = 1.0


def batches(selected: Iterable[Any]) -> Iterator[Any]:
    """What duplicity has selected, in its order. Each batch is read ahead if it is not in memory."""
    begun = time.monotonic()
    for batch in _batches(selected):
        names = [path.name for path in batch if _is_small(path)]
        if names and not _is_in_memory(names[-1]):
            for name in names:
                _read_soon(name)
        for path in batch:
            yield path if time.monotonic() - begun < _FRESH else _seen_anew(path)
        begun = time.monotonic()


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


def _seen_anew(path: Any) -> Any:
    """As it is now. One that went stays as it was: duplicity finds that out and counts it."""
    with contextlib.suppress(Exception):
        anew = path.new_index(path.index)
        return anew if anew.type else path
    return path


@contextlib.contextmanager
def _opened(name: bytes) -> Iterator[int]:
    """Never waits, be it that a pipe took the file's place."""
    number = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield number
    finally:
        os.close(number)


def _is_in_memory(name: bytes) -> bool:
    """Whether a read would not wait for the disk. False also where a file system cannot tell."""
    try:
        with _opened(name) as number:
            os.preadv(number, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError:
        return False
    return True


def _read_soon(name: bytes) -> None:
    with contextlib.suppress(OSError), _opened(name) as number:
        os.posix_fadvise(number, 0, _SMALL, os.POSIX_FADV_WILLNEED)
