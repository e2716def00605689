"""Reads what unit.record wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import errors, log, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.diagnosis import failure
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from unit.stage import TRANSCRIPTS


@dataclass(frozen=True)
class Transcript:
    """One recorded run."""

    name: str
    log: str
    facts: dict[str, Any]

    @property
    def exit_code(self) -> int:
        return int(self.facts["exit_code"])

    def events(self) -> list[log.Event]:
        return list(log.parse(self.log.split("\n")))

    def run(self) -> log.Run:
        return log.summarize(self.events())

    def error(self) -> errors.PermafrostError:
        return failure(self.exit_code, self.run(), self.facts["output"])


def load(name: str) -> Transcript:
    """The transcript of that name; a missing one fails the test."""
    content = (TRANSCRIPTS / f"{name}.log").read_bytes().decode("utf-8", "surrogateescape")
    return Transcript(name, content, json.loads((TRANSCRIPTS / f"{name}.json").read_text()))


def names() -> list[str]:
    """All transcripts."""
    return sorted(path.stem for path in TRANSCRIPTS.glob("*.log"))


def listing(name: str) -> dict[str, S3Object]:
    """A recorded listing by key."""
    rows = json.loads((TRANSCRIPTS / f"{name}.listing.json").read_text())
    for row in rows:
        row["last_modified"] = datetime.fromisoformat(row["last_modified"])
    return {row["key"]: S3Object(**row) for row in rows}


def file_names(name: str) -> list[str]:
    """The names of a recorded listing without the key prefix."""
    return [key.rpartition("/")[2] for key in listing(name)]


def manifests(name: str) -> dict[str, bytes]:
    """Recorded manifests by file name."""
    return {path.name: path.read_bytes() for path in (TRANSCRIPTS / name).iterdir()}


def parsed_manifests(name: str) -> dict[str, list[manifest.Volume]]:
    """Recorded manifests by file name, parsed."""
    return {name: manifest.parse_manifest(content) for name, content in manifests(name).items()}
