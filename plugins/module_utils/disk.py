# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Private directories on the host, and room for what is written there.

I/O. What cannot be written for lack of room is one error that names the place.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    PermafrostError,
    StateSpace,
    TemporarySpace,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

# Log, manifest and signatures of a small run.
_LEAST_FREE = 1 << 20


def make_private(path: str) -> None:
    """Create a directory that only root can enter, with one clear message where that cannot be."""
    try:
        with writing(path):
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The directory {path} cannot be made: {error.strerror}.") from error


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """What cannot be written for lack of room raises StateSpace."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StateSpace(f"{path} cannot be written: {error.strerror}.", path=str(path)) from error


def write_pieces(place: Path, pieces: Iterable[bytes]) -> None:
    """What is too large to be held at once, at any place that this host's root alone can enter."""
    with writing(place), place.open("wb") as out:
        for piece in pieces:
            out.write(piece)


def require_room(job: Job) -> None:
    """Raise StateSpace where not even a small run could keep what it has to."""
    for path in (job.state_dir, job.archive_dir):
        found = os.statvfs(path)
        free = found.f_bfree * found.f_frsize  # root may have what is reserved, too
        if found.f_blocks and free < _LEAST_FREE:
            raise StateSpace(f"The file system of {path} has {free} bytes free.", path=path, free_bytes=free)


def where_full(job: Job, error: PermafrostError) -> PermafrostError:
    """What a failed run says of a full disk, with the one that is full: duplicity does not name it."""
    if isinstance(error, TemporarySpace) and Path(job.temp_dir).stat().st_dev != Path(job.archive_dir).stat().st_dev:
        try:
            require_room(job)
        except StateSpace as found:
            return StateSpace(f"{found.what} {error.what}", **error.facts, **found.facts)
    return error
