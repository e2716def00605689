# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of a backup a drill restores. Pure."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable


def sample(paths: Iterable[str], count: int, seed: str) -> list[str]:
    """``count`` of the paths, the same for the same seed whatever their order, and as likely each as any other."""
    return sorted(heapq.nsmallest(count, paths, key=lambda path: _rank(path, seed)))


def _rank(path: str, seed: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{path}".encode("utf-8", "surrogateescape")).digest()
