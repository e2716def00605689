# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""duplicity's machine log (``--log-file``) as typed events and statistics.

Pure. A stanza is ``LEVEL CODE [extra]``, then ``. text`` lines, then a blank line; codes are those of duplicity 3.2
(log.py). The exit code and the ERROR stanza are the only things to trust: "Duplicity backup complete." is printed on
most failures too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.times import from_stamp

_HEAD = re.compile(r"(ERROR|WARNING|NOTICE|INFO|DEBUG) (\d+)(?: (.*))?\Z", re.S)
_FILE = re.compile(r"(\d{8}T\d{6}Z) ('(?:[^']*)') (\S+)\Z", re.S)

FILE_NAME = "duplicity.log"

INFO_FILE = 10
NOTICE_PROGRESS = 16
WARN_GENERIC = 1
# Warnings that each stand for one source file that was not read: cannot iterate, stat, read (selection.py).
WARN_UNREADABLE = frozenset({8, 9, 10})
# A file that a restore could not rebuild, and one that it skipped for that reason (lazy.py, patchdir.py).
WARN_FAILED = frozenset({12, 13})
# The same where duplicity has no code of its own: opening or reading a file (diffdir.py), a directory (robust.py).
_UNREADABLE = re.compile(r"Error (?:.*? getting delta for|listing directory) (.*)\Z", re.S)

# bytes, elapsed seconds, per cent, seconds left, bytes a second, stalled (progress.py)
_PROGRESS_NUMBERS = 6

SKIPPED = "Skipped volume upload"
RESUMED = "backup left a partial set, restarting"
LEFT_OVER = "The interrupted set of "  # the words of our image (mend.py)
BEGUN_ANEW = "Restart is impossible"
FULL_FORCED = "forcing full backup"
LAST_FULL = "Last full backup date:"
REQUIRED = "Required volumes to restore:"


@dataclass(frozen=True)
class Event:
    """One stanza. ``extra`` is what follows the code, ``text`` the lines for humans."""

    level: str
    code: int
    extra: str
    text: str


def parse(lines: Iterable[str]) -> Iterator[Event]:
    """Events of a machine log, one at a time, so that a million files need no memory."""
    head: tuple[str, int, str] | None = None
    text: list[str] = []
    for raw in lines:
        line = raw.rstrip("\n")
        if line.startswith(". ") or line == ".":
            text.append(line[2:])
            continue
        match = _HEAD.match(line)
        if match:
            if head:
                yield Event(*head, "\n".join(text))
            head, text = (match[1], int(match[2]), match[3] or ""), []
    if head:
        yield Event(*head, "\n".join(text))


def unescape(quoted: str) -> bytes:
    """The file name that duplicity wrote with ``util.escape``: quoted, unicode-escape, surrogates for stray bytes."""
    inner = quoted[1:-1] if quoted[:1] == "'" and quoted[-1:] == "'" else quoted
    return inner.encode("latin-1", "backslashreplace").decode("unicode-escape").encode("utf-8", "surrogateescape")


def shown(name: str) -> str:
    """A name for a result or a message: bytes that are not UTF-8 as ``\\xHH``, which JSON and terminals can carry."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class ListedFile:
    """A file in a backup: path relative to the source (``.`` is its root), mtime in UTC, duplicity's type word."""

    path: bytes
    mtime: datetime
    type: str


def listed_file(event: Event) -> ListedFile | None:
    """The file that an event of ``list-current-files`` names, or None for other events."""
    if event.level != "INFO" or event.code != INFO_FILE:
        return None
    match = _FILE.match(event.extra)
    if not match:
        return None
    return ListedFile(unescape(match[2]), from_stamp(match[1]), match[3])


def progress(lines: Iterable[str]) -> dict[str, Any]:
    """How far a backup with ``--progress`` is, by the newest word in (the end of) its log.

    ``percent`` and ``seconds_left`` are None while duplicity still reads the source for the first time.
    """
    known: dict[str, Any] = {"bytes": 0, "percent": None, "seconds_left": None, "bytes_per_second": None}
    for event in parse(lines):
        numbers = event.extra.split()
        if event.level == "NOTICE" and event.code == NOTICE_PROGRESS and len(numbers) == _PROGRESS_NUMBERS:
            known["bytes"], _elapsed, known["percent"], left, known["bytes_per_second"], _stalled = map(int, numbers)
            known["seconds_left"] = left
    return known


@dataclass
class Run:
    """What a run's log says, in the bounds of a task result. Names are kept up to ``Run.KEEP``; counts are exact."""

    KEEP = 1000

    errors: list[Event] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unreadable_count: int = 0
    failed_paths: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # what was said of them
    required_volumes: list[str] | None = None
    statistics: dict[str, int] = field(default_factory=dict)
    elapsed_seconds: float = 0.0
    skipped: bool = False
    resumed: bool = False
    begun_anew: bool = False
    left_over: str = ""
    full: bool = False
    last_full: bool = False


_STATISTIC = re.compile(r"([A-Za-z]+) (-?\d+(?:\.\d+)?)(?: \(|\Z)")
# duplicity's words for its statistics (statistics.py) and ours, with the unit in the name.
_STATISTICS = {
    "SourceFiles": "source_files",
    "SourceFileSize": "source_bytes",
    "NewFiles": "new_files",
    "NewFileSize": "new_bytes",
    "DeletedFiles": "deleted_files",
    "ChangedFiles": "changed_files",
    "ChangedFileSize": "changed_bytes",
    "DeltaEntries": "delta_entries",
    "RawDeltaSize": "raw_delta_bytes",
    "TotalDestinationSizeChange": "stored_bytes",
    "Errors": "errors",
}


def summarize(events: Iterable[Event]) -> Run:
    """Fold the events of one run."""
    run = Run()
    for event in events:
        if event.level == "ERROR":
            _keep(run.errors, event)
        elif event.level == "WARNING":
            _warning(run, event)
        elif event.level == "NOTICE":
            _notice(run, event)
    # duplicity cannot log a name that is not UTF-8: the whole warning is lost, but its statistics still count the file.
    run.unreadable_count = max(run.unreadable_count, run.statistics.get("errors", 0))
    return run


# Said of --use-agent on each symmetric run; here no agent is asked, since gpg reads the passphrase from its file.
_HARMLESS = "Option --use-agent is unsafe with symmetric encryption"


def _keep(items: list[Any], item: object) -> None:
    if len(items) < Run.KEEP:
        items.append(item)


def _warning(run: Run, event: Event) -> None:
    unreadable = _UNREADABLE.match(event.text) if event.code == WARN_GENERIC else None
    if event.code in WARN_UNREADABLE or unreadable:
        run.unreadable_count += 1
        _keep(run.unreadable, bytes_of(unreadable[1]) if unreadable else _name(event))
    elif event.code in WARN_FAILED:
        _keep(run.failed_paths, _name(event))
        _keep(run.failures, event.text)
    elif event.text.startswith(LEFT_OVER):
        run.left_over = event.text
    elif not event.text.startswith(_HARMLESS):
        _keep(run.warnings, event.text)


def bytes_of(text: str) -> str:
    """Bytes that are not UTF-8 as Python's surrogates again: the image's log writes those as ``\\udcHH``."""
    return re.sub(r"\\udc([89a-f][0-9a-f])", lambda match: chr(0xDC00 + int(match[1], 16)), text)


def _name(event: Event) -> str:
    return unescape(event.extra).decode("utf-8", "surrogateescape") if event.extra else event.text


def _notice(run: Run, event: Event) -> None:
    if "[ Backup Statistics ]" in event.text:
        _statistics(run, event.text)
    elif event.text.startswith(REQUIRED):
        run.required_volumes = [line.strip() for line in event.text.split("\n")[1:] if line.strip()]
    elif SKIPPED in event.text:
        run.skipped = True
    elif RESUMED in event.text:
        run.resumed = True
    elif BEGUN_ANEW in event.text:  # after RESUMED: S3 has too few volumes, or the source has changed
        run.resumed, run.begun_anew = False, True
    elif FULL_FORCED in event.text:
        run.full = True
    elif event.text.startswith(LAST_FULL):
        run.last_full = not event.text.endswith("none")


def _statistics(run: Run, text: str) -> None:
    for line in text.split("\n"):
        match = _STATISTIC.match(line)
        if not match:
            continue
        if match[1] == "ElapsedTime":
            run.elapsed_seconds = float(match[2])
        elif match[1] in _STATISTICS:
            run.statistics[_STATISTICS[match[1]]] = int(float(match[2]))
