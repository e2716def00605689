# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The progress file of a backup: how far it is, for anybody who looks from another terminal.

I/O. A thread of the task reads duplicity's log while the container runs, and replaces ``progress.json`` beside the
archive directory. A later task that attaches to the run goes on with it.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import archive_dir, host, log, manifest, records
from ansible_collections.permafrost.backup.plugins.module_utils.errors import StateSpace
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

RECORD = "progress"
_SECONDS = 1.0
# The newest stanza is found in the last bytes of the log.
_TAIL = 4096


class Follower:
    """Writes the progress file until ``close()``."""

    def __init__(self, job: Job, verb: str) -> None:
        self._job, self._verb = job, verb
        self._log = Path(host.run_dir(job, verb), log.FILE_NAME)
        self._volumes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self, *, finished: bool) -> None:
        """The last word: ``finished`` is whether the run ended well. What was known last stays beside it."""
        self._stop.set()
        self._thread.join()
        known = records.read(self._job, RECORD) or {}
        if finished:
            known.update(percent=100, seconds_left=0)
        self._write({**known, "running": False, "finished": finished})

    def _run(self) -> None:
        last: dict[str, Any] | None = None
        while not self._stop.wait(_SECONDS):
            seen = self._look()
            if seen != last:
                self._write({**seen, "running": True, "finished": False})
                last = seen

    def _look(self) -> dict[str, Any]:
        known = log.progress(self._tail())
        parts = archive_dir.partial_manifests(self._job).values()
        # With the last volume the partial manifest becomes the whole one.
        self._volumes = max([self._volumes, *(len(manifest.parse_manifest(part)) for part in parts)])
        return {**known, "volumes": self._volumes}

    def _tail(self) -> list[str]:
        try:
            with self._log.open("rb") as handle:
                handle.seek(max(0, self._log.stat().st_size - _TAIL))
                return handle.read().decode("utf-8", "surrogateescape").split("\n")
        except FileNotFoundError:
            return []

    def _write(self, record: dict[str, Any]) -> None:
        now = to_w3(datetime.now(timezone.utc))
        with suppress(StateSpace):  # the run needs no progress file, and fails by itself when it has no room
            records.write(self._job, RECORD, {"verb": self._verb, "updated": now, **record})
