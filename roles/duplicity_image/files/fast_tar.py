"""Give duplicity tar headers in a tenth of the time: it writes two for each file.

Byte for byte what tarfile writes. Anything but a plain header (long or non-ASCII names, large numbers, devices) is left
to tarfile. This module is imported by a .pth file at the start of Python.
"""

from __future__ import annotations

import struct
import tarfile
from tarfile import TarFile, TarInfo
from typing import IO, Optional
from zlib import adler32

_ORIGINAL = TarInfo.tobuf
_PLAIN = frozenset((tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE))
# POSIX.1-1988 (ustar): the longest name and owner, and what fits into 7 and 11 octal digits.
_NAME, _OWNER, _SEVEN, _ELEVEN = 100, 32, 8**7, 8**11
_MAGIC_AND_VERSION = tarfile.POSIX_MAGIC
_HEAD, _TAIL = struct.Struct("100s48s"), struct.Struct("c100s8s32s32s183x")


def tobuf(
    self: TarInfo,
    format: int = tarfile.DEFAULT_FORMAT,
    encoding: str = tarfile.ENCODING,
    errors: str = "surrogateescape",
) -> bytes:
    """TarInfo.tobuf of tarfile."""
    name = self.name
    if self.type == tarfile.DIRTYPE and not name.endswith("/"):
        name += "/"
    if not (format == tarfile.PAX_FORMAT and self.type in _PLAIN and not self.pax_headers and _plain(self, name)):
        return _ORIGINAL(self, format, encoding, errors)
    head = _HEAD.pack(
        name.encode("ascii"),
        b"%07o\0%07o\0%07o\0%011o\0%011o" % (self.mode & 0o7777, self.uid, self.gid, self.size, self.mtime),
    )
    tail = _TAIL.pack(
        self.type,
        self.linkname.encode("ascii"),
        _MAGIC_AND_VERSION,
        self.uname.encode("ascii"),
        self.gname.encode("ascii"),
    )
    # The sum counts its own field as eight spaces. The low half of an adler32 is 1 and the sum of the bytes, modulo
    # 65521, and 512 bytes of ASCII do not come to so much.
    total = (adler32(head) & 0xFFFF) + (adler32(tail) & 0xFFFF) - 2 + 8 * ord(" ")
    return b"%b%06o\0 %b" % (head, total, tail)


def addfile(self: TarFile, tarinfo: TarInfo, fileobj: Optional[IO[bytes]] = None) -> None:
    """TarFile.addfile of tarfile for duplicity, which forgets the members of what it writes: no copy of the header."""
    header = tarinfo.tobuf(self.format, self.encoding, self.errors)
    padding = 0
    self.fileobj.write(header)
    if fileobj is not None:
        padding = -tarinfo.size % tarfile.BLOCKSIZE
        tarfile.copyfileobj(fileobj, self.fileobj, tarinfo.size)
        self.fileobj.write(bytes(padding))
    self.offset += len(header) + (tarinfo.size + padding if fileobj is not None else 0)


def _plain(info: TarInfo, name: str) -> bool:
    return (
        name.isascii()
        and info.linkname.isascii()
        and info.uname.isascii()
        and info.gname.isascii()
        and len(name) <= _NAME
        and len(info.linkname) <= _NAME
        and len(info.uname) <= _OWNER
        and len(info.gname) <= _OWNER
        and isinstance(info.mtime, int)
        and 0 <= info.mtime < _ELEVEN
        and 0 <= info.size < _ELEVEN
        and 0 <= info.uid < _SEVEN
        and 0 <= info.gid < _SEVEN
    )


TarInfo.tobuf = tobuf
TarFile.addfile = addfile
