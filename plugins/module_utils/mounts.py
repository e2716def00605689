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
