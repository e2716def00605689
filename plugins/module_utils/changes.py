# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a source has changed, up to an entry. I/O, read only. The image gives it to duplicity, too (mend.py)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

# The kernel's file times run a few milliseconds behind its clock, and a set's time is cut to the second.
_MARGIN_SECONDS = 1.0


def changed(source: str, last: tuple[bytes, ...], since: float) -> bool:
    """Whether an entry up to ``last``, in duplicity's order, may have changed after ``since``, in seconds since 1970.

    Doubt means yes.
    """
    limit = since - _MARGIN_SECONDS
    try:
        return any(found.st_ctime >= limit for found in _up_to(os.fsencode(source), last))
    except OSError:
        return True


def _up_to(top: bytes, last: tuple[bytes, ...]) -> Iterator[os.stat_result]:
    # ctime counts, since anybody may set mtime; what was deleted or renamed shows in its directory's.
    found = Path(os.fsdecode(top)).stat()  # a source may be a symlink, and the directory behind it counts
    yield found
    pending: list[tuple[bytes, tuple[bytes, ...]]] = [(top, ())] if stat.S_ISDIR(found.st_mode) else []
    while pending:
        directory, index = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                here = (*index, entry.name)
                if here <= last:
                    yield entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, here))
