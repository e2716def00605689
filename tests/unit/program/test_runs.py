"""runs.py: when a timer's backup is a full, and whose job file a cleanup takes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import compose
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.spreading import next_full
from permafrost import runs
from permafrost.runs import full_is_due
from unit.stage import job_params

LAST = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)
PERIOD = timedelta(weeks=4)


def job(place: Path, **changes: Any) -> Job:
    return Job.from_params(job_params(state_dir=str(place), full_if_older_than="4W", **changes))


def with_full(found: Job) -> Job:
    archive = Path(found.archive)
    archive.mkdir(parents=True)
    (archive / "duplicity-full.20261101T020000Z.manifest").touch()
    (archive / "duplicity-full-signatures.20261101T020000Z.sigtar.gz").touch()
    return found


def test_a_full_is_due_from_the_jobs_own_point_on(tmp_path: Path) -> None:
    found = with_full(job(tmp_path))
    due = next_full(found.url, PERIOD, LAST)
    assert not full_is_due(found, due - timedelta(seconds=1))
    assert full_is_due(found, due)


def test_without_an_archive_directory_nothing_is_known(tmp_path: Path) -> None:
    assert not full_is_due(job(tmp_path), LAST + 10 * PERIOD)


def test_an_interrupted_full_is_none(tmp_path: Path) -> None:
    found = with_full(job(tmp_path))
    Path(found.archive, "duplicity-full.20261120T020000Z.manifest.part").touch()
    assert full_is_due(found, LAST + PERIOD)


def test_a_cleanup_refuses_the_job_file_of_backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"keep_fulls": 1, "older_than": None, "keep_incrementals_of": None, "orphans": False, "orphan_age": "7D"}
    who = {"access_key": "CLEAN", "secret_key": "secret-of-cleanup"}
    options = job_params(retention=rules, cleanup_on="host", cleanup_credentials=who)
    monkeypatch.setattr(runs, "JOB_FILE", tmp_path / "job")
    for given in (compose.for_backups(options), compose.for_cleanup({**options, "retention": None})):
        runs.JOB_FILE.write_text(json.dumps({"job": given}))
        with pytest.raises(BadInput, match="is not that of a cleanup"):
            runs.cleanup()
