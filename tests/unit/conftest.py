"""What unit tests share.

Properties are judged by what they find: how long an example takes says more of the machine than of the code.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.stage import job_params

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose archive directory is there."""
    made = Job.from_params(job_params(state_dir=str(tmp_path), file_prefixes={"manifest": "m-"}))
    Path(made.archive).mkdir(parents=True)
    return made
