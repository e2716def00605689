"""The rules of S3 Glacier, pure: storage class, tier, thaw and time in; the answer out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import formatdate

HOUR = 3600.0
DAY = 24 * HOUR
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
TIERS = ("Expedited", "Standard", "Bulk")  # fastest first: an upgrade goes to the left

# The upper ends of what Amazon promises (S3 User Guide, "Archive retrieval options").
THAW_SECONDS = {
    ("GLACIER", "Expedited"): 300.0,
    ("GLACIER", "Standard"): 5 * HOUR,
    ("GLACIER", "Bulk"): 12 * HOUR,
    ("DEEP_ARCHIVE", "Standard"): 12 * HOUR,
    ("DEEP_ARCHIVE", "Bulk"): 48 * HOUR,
}


@dataclass(frozen=True, slots=True)
class Thaw:
    """One accepted restore request and the copy that it makes."""

    tier: str
    ready_at: float
    expires_at: float
    days: int

    def state(self, now: float) -> str:
        """thawing, then thawed, then frozen again."""
        if now < self.ready_at:
            return "thawing"
        return "thawed" if now < self.expires_at else "frozen"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a restore request is refused."""

    status: int
    code: str
    message: str


def state(storage_class: str, thaw: Thaw | None, now: float) -> str:
    """frozen, thawing or thawed for an archived object; readable for any other."""
    if storage_class not in ARCHIVED:
        return "readable"
    return thaw.state(now) if thaw else "frozen"


def expiry(ready_at: float, days: int) -> float:
    """The end of the copy: Days after the thaw's end, rounded up to midnight UTC."""
    return math.ceil((ready_at + days * DAY) / DAY) * DAY


def request(storage_class: str, thaw: Thaw | None, tier: str, days: int, now: float) -> tuple[int, Thaw] | Refusal:
    """Answer a restore request: the status and the thaw from now on, or a refusal."""
    if storage_class not in ARCHIVED:
        text = "Restore is not allowed for the object's current storage class"
        return Refusal(403, "InvalidObjectState", text)
    if (storage_class, tier) not in THAW_SECONDS:
        return Refusal(400, "InvalidArgument", "Retrieval option is not supported by this storage class")
    current = state(storage_class, thaw, now)
    if thaw and current == "thawed":
        return 200, Thaw(thaw.tier, thaw.ready_at, expiry(now, days), days)
    ready_at = now + THAW_SECONDS[storage_class, tier]
    if thaw and current == "thawing":
        # An upgrade "must not change any other parameters, such as the Days request element" (S3 User Guide, "Upgrading
        # the speed of an in-progress restore"). How S3 answers one that does is not documented; a refusal is the
        # stricter reading.
        if TIERS.index(tier) >= TIERS.index(thaw.tier) or days != thaw.days:
            return Refusal(409, "RestoreAlreadyInProgress", "Object restore is already in progress")
        ready_at = min(ready_at, thaw.ready_at)  # an upgrade late in a slow thaw does not lengthen it
    return 202, Thaw(tier, ready_at, expiry(ready_at, days), days)


def restore_header(thaw: Thaw | None, now: float) -> str | None:
    """The x-amz-restore header in its three forms; None is the third."""
    current = thaw.state(now) if thaw else "frozen"
    if current == "thawing":
        return 'ongoing-request="true"'
    if thaw and current == "thawed":
        return f'ongoing-request="false", expiry-date="{formatdate(thaw.expires_at, usegmt=True)}"'
    return None
