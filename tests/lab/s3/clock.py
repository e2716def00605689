"""The lab's clock: real time plus an offset that only grows."""

from __future__ import annotations

import time
from datetime import datetime, timezone


class LabClock:
    """Thaws, expiry and LastModified follow it; signatures and the Date header stay with real time."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, in the lab."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> float:
        """Let time pass; a thaw that went back would be no test of anything."""
        if seconds < 0:
            raise ValueError("the lab's clock does not run backwards")
        self.offset += seconds
        return self.now()

    def utcnow(self) -> datetime:
        """The naive UTC datetime that moto works with."""
        return datetime.fromtimestamp(self.now(), timezone.utc).replace(tzinfo=None)


CLOCK = LabClock()
