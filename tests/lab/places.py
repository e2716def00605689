"""Where the lab keeps its things, and the lock that makes concurrent callers wait for each other."""

from __future__ import annotations

import fcntl
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LAB = CHECKOUT / ".lab"
VENV = LAB / "venv"
COLLECTIONS = LAB / "collections"
# Names a checkout's own things in an engine that several checkouts share.
CHECKOUT_ID = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:5]

# One engine serves all checkouts of a machine, so it lives outside of them.
STATE = Path("/var/lib/permafrost-lab")
RUN = Path("/run/permafrost-lab")
INSTALLED_PACKAGES = STATE / "installed-packages"

BASE_IMAGE = "permafrost-lab/base:trixie"


class LabError(Exception):
    """The lab cannot be made; the message says what to do."""


def say(text: str) -> None:
    """Tell what takes time, without touching the standard output of the command to be run."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel frees it however the holder ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
