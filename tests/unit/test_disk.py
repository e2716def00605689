"""disk.py: a host without room, for each that writes there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import disk, errors, host, secret_files
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job


def test_what_a_run_cannot_keep(job: Job) -> None:
    host.prepare(job, "backup")
    Path(host.run_dir(job, "backup"), "result.json").symlink_to("/dev/full")
    with pytest.raises(errors.StateSpace, match=r"runs/backup cannot be written: No space left on device\."):
        host.keep_result(job, "backup", "container", {"StartedAt": "2026-11-01T02:00:00Z"}, 10)
    with pytest.raises(errors.StateSpace):
        host.write_file(job, "backup", "result.json", b"content")


def test_secrets_without_room_are_taken_away(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.open

    def opened(path: str | Path, flags: int, *mode: int, **options: Any) -> int:
        return really("/dev/full", os.O_WRONLY) if str(path).endswith("/two") else really(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(errors.NoSecretPlace, match="No space left on device"):
        secret_files.write(job, "backup", {"one": b"canary", "two": b"canary"})
    assert not secret_files.directory(job, "backup").exists()


def test_which_file_system_is_full(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """duplicity says in both cases that no space is left."""
    found = errors.TemporarySpace("No space left.", exit_code=30)
    host.prepare(job, "backup")
    assert disk.where_full(job, found) is found
    apart = replace(job, temp_dir="/dev/shm")
    assert disk.where_full(apart, found) is found, "both have room by now"
    real = os.statvfs(job.archive_dir)
    full = os.statvfs_result([*real[:3], 0, *real[4:]])
    monkeypatch.setattr(os, "statvfs", lambda path: full if path == job.archive_dir else real)
    told = disk.where_full(apart, found)
    assert isinstance(told, errors.StateSpace)
    assert told.facts == {"exit_code": 30, "path": job.archive_dir, "free_bytes": 0}
    assert disk.where_full(job, found) is found
    with pytest.raises(errors.StateSpace):
        host.prepare(job, "backup")
