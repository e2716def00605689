"""The sign of life of the scheduler, for a container's health check. I/O.

It is run every half minute, so it imports little.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

# A tmpfs in each container, also in one with a read-only root; fresh at each start.
PLACE = Path("/dev/shm/permafrost-scheduler")
# A report that is sent may wait for its servers meanwhile.
OLDEST_SECONDS = 180.0


def beat() -> None:
    """Tell the time of the machine's clock that nobody sets."""
    new = PLACE.with_suffix(".new")
    with suppress(OSError):  # without a sign of life it is unhealthy, but it works
        new.write_text(f"{os.getpid()} {time.monotonic()}\n", encoding="ascii")
        new.replace(PLACE)


def healthy() -> int:
    """0 while the scheduler lives and ticks."""
    try:
        process, beaten = PLACE.read_text(encoding="ascii").split()
        age = time.monotonic() - float(beaten)
        lives = Path("/proc", process).exists()
    except (OSError, ValueError):
        print("There is no scheduler in this container.", file=sys.stderr)
        return 1
    if lives and 0 <= age < OLDEST_SECONDS:
        return 0
    print(f"The scheduler gave its last sign of life {age:.0f} s ago.", file=sys.stderr)
    return 1
