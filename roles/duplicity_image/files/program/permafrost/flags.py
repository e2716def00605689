"""What an old command line says, in duplicity's words of today, with a warning for each change. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from ansible_collections.permafrost.backup.plugins.module_utils import selection
from ansible_collections.permafrost.backup.plugins.module_utils.extra_args import RENAMED, SUCCESSORS
from permafrost.options import Item, Line

_PATH = "--path-to-restore"
_DELETING = ("cleanup", "remove-all-but-n-full", "remove-all-inc-of-but-n-full", "remove-older-than")


@dataclass(frozen=True)
class Translation:
    """The command line, what comes before it to leave duplicity's own places out, and what a user should know."""

    line: Line
    ahead: tuple[str, ...]
    warnings: tuple[str, ...]


def translate(line: Line, home: str) -> Translation:
    """Old options, paths that duplicity would misread, directories of its own inside the source."""
    warnings: list[str] = []
    items: list[Item] = []
    for item in line.items:
        items += _today(item, line, warnings)
    items = [one for item in items for one in _without_slash(item, warnings)]
    today = Line(tuple(items))
    excluded = _own_places(today, home, warnings)
    if today.verb in _DELETING and not today.has("--force"):
        warnings.append(f"{today.verb} without --force only lists what it would delete.")
    return Translation(today, tuple(excluded), tuple(warnings))


def _today(item: Item, line: Line, warnings: list[str]) -> list[Item]:
    if item.name not in RENAMED:
        return [item]
    name, *values = RENAMED[item.name] or ("",)
    if not name:
        successor = re.sub(r" \(.*\)$", "", SUCCESSORS[item.name])
        place = "nothing takes its place" if successor == "nothing" else f"a job has {successor} in its place"
        warnings.append(f"{item.name} is left out: duplicity has removed it, and {place}.")
        return []
    if name == "--concurrency" and line.has(name):
        warnings.append(f"{item.name} is left out: {name} says the same.")
        return []
    now = " ".join((name, *values))
    warnings.append(f"{item.name} is now {now}: duplicity has {'replaced' if values else 'renamed'} it.")
    if values:
        return [Item(name, values[0], (name, *values))]
    if len(item.words) == 1 and "=" in item.words[0]:
        return [Item(name, item.value, (f"{name}={item.value}",))]
    return [Item(name, item.value, (name, *item.words[1:]))]


def _without_slash(item: Item, warnings: list[str]) -> list[Item]:
    """With an outer slash duplicity reads too few volumes, and restores nothing."""
    path = item.value.strip("/")
    if item.name != _PATH or path == item.value:
        return [item]
    if not path:
        warnings.append(f"{_PATH} {item.value} is left out: the whole backup is restored without it.")
        return []
    warnings.append(f"{_PATH} {item.value} is now {path}: duplicity would not find it with the slash.")
    return [Item(_PATH, path, (f"{_PATH}={path}",))]


def _own_places(line: Line, home: str, warnings: list[str]) -> list[str]:
    """Exclude what duplicity itself writes below the source; before all rules, none of which brings it back."""
    if line.source is None:
        return []
    source = posixpath.normpath(line.source)
    archive = line.value("--archive-dir") or posixpath.join(home, ".cache/duplicity")
    found = {"the archive directory": _below(source, archive)}
    if log := line.value("--log-file"):
        found["the directory of the log"] = _below(source, posixpath.dirname(log))
        if found["the directory of the log"] is None:
            found["the log"] = _below(source, log)
    patterns = {selection.literal(place): what for what, place in found.items() if place}
    for pattern, what in patterns.items():
        warnings.append(f"{pattern}, {what}, is inside the source: it is left out of the backup.")
    return [word for pattern in patterns for word in ("--exclude", pattern)]


def _below(source: str, place: str) -> str | None:
    """The place, when it is really below the source."""
    normal = posixpath.normpath(place)
    return normal if normal.startswith(source.rstrip("/") + "/") else None
