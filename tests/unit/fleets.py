"""Looks at hosts, as duplicity_info and Ansible give them, for tests of the fleet's report."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
GIB = 1 << 30


def ago(*, days: float = 0, hours: float = 0) -> str:
    """That long before NOW."""
    return to_w3(NOW - timedelta(days=days, hours=hours))


def job(name: str = "web01-data", **changes: Any) -> dict[str, Any]:
    """A job as an inventory has it, defaults left out."""
    return {"name": name, "source": "/srv/data", "target": f"s3://acme-dr/{name}", **changes}


def backup_set(days: float, size: int, kind: str = "incremental", missing: int = 0) -> dict[str, Any]:
    """A set of so many days ago."""
    return {
        "kind": kind,
        "time": ago(days=days),
        "complete": True,
        "volumes": 2,
        "size_bytes": {"DEEP_ARCHIVE": size, "STANDARD": 1000},
        "missing": [f"vol{number}" for number in range(missing)],
    }


def chain(*sets: dict[str, Any], unreadable: str | None = None) -> dict[str, Any]:
    """Sets that build on each other, the full first."""
    missing = sum(len(one["missing"]) for one in sets)
    return {
        "start": sets[0]["time"],
        "end": sets[-1]["time"],
        "sets": list(sets),
        "missing_count": None if unreadable else missing,
        "unreadable": unreadable,
    }


def run(days: float, seconds: float = 60.0, exit_code: int = 0, verb: str = "backup") -> dict[str, Any]:
    """A line of a job's history."""
    return {
        "time": ago(days=days),
        "verb": verb,
        "exit_code": exit_code,
        "elapsed_seconds": seconds,
        "stored_bytes": 1000 if verb == "backup" else None,
    }


def record(days: float, cause: str | None = None, unreadable: int = 0) -> dict[str, Any]:
    """last_run, last_success or last_drill."""
    return {
        "started": ago(days=days, hours=1),
        "finished": ago(days=days),
        "exit_code": 0,
        "cause": cause,
        "unreadable_count": unreadable,
        "proven": None if cause else ago(days=days),
    }


def objects(storage_class: str, count: int, size: int) -> dict[str, Any]:
    """So many objects of a class."""
    return {"storage_class": storage_class, "object_count": count, "size_bytes": size, "padding_bytes": 0}


def look(name: str = "web01-data", **changes: Any) -> dict[str, Any]:
    """What a loop over jobs registers of one that is as it should be."""
    chains = [
        chain(backup_set(40, 10 * GIB, "full"), backup_set(20, GIB)),
        chain(backup_set(10, 12 * GIB, "full"), backup_set(0.4, GIB)),
    ]
    return {
        "item": name,
        "changed": False,
        "failed": False,
        "chains": chains,
        "interrupted": [],
        "orphaned": [],
        "unknown": [],
        "size_bytes": {"DEEP_ARCHIVE": 24 * GIB, "STANDARD": 4000},
        "object_count": 20,
        "stored": [objects("DEEP_ARCHIVE", 8, 24 * GIB), objects("STANDARD", 8, 4000)],
        "newest_volumes": [objects("DEEP_ARCHIVE", 4, 13 * GIB)],
        "last_run": record(0.4),
        "last_success": record(0.4),
        "last_drill": None,
        "history": [run(2, 90.0), run(1.4, 30.0), run(1, verb="restore"), run(0.4)],
        **changes,
    }
