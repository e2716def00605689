# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mount points of this host, as /proc/self/mountinfo (proc(5)) names them.

I/O, read only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path


def _points() -> list[Path]:
    rows = [line.split(b" ") for line in Path("/proc/self/mountinfo").read_bytes().splitlines()]
    return [
        Path(os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), row[4]))) for row in rows
    ]


def below(place: Path) -> list[Path]:
    """Mount points below a path without links, or at it."""
    return sorted(point for point in _points() if point == place or place in point.parents)


def is_point(place: Path) -> bool:
    """Whether a path without links in its parents is a mount point, a bind mount included."""
    return place in _points()


# --- what a mount point holds ---------------------------------------------------------------------------------------

# The directory in which a restore is built; in a mount point it lies among what is there.
STAGING = ".permafrost-restore"
# mkfs makes it, and it is no content while it is empty.
LOST = "lost+found"


def contents(place: Path) -> list[str]:
    """The names in a directory; of a mount point those that are content."""
    names = [one.name for one in place.iterdir()]
    return [name for name in names if is_content(place, name)] if is_point(place) else names


def is_content(place: Path, name: str) -> bool:
    """Whether a name at the top of a file system is content, and not the file system's or a restore's own."""
    return not name.endswith(STAGING) and not (name == LOST and is_empty(place / name))


def is_empty(place: Path) -> bool:
    """Whether it is an empty directory."""
    return place.is_dir() and not place.is_symlink() and not any(place.iterdir())
