# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be deleted, as a job or a task says it. Pure; retention.py makes a plan of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.retention import Rules
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval, moment

# No upload of a volume takes longer, so that nothing goes that a host is writing now.
_LEAST_ORPHAN_AGE = timedelta(days=1)
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

    def rules(self, now: datetime, *, delete_last_chain: bool = False) -> Rules:
        """The rules as of now."""
        return Rules(
            settled=now - interval(self.orphan_age),
            keep_fulls=self.keep_fulls,
            older_than=None if self.older_than is None else moment(self.older_than, now),
            keep_incrementals_of=self.keep_incrementals_of,
            orphans=self.orphans,
            delete_last_chain=delete_last_chain,
        )


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
    return Policy(**given, orphan_age=options["orphan_age"])


def _check_orphan_age(text: str, group: str) -> None:
    try:
        age = interval(text)
        if age > _OLDEST:
            raise OverflowError
    except (BadTime, OverflowError):
        raise BadInput(f"{group}orphan_age '{text}' is not an interval such as 7D or 2W.") from None
    if age < _LEAST_ORPHAN_AGE:
        raise BadInput(f"{group}orphan_age is {text}: at least 1D is wanted, since a backup may take long.")
