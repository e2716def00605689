# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is odd about a backup: most of the source changed, or half of it is gone, since the last set.

Pure. That is what ransomware, a source that is half mounted and a restore in the wrong place look like.
"""

from __future__ import annotations

from collections.abc import Mapping

_MOST = 0.5
_HALF = 0.5
# A handful of files may well change all at once.
_FEW = 10


def anomalies(statistics: Mapping[str, int], before: int | None) -> list[str]:
    """Sentences for people. ``before`` is how many files the last successful backup counted, if that is known."""
    files = statistics.get("source_files", 0)
    deleted = statistics.get("deleted_files", 0)
    # An incremental tells what is gone; a full compares with nothing.
    earlier = files + deleted - statistics.get("new_files", 0) if deleted else before
    found = []
    changed = statistics.get("changed_files", 0)
    if files >= _FEW and changed > files * _MOST:
        found.append(f"{changed} of {files} files changed since the last set.")
    if earlier and earlier >= _FEW and earlier - files >= earlier * _HALF:
        found.append(f"The source has {files} files; at the last set it had {earlier}.")
    elif earlier and earlier >= _FEW and deleted >= earlier * _HALF:
        found.append(f"{deleted} of {earlier} files are gone since the last set.")
    return found
