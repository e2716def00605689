"""Object bodies that are never copied: small ones are bytes, all others one of these classes.

A body is immutable and knows its length; slicing gives another body. So a ranged GET, a copy and a completed
multipart upload cost no memory, and a body in a file goes to the socket by sendfile.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


class Body(ABC):
    """The interface; subclasses give `__len__`, `chunks` and, where there is a shortcut, `send`."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from start to stop in pieces of a bounded size."""

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Write the bytes from start to stop to a socket."""
        for chunk in self.chunks(start, stop):
            connection.sendall(chunk)

    def __getitem__(self, part: slice) -> Body:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("a body has no strides")
        return SliceBody(self, start, max(start, stop))

    def load(self) -> bytes:
        """All bytes at once: only for operations that cannot stream."""
        return b"".join(self.chunks(0, len(self)))


class FileBody(Body):
    """A body in a file of the server's own data directory; the file goes when the last user goes."""

    def __init__(self, path: Path, size: int, md5: str, checksum: tuple[str, bytes] | None = None) -> None:
        self.path, self.size, self.md5, self.checksum = path, size, md5, checksum

    def __len__(self) -> int:
        return self.size

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Read the file piece by piece."""
        with self.path.open("rb") as file:
            file.seek(start)
            while start < stop:
                chunk = file.read(min(CHUNK, stop - start))
                start += len(chunk)
                yield chunk

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Let the kernel copy from the page cache to the socket."""
        if stop > start:
            with self.path.open("rb") as file:
                connection.sendfile(file, start, stop - start)

    def __del__(self) -> None:
        with suppress(OSError, TypeError, AttributeError):
            self.path.unlink()


class ZeroBody(Body):
    """A declared size without data: a seeded object reads as zeros."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Zeros."""
        while start < stop:
            count = min(CHUNK, stop - start)
            start += count
            yield ZEROS[:count]


class ConcatBody(Body):
    """Several bodies as one: the parts of a multipart upload, or a body with a damaged stretch."""

    def __init__(self, parts: list[bytes | Body]) -> None:
        self.parts = parts
        self.size = sum(len(part) for part in parts)

    def __len__(self) -> int:
        return self.size

    def _spans(self, start: int, stop: int) -> Iterator[tuple[bytes | Body, int, int]]:
        offset = 0
        for part in self.parts:
            low, high = max(start - offset, 0), min(stop - offset, len(part))
            if low < high:
                yield part, low, high
            offset += len(part)

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The chunks of each part in turn."""
        for part, low, high in self._spans(start, stop):
            if isinstance(part, Body):
                yield from part.chunks(low, high)
            else:
                yield part[low:high]

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """Each part by its own shortest way."""
        for part, low, high in self._spans(start, stop):
            if isinstance(part, Body):
                part.send(connection, low, high)
            else:
                connection.sendall(part[low:high])


class SliceBody(Body):
    """A stretch of another body."""

    def __init__(self, source: Body, start: int, stop: int) -> None:
        self.source, self.start, self.stop = source, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The source's chunks, shifted."""
        return self.source.chunks(self.start + start, self.start + stop)

    def send(self, connection: socket.socket, start: int, stop: int) -> None:
        """The source's own way, shifted."""
        self.source.send(connection, self.start + start, self.start + stop)


def loaded(body: bytes | Body) -> bytes:
    """All bytes at once: small ones, and those of requests that bring no object, never came as anything else."""
    return body.load() if isinstance(body, Body) else body


def damaged(body: bytes | Body, offset: int, count: int) -> bytes | Body:
    """The same length with `count` bytes flipped at `offset`; whoever shares the old body keeps it whole."""
    stretch = body[offset : offset + count]
    flipped = bytes(byte ^ 0xFF for byte in loaded(stretch))
    return ConcatBody([body[:offset], flipped, body[offset + count :]])
