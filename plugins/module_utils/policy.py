# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be deleted, as a job or a task says it. Pure; retention.py makes a plan of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import EARLY_DELETE, MINIMUM_DAYS
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval, is_interval, moment

# No upload of a volume takes longer, so that nothing goes that a host is writing now.
_LEAST_ORPHAN_AGE = timedelta(days=1)
_DAY = timedelta(days=1)
_COUNTS = ("keep_fulls", "keep_incrementals_of")
# An age is checked against it: when the rules are applied is not known yet.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
# Nothing is older than time itself.
_OLDEST = _SOME_DAY - datetime.min.replace(tzinfo=timezone.utc)
NO_RULE = "None of keep_fulls, older_than, keep_incrementals_of and orphans is given"


@dataclass(frozen=True)
class Policy:
    """Checked rules; ages count from the moment at which they are applied."""

    keep_fulls: int | None
    older_than: str | None
    keep_incrementals_of: int | None
    orphans: bool
    orphan_age: str
    early_delete: str

    def unfit(self, storage_class: str, full_if_older_than: str) -> list[str]:
        """Why sets come to their end by these rules before the class's minimum is over, and what would fit."""
        least, full_days = MINIMUM_DAYS[storage_class], whole_days(full_if_older_than)
        fits = fitting_fulls(least, full_days)
        told = []
        for name, count in (("keep_fulls", self.keep_fulls), ("keep_incrementals_of", self.keep_incrementals_of)):
            if count is not None and count < fits:
                told.append(
                    f"{name} is {count}: with a full every {full_days} days sets go before the {least} days for which "
                    f"{storage_class} is paid in any case; {fits} would fit"
                )
        if self.older_than and is_interval(self.older_than) and interval(self.older_than) < least * _DAY:
            told.append(
                f"older_than is {self.older_than}: {storage_class} is paid for {least} days; {least}D would fit"
            )
        return told


def whole_days(text: str) -> int:
    """The days of an interval, at least one."""
    return max(1, math.ceil(interval(text) / _DAY))


def fitting_fulls(minimum_days: int, full_days: int) -> int:
    """The fewest fulls to keep so that no set goes before its minimum, with a run a day."""
    return max(1, math.ceil((minimum_days + full_days - 1) / full_days))


def checked_policy(options: Mapping[str, Any], group: str = "") -> Policy | None:
    """The rules among the options of a task, or of ``group``; None when they hold none. Raises BadInput or BadTime."""
    given = {name: options[name] for name in ("keep_fulls", "older_than", "keep_incrementals_of", "orphans")}
    if not given["orphans"] and all(value is None for name, value in given.items() if name != "orphans"):
        return None
    for name in _COUNTS:
        if given[name] is not None and given[name] < 1:
            raise BadInput(f"{group}{name} is {given[name]}: at least 1 is wanted.")
    if given["older_than"] is not None:
        moment(given["older_than"], _SOME_DAY)
    _check_orphan_age(options["orphan_age"], group)
    # Job files that were written before there was this option lack it.
    early_delete = options.get("early_delete") or EARLY_DELETE[0]
    return Policy(**given, orphan_age=options["orphan_age"], early_delete=early_delete)


def _check_orphan_age(text: str, group: str) -> None:
    try:
        age = interval(text)
        if age > _OLDEST:
            raise OverflowError
    except (BadTime, OverflowError):
        raise BadInput(f"{group}orphan_age '{text}' is not an interval such as 7D or 2W.") from None
    if age < _LEAST_ORPHAN_AGE:
        raise BadInput(f"{group}orphan_age is {text}: at least 1D is wanted, since a backup may take long.")
