"""Give duplicity a gzip that is several times as fast: ISA-L's igzip in the place of Python's.

Python's gzip takes four fifths of the time of a compressed backup. What does not compress, such as pictures, films and
archives, is stored as it is, at the speed of a copy. The files written here are plain gzip: every duplicity reads them.
This module is imported by a .pth file at the start of Python, since Debian's own sitecustomize would hide one of ours.

Compressing in a second thread was measured and brought nothing beyond the noise: the other core is busy uploading.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Iterator
from typing import IO, Any, Optional

from isal import igzip, isal_zlib

# igzip knows 0 to 3 and refuses the 6 that duplicity asks for; what is wanted beyond that is zlib's work.
FASTEST_OF_ZLIB = 4
LEVEL = int(os.environ.get("PERMAFROST_COMPRESSION_LEVEL") or 2)
# Each piece is compressed or stored as a whole.
_PIECE = 131072
# A sample costs a quarter of compressing the smallest piece that is sampled.
_SAMPLE = 4096
_WORTH_A_SAMPLE = 32768
_MOST_STORED = 65535  # RFC 1951, 3.2.4: the length of a stored block has 16 bits


class FastGzipFile(igzip.IGzipFile):
    """A GzipFile by igzip that takes the levels of zlib."""

    def __init__(
        self,
        filename: Any = None,
        mode: Optional[str] = None,
        compresslevel: int = LEVEL,
        fileobj: Optional[IO[bytes]] = None,
        mtime: Optional[float] = None,
    ) -> None:
        # igzip looks into the mode before it finds out what a missing one means
        super().__init__(filename, mode or getattr(fileobj, "mode", "rb"), min(compresslevel, LEVEL), fileobj, mtime)
        self._at_byte = False  # whether the stream stands at the start of a byte

    def _write_raw(self, data: Any) -> int:
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), _PIECE):
            self._write_piece(whole[start : start + _PIECE])
        return len(whole)

    def _write_piece(self, piece: memoryview) -> None:
        """Compress it, or store it when its middle does not compress."""
        if len(piece) < _WORTH_A_SAMPLE or _compresses(piece):
            super()._write_raw(piece)
            self._at_byte = False
            return
        if not self._at_byte:
            # A full flush leads to the start of a byte, and nothing that follows refers to what came before.
            self.fileobj.write(self.compress.flush(isal_zlib.Z_FULL_FLUSH))
            self._at_byte = True
        for block in _stored(piece):
            self.fileobj.write(block)
        self.size += len(piece)
        self.crc = isal_zlib.crc32(piece, self.crc)
        self.offset += len(piece)


def _compresses(piece: memoryview) -> bool:
    middle = len(piece) // 2
    sample = piece[middle : middle + _SAMPLE]
    return len(isal_zlib.compress(sample, LEVEL, -isal_zlib.MAX_WBITS)) < len(sample)


def _stored(piece: memoryview) -> Iterator[Any]:
    """Stored blocks of deflate: none of them the last, the length, its complement, the bytes."""
    for start in range(0, len(piece), _MOST_STORED):
        part = piece[start : start + _MOST_STORED]
        yield struct.pack("<BHH", 0, len(part), len(part) ^ 0xFFFF)
        yield part


class SmallGzipFile(gzip.GzipFile):
    """Python's GzipFile at the level that was asked for, whatever duplicity asks for."""

    def __init__(
        self,
        filename: Any = None,
        mode: Optional[str] = None,
        compresslevel: int = LEVEL,
        fileobj: Optional[IO[bytes]] = None,
        mtime: Optional[float] = None,
    ) -> None:
        del compresslevel  # duplicity always asks for 6
        super().__init__(filename, mode, LEVEL, fileobj, mtime)


gzip.GzipFile = SmallGzipFile if LEVEL >= FASTEST_OF_ZLIB else FastGzipFile
