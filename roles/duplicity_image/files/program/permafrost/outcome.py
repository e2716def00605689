"""What became of one run of a job. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Outcome:
    """``output`` is the last 200 lines; ``number`` is n of the guide's JOB_n."""

    job: str
    verb: str  # backup, verify, cleanup or restore
    exit_code: int
    started: datetime
    finished: datetime
    output: str
    number: int | None
