# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Count a source tree for a forecast of its cost.

I/O, read only. The tree is walked once, without sorting, with one open directory a level: memory does not grow with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ansible_collections.permafrost.backup.plugins.module_utils.errors import SourceMissing
from ansible_collections.permafrost.backup.plugins.module_utils.forecast import Source


def count(directory: str) -> tuple[Source, int]:
    """What lies below a directory, and how many entries could not be looked at. Raises SourceMissing."""
    top = os.fsencode(directory)
    found, unreadable = Source(), 0
    found.other(1)
    try:
        os.scandir(top).close()
    except OSError as error:
        raise SourceMissing(f"{directory} cannot be read: {error.strerror}.", source=directory) from None
    for entry in _walk(top):
        if entry is None:
            unreadable += 1
            continue
        name_bytes = len(entry.path) - len(top)
        try:
            is_file = entry.is_file(follow_symlinks=False)
            size = entry.stat(follow_symlinks=False).st_size if is_file else 0
        except OSError:  # it has vanished
            unreadable += 1
            continue
        if is_file:
            found.file(size, name_bytes)
        else:
            found.other(name_bytes)
    return found, unreadable


def _walk(top: bytes) -> Iterator[os.DirEntry[bytes] | None]:
    """All entries below a directory; None for one that cannot be opened or read on."""
    levels = [os.scandir(top)]
    try:
        while levels:
            try:
                entry = next(levels[-1], None)
            except OSError:
                yield None
                entry = None
            if entry is None:
                levels.pop().close()
                continue
            yield entry
            try:
                if entry.is_dir(follow_symlinks=False):
                    levels.append(os.scandir(entry.path))
            except OSError:
                yield None
    finally:
        for one in levels:
            one.close()
