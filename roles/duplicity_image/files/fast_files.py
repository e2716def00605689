"""Do what duplicity does with a small new file in one go: read it, sign it, make its block of the volume.

Byte for byte what duplicity writes, for which it makes seven objects and some forty calls a file. What is not a plain
small file, and what cannot be read, is left to duplicity and its messages. mend.py puts this into its diffdir.py.
"""

from __future__ import annotations

import os
from tarfile import BLOCKSIZE, DEFAULT_FORMAT, TarFile, TarInfo
from typing import Any, Optional

from duplicity import _librsync, cached_ops, config

# duplicity writes a file in parts of this size. A smaller one is one part, and its signature has these blocks.
_PART = 64 * 1024
_SIGNED = 512
# The one header, filled in anew for each file: to make another one takes as long.
_header = TarInfo()


def block(path: Any, signatures: TarFile, statistics: Any) -> Optional[bytes]:
    """A file's header and content as they stand in the volume. Its signature is added to the others.

    None for one that is not for this: then nothing was done.
    """
    seen = path.stat
    if path.type != "reg" or seen.st_size >= _PART or seen.st_mtime < 0 or not path.index:
        return None
    content = _read(path.name, seen.st_size)
    if content is None:
        return None
    statistics.SourceFileSize += len(content)
    statistics.RawDeltaSize += len(content)
    name = os.fsdecode(b"/".join(path.index))
    _header.mode, _header.mtime = path.mode, int(seen.st_mtime)
    _header.uid, _header.gid = seen.st_uid, seen.st_gid
    _header.uname, _header.gname = cached_ops.getpwuid(seen.st_uid)[0], cached_ops.getgrgid(seen.st_gid)[0]
    signed = _member(f"signature/{name}", _signature(content), signatures.encoding, signatures.errors)
    signatures.fileobj.write(signed)
    signatures.offset += len(signed)
    return _member(f"snapshot/{name}", content, config.fsencoding, "replace")


def _member(name: str, content: bytes, encoding: str, errors: str) -> bytes:
    _header.name, _header.size = name, len(content)
    return b"%b%b%b" % (_header.tobuf(DEFAULT_FORMAT, encoding, errors), content, bytes(-len(content) % BLOCKSIZE))


def _read(name: bytes, size: int) -> Optional[bytes]:
    """The content; None when it cannot be read, or has grown to more than a part.

    Who gives as much as the file had is not asked for its end. A file system may give less than it was asked for.
    """
    try:
        number = os.open(name, os.O_RDONLY)
    except OSError:
        return None
    try:
        content = os.read(number, _PART)
        while len(content) != size and len(content) < _PART and (more := os.read(number, _PART - len(content))):
            content += more
    except OSError:
        return None
    finally:
        os.close(number)
    return content if len(content) < _PART else None


def _signature(content: bytes) -> bytes:
    maker = _librsync.new_sigmaker(min(_SIGNED, config.max_blocksize or _SIGNED))
    pieces = []
    ended = False
    while not ended:
        ended, used, piece = maker.cycle(content)
        content = content[used:]
        pieces.append(piece)
    return b"".join(pieces)
