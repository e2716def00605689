# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container reads on this host: whether the source is there, the lists of its selection, names that it tells.

I/O, shared by backups and verifies.
"""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import host, log, selection
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, SourceMissing
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job


def require(place: str) -> None:
    """Raise SourceMissing, or BadInput for a source that is no directory."""
    source = Path(place)
    try:
        if not source.exists():
            raise SourceMissing(f"The source {source} does not exist on this host.", source=str(source))
        if not source.is_dir():
            raise BadInput(f"The source {source} is not a directory.")
        with os.scandir(source):
            pass
    except OSError as error:  # a network file system whose server is gone, for example
        raise SourceMissing(f"The source {source} cannot be read: {error.strerror}.", source=str(source)) from None


def write_lists(job: Job, verb: str, path: str = "") -> list[str]:
    """Write, and give, the lists of job.selection as the container is to read them; with ``path``, what concerns it."""
    source, place = str(job.source), job.source_in_container
    lists, texts = {}, []
    for number, rule in enumerate(job.rules):
        if rule.is_list:
            lists[number] = selection.read_list(rule, _read_list(rule.value), source, place)
            text = selection.list_file(lists[number], f"{place}/{path}" if path else "")
            host.write_file(job, verb, selection.list_name(number), text.encode())
            texts.append(text)
    selection.check_last(job.rules, lists)
    return texts


def _read_list(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"job.selection: the list {path} cannot be read: {error}.") from None


def unreadable(job: Job, run: log.Run) -> list[str]:
    """Names relative to the source: duplicity's are, or begin with the source's place in the container."""
    place = f"{job.source_in_container}/"
    return [log.shown(name[len(place) :] if name.startswith(place) else name) for name in run.unreadable]
