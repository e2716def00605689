"""What unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.stage import job_params


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose archive directory is there."""
    made = Job.from_params(job_params(state_dir=str(tmp_path), file_prefixes={"manifest": "m-"}))
    Path(made.archive).mkdir(parents=True)
    return made
