# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of single options that an argument spec cannot make. Pure; each raises BadInput with the option's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval

# What a container's own scheduler knows beside cron expressions.
_PERIODS = frozenset({"hourly", "daily", "weekly", "monthly"})
_CRON_FIELDS = 5


def absolute(params: Mapping[str, Any], option: str, group: str = "job") -> str:
    """A path from the root, without empty parts and outer slashes."""
    value: str = params[option]
    if not value.startswith("/"):
        raise BadInput(f"{group}.{option} '{value}' is not an absolute path.")
    if ".." in value.split("/") or "\0" in value:
        raise BadInput(f"{group}.{option} {value!r} holds '..' or a NUL.")
    return "/" + "/".join(part for part in value.split("/") if part not in ("", "."))


def between(params: Mapping[str, Any], option: str, low: int, high: int) -> int:
    """A number in a range, both ends included."""
    value: int = params[option]
    if not low <= value <= high:
        raise BadInput(f"job.{option} is {value}: {low} to {high} is wanted.")
    return value


def age(params: Mapping[str, Any], option: str) -> str:
    """An interval as duplicity takes it."""
    text: str = params[option]
    try:
        interval(text)
    except BadTime:
        raise BadInput(f"job.{option} '{text}' is not an interval such as 4W, 30D or 1M.") from None
    return text


def container_schedule(place: str, text: str) -> None:
    """Refuse what is no schedule of a container by its form. What is wrong inside a cron expression the image says."""
    words = text.lower().split()
    if words != ["never"] and not (words and _PERIODS.issuperset(words)) and len(words) != _CRON_FIELDS:
        raise BadInput(
            f"{place} is '{text}', and with job.scheduler container it is one of {', '.join(sorted(_PERIODS))} and "
            "never, or a cron expression of five fields such as '30 3 * * MON-FRI'."
        )


def endpoint(url: str | None) -> str | None:
    """The endpoint_url option. A user part would be a secret in an argv, so the message does not repeat it either."""
    if url and not re.match(r"https?://[^/\s@?#]+/?\Z", url):
        raise BadInput("endpoint_url is not a plain URL such as https://s3.example.com, without user, path or query.")
    return url
