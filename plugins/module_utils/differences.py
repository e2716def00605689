# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What duplicity's verify says in its log: which paths of the source and the backup differ, and in what.

Pure. The words are those of duplicity 3.2 (path.py, compare_verbose). A name may hold any of them, so each pattern is
sure at its end: a name is what is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.log import Event, bytes_of, shown
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

NEW, CHANGED, DELETED = "new", "changed", "deleted"

# (expression, kind, detail). The name is group 1; what the source has is group 2, what the backup has group 3.
_PATTERNS = tuple(
    (re.compile(f"Difference found: {text}\\Z", re.S), kind, detail)
    for text, kind, detail in (
        (r"New file (.*)", NEW, "not in the backup"),
        (r"File (.*) is missing", DELETED, "not in the source"),
        (r"File (.*) has type (\S+), expected (\S+)", CHANGED, "type {}, in the backup {}"),
        (r"File (.*) has permissions (\S+ \S+), expected (\S+ \S+)", CHANGED, "owner and mode {}, in the backup {}"),
        (r"File (.*) has mtime ([\w: ]+), expected ([\w: ]+)", CHANGED, "mtime {}, in the backup {}"),
        (r"Data for file (.*) is different", CHANGED, "content"),
        (r"Symlink (.*) points to (b['\"].*), expected (b['\"].*)", CHANGED, "points to {}, in the backup to {}"),
        (r"Device file (.*) has numbers (.+), expected (.+)", CHANGED, "device numbers {}, in the backup {}"),
    )
)
_END = re.compile(r"Verify complete: (\d+) file\(s\) compared, (\d+) difference\(s\) found\.")


@dataclass(frozen=True)
class Difference:
    """``path`` is relative to the source; ``kind`` is seen from the backup: new, changed or deleted since."""

    path: str
    kind: str
    detail: str


@dataclass
class Verified:
    """What a run of verify found. Names are kept up to ``KEEP``; counts are exact.

    ``compared`` is None for a run that did not come to its end.
    """

    KEEP = 1000

    compared: int | None = None
    count: int = 0
    kinds: dict[str, int] = field(default_factory=lambda: {NEW: 0, CHANGED: 0, DELETED: 0})
    differences: list[Difference] = field(default_factory=list)

    def add(self, one: Difference) -> None:
        self.count += 1
        self.kinds[one.kind] += 1
        if len(self.differences) < self.KEEP:
            self.differences.append(one)

    def to_result(self) -> dict[str, Any]:
        """As part of a task's result."""
        return {
            "differences": [{"path": one.path, "kind": one.kind, "detail": one.detail} for one in self.differences],
            "difference_count": self.count,
            "difference_kinds": dict(self.kinds),
        }


def difference(event: Event, top: str = "") -> Difference | None:
    """The difference that an event tells, or None for other events. ``top`` is the path that was verified."""
    if event.level != "NOTICE":
        return None
    for pattern, kind, detail in _PATTERNS:
        match = pattern.match(event.text)
        if match:
            name, *values = match.groups()
            return Difference(shown(bytes_of(_below(top, name))), kind, shown(detail.format(*map(_time, values))))
    return None


def _time(text: str) -> str:
    """A time of duplicity's log as results print it; anything else as it is."""
    try:
        return to_w3(datetime.strptime(text, "%a %b %d %H:%M:%S %Y").replace(tzinfo=timezone.utc))
    except ValueError:
        return text


def _below(top: str, name: str) -> str:
    """duplicity names what it compares relative to the path that it was given."""
    if not top:
        return name
    return top if name == "." else f"{top}/{name}"


def summarize(events: Iterable[Event], top: str = "") -> Verified:
    """Fold the events of one run of verify."""
    found = Verified()
    for event in events:
        one = difference(event, top)
        if one:
            found.add(one)
        elif event.level == "NOTICE" and (match := _END.match(event.text)):
            found.compared = int(match[1])
            found.count = max(found.count, int(match[2]))
    return found
