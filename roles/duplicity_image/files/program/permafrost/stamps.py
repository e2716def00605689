"""The scheduler's memory: a small file that outlives the container. I/O."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from permafrost.timetable import Stamp

NAME = "permafrost-scheduler.json"


class Stamps:
    """In the first directory that can be written; without one, what is remembered ends with the container."""

    def __init__(self, places: Iterable[str]) -> None:
        self.file = next((Path(place, NAME) for place in places if _is_writable(Path(place))), None)

    def read(self) -> dict[str, Stamp]:
        """What was written before. A damaged file is as good as none."""
        try:
            found = json.loads(self.file.read_text(encoding="utf-8")) if self.file else {}
            return {
                name: Stamp(datetime.fromisoformat(one["since"]), one["exit_code"], one["tries"])
                for name, one in found.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write(self, stamps: dict[str, Stamp]) -> None:
        """All at once or not at all."""
        if self.file is None:
            return
        text = json.dumps({name: {**asdict(one), "since": one.since.isoformat()} for name, one in stamps.items()})
        new = self.file.with_name(f".{NAME}.new")
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(self.file)


def _is_writable(place: Path) -> bool:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(place, os.W_OK | os.X_OK)
