# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Points in time as users, YAML and duplicity write them. Pure: the present moment is always handed in."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadTime

# duplicity(1), TIME FORMATS: s, m, h, D, W, M (30 days) and Y (365 days), several in a row.
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "D": 86400, "W": 604800, "M": 2592000, "Y": 31536000}
_INTERVAL = re.compile(r"(?:\d+[smhDWMY])+\Z")
_STAMP = "%Y%m%dT%H%M%SZ"
_W3 = "%Y-%m-%dT%H:%M:%SZ"


def is_interval(text: str) -> bool:
    """True for ``4W``, ``1D12h`` and the like."""
    return bool(_INTERVAL.match(text))


def interval(text: str) -> timedelta:
    """The length of an interval such as ``4W``. Raises BadTime for anything else."""
    if not is_interval(text):
        raise BadTime(f"'{text}' is not an interval.")
    seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhDWMY])", text))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise BadTime(f"The interval '{text}' is too long.") from None


def moment(text: str, now: datetime) -> datetime:
    """The point in time that ``text`` names, in UTC.

    Takes W3 times and dates (``2026-11-01T02:00:00+02:00``, ``2026-11-01``), what YAML makes of them (a space in place
    of the T), intervals before ``now`` (``3D``), seconds since the epoch, and ``now``. Without a zone it means UTC.
    """
    value = text.strip()
    if value == "now":
        return now
    if is_interval(value):
        try:
            return now - interval(value)
        except OverflowError:
            raise BadTime(f"'{text}' lies before the beginning of time.") from None
    if re.fullmatch(r"\d{9,11}", value):
        return datetime.fromtimestamp(int(value), timezone.utc)
    return _iso(value, text)


def _iso(value: str, text: str) -> datetime:
    # fromisoformat of Python 3.9 knows neither a trailing Z nor +0200.
    normal = re.sub(r"[zZ]\Z", "+00:00", value)
    normal = re.sub(r"([+-]\d\d)(\d\d)\Z", r"\1:\2", normal) if "T" in normal or " " in normal else normal
    try:
        parsed = datetime.fromisoformat(normal)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise BadTime(f"'{text}' is not a time.") from None


def from_stamp(stamp: str) -> datetime:
    """The time in a duplicity file name, ``20261101T000000Z``."""
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=timezone.utc)


def to_stamp(time: datetime) -> str:
    """The inverse of from_stamp."""
    return time.astimezone(timezone.utc).strftime(_STAMP)


def from_engine(text: str) -> datetime:
    """The time of an engine or of ``isoformat``, which is in UTC and has up to nine digits of a second."""
    whole, _dot, digits = text.replace("+00:00", "").rstrip("Z").partition(".")
    return datetime.strptime(f"{whole}.{digits[:6] or 0}", "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=timezone.utc)


def to_w3(time: datetime) -> str:
    """``2026-11-01T00:00:00Z``: how results print a time and how duplicity is given one."""
    return time.astimezone(timezone.utc).strftime(_W3)


def from_w3(text: str) -> datetime:
    """The inverse of to_w3."""
    return datetime.strptime(text, _W3).replace(tzinfo=timezone.utc)
