# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When the next full of a job is due, so that the fulls of a fleet do not fall on one day.

Pure. Hosts that were set up together would make all their fulls together, each period again. So each job has points of
its own, one in each period, and moves its fulls there without ever making a chain shorter than half a period: each
full stays in the bucket, and is paid, for the minimum storage time.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def next_full(target: str, period: timedelta, last_full: datetime) -> datetime:
    """When the full after ``last_full`` is due: at the job's next point, or on the way to it."""
    left = (phase(target, period) - (last_full - _EPOCH)) % period or period
    # Two chains of equal length lead to the point after the next one that is too near.
    return last_full + (left if left >= period / 2 else (period + left) / 2)


def phase(target: str, period: timedelta) -> timedelta:
    """The job's place in the period: always the same, and even over many jobs."""
    number = int.from_bytes(hashlib.sha256(target.encode()).digest()[:8], "big")
    return timedelta(seconds=number % int(period.total_seconds()))
