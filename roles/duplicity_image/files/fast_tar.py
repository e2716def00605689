"""Give duplicity tar headers in a fifth of the time: it writes two for each file.

Byte for byte what tarfile writes. Anything but a plain header (long or non-ASCII names, large numbers, devices) is left
to tarfile. This module is imported by a .pth file at the start of Python.
"""

from __future__ import annotations

import tarfile
from tarfile import TarInfo

_ORIGINAL = TarInfo.tobuf
_PLAIN = frozenset((tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE))
# POSIX.1-1988 (ustar): the longest name and owner, and what fits into 7 and 11 octal digits.
_NAME, _OWNER, _SEVEN, _ELEVEN = 100, 32, 8**7, 8**11
_MAGIC_AND_VERSION = tarfile.POSIX_MAGIC


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
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.encode("ascii").ljust(_NAME, b"\0"),
        self.mode & 0o7777,
        self.uid,
        self.gid,
        self.size,
        self.mtime,
    )
    tail = b"%b%b%b%b%b" % (
        self.type,
        self.linkname.encode("ascii").ljust(_NAME, b"\0"),
        _MAGIC_AND_VERSION,
        self.uname.encode("ascii").ljust(_OWNER, b"\0"),
        self.gname.encode("ascii").ljust(_OWNER, b"\0"),
    )
    # The sum counts its own field as eight spaces.
    return b"%b%06o\0 %b" % (head, sum(head) + sum(tail) + 8 * ord(" "), tail.ljust(356, b"\0"))


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
