# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One pace for many workers that ask the same busy service. Pure: times are handed in, in seconds of one clock."""

from __future__ import annotations

_FIRST_STEP = 0.05
_LONGEST_STEP = 5.0
_NO_STEP = 0.002


class Pace:
    """How far apart requests are sent. Not for several threads at once: the caller has a lock.

    While all is well there is no step between requests. A reply that says "busy" doubles the step for all workers, once
    for all requests that were under way; each good reply makes it a tenth shorter.
    """

    def __init__(self, now: float, patience: float) -> None:
        self.step = 0.0
        self._patience = patience
        self._next = now
        self._slowed = now
        self._answered = now

    def wait(self, now: float) -> float:
        """How long the next request has to wait."""
        at = max(now, self._next)
        self._next = at + self.step
        return at - now

    def busy(self, sent: float, now: float) -> bool:
        """A request that was sent then met a busy service. Whether it makes sense to ask again."""
        if sent >= self._slowed:
            self.step = min(max(2 * self.step, _FIRST_STEP), _LONGEST_STEP)
            self._slowed = now
            self._next = max(self._next, now + self.step)
        return now - self._answered < self._patience

    def answered(self, now: float) -> None:
        """A request got its reply."""
        self._answered = now
        self.step = self.step * 0.9 if self.step > _NO_STEP else 0.0
