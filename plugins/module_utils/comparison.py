# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two trees side by side: what a forced restore takes away, brings, and changes.

Pure. Both come as streams in the order of duplicity's file lists, so that millions of names need no memory. Content and
the targets of links are not compared: a file list has neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol, TypeVar

from ansible_collections.permafrost.backup.plugins.module_utils.errors import PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.log import ListedFile, shown
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import path_index
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

# So many names of each kind are told; counts are exact.
LIMIT = 1000


class _Placed(Protocol):
    """What has a place in a tree."""

    @property
    def path(self) -> tuple[bytes, ...]:
        """The names of its path, ``()`` for the root."""

    @property
    def name(self) -> str:
        """The path for people."""


_T = TypeVar("_T", bound=_Placed)


class Entry(NamedTuple):
    """A file of a tree: its path as a tuple of names (``()`` is the root), duplicity's type word, mtime in seconds."""

    path: tuple[bytes, ...]
    type: str
    mtime: int

    def same_as(self, other: Entry) -> bool:
        """Whether type and mtime are equal; duplicity does not keep the mtime of a link."""
        return self.type == other.type and (self.type == "sym" or self.mtime == other.mtime)

    @property
    def name(self) -> str:
        """The path for people, one line whatever it holds."""
        text = shown(b"/".join(self.path).decode("utf-8", "surrogateescape")) or "."
        return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)

    @property
    def line(self) -> str:
        return f"{self.name} ({self.type}, {to_w3(datetime.fromtimestamp(self.mtime, timezone.utc))})"


@dataclass
class Difference:
    """``removed`` is only in the old tree, ``new`` only in the new one, ``changed`` in both with another type or mtime.

    The root of the tree is not counted; ``roots`` has its types.
    """

    removed: list[Entry] = field(default_factory=list)
    new: list[Entry] = field(default_factory=list)
    changed: list[tuple[Entry, Entry]] = field(default_factory=list)
    removed_count: int = 0
    new_count: int = 0
    changed_count: int = 0
    same_count: int = 0
    roots: tuple[str | None, str | None] = (None, None)

    @property
    def new_size(self) -> int:
        """How many files and directories the new tree has, its root included."""
        return self.new_count + self.changed_count + self.same_count + 1

    def to_result(self) -> dict[str, Any]:
        return {
            "removed": [one.name for one in self.removed],
            "removed_count": self.removed_count,
            "new": [one.name for one in self.new],
            "new_count": self.new_count,
            "changed": [one.name for one, _other in self.changed],
            "changed_count": self.changed_count,
            "same_count": self.same_count,
        }

    def to_diff(self, dest: str) -> dict[str, str]:
        """Ansible's diff: a line for each file that goes, comes, or becomes another one."""
        gone = [*self.removed, *(old for old, _new in self.changed)]
        come = [*self.new, *(new for _old, new in self.changed)]
        left_out = self.removed_count + self.changed_count - len(gone)
        unsaid = self.new_count + self.changed_count - len(come)
        return {
            "before_header": f"{dest} now",
            "after_header": f"{dest} restored",
            "before": _text(gone, left_out),
            "after": _text(come, unsaid),
        }


def _text(entries: list[Entry], left_out: int) -> str:
    lines = [one.line for one in sorted(entries)] + ([f"and {left_out} more"] if left_out else [])
    return "".join(f"{line}\n" for line in lines)


def compare(old: Iterable[Entry], new: Iterable[Entry]) -> Difference:
    """What becomes of a tree when another takes its place."""
    found = Difference()
    for one, other in side_by_side(old, new):
        if not (one or other or Entry((), "", 0)).path:
            found.roots = (one.type if one else None, other.type if other else None)
        elif other is None and one is not None:
            found.removed_count += 1
            _keep(found.removed, one)
        elif one is None and other is not None:
            found.new_count += 1
            _keep(found.new, other)
        elif one is not None and other is not None and not one.same_as(other):
            found.changed_count += 1
            _keep(found.changed, (one, other))
        else:
            found.same_count += 1
    return found


def _keep(items: list[Any], item: object) -> None:
    if len(items) < LIMIT:
        items.append(item)


def side_by_side(old: Iterable[_T], new: Iterable[_T]) -> Iterator[tuple[_T | None, _T | None]]:
    """Entries of the same path together; what one tree lacks is None."""
    olds, news = _in_order(old), _in_order(new)
    one, other = next(olds, None), next(news, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.path < other.path):
            yield one, None
            one = next(olds, None)
        elif one is None or other.path < one.path:
            yield None, other
            other = next(news, None)
        else:
            yield one, other
            one, other = next(olds, None), next(news, None)


def _in_order(entries: Iterable[_T]) -> Iterator[_T]:
    """A list in another order would give a difference that is not there."""
    last: _T | None = None
    for entry in entries:
        if last is not None and entry.path <= last.path:
            raise PermafrostError(f"The list of files is not in order: {entry.name} comes after {last.name}.")
        last = entry
        yield entry


def of_backup(files: Iterable[ListedFile], path: str) -> Iterator[Entry]:
    """The files of a backup that a restore of ``path`` brings, by their place below the destination."""
    top = path_index(path)
    for found in files:
        index = () if found.path == b"." else path_index(found.path)
        if index[: len(top)] == top:
            yield Entry(index[len(top) :], found.type, int(found.mtime.timestamp()))
