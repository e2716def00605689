# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One pace for many workers that ask the same busy service. Pure: times are handed in, in seconds of one clock."""

from __future__ import annotations

from collections import deque

# Amazon accepts 1,000 restores a second (S3 User Guide, "Restoring an archived object"). What is sent within a second
# may arrive in less, so a few less are sent in a little more.
A_SECOND, _SECOND = 985, 1.01
# They are spread evenly. Sleeping is never exact: what was sent so late, in seconds, is made up for at once.
_GAP, _LATE = 1 / 1100, 0.05
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# How often to look whether there is room again.
_LOOK = 0.005


class Pace:
    """How many requests may be sent in a second, and be under way. For one thread at a time: the caller has a lock.

    A reply that says "busy" halves their number and makes all workers pause, twice as long each time in a row; what was
    under way together counts once. A good reply ends the row and makes room for one more.
    """

    def __init__(self, most: int, now: float, patience: float) -> None:
        self.room = most
        self._most = most
        self._under_way = 0
        self._row = 0
        self._patience = patience
        self._paused_until = now
        self._slowed = now
        self._answered = now
        self._sent: deque[float] = deque(maxlen=A_SECOND)
        self._due = now

    def wait(self, now: float) -> float:
        """0 when a request may be sent, which then counts as under way; else how long to wait before asking again."""
        sent = self._sent
        earliest = max(self._paused_until, self._due)
        if len(sent) == A_SECOND:
            earliest = max(earliest, sent[0] + _SECOND)
        if now < earliest:
            return earliest - now
        if self._under_way >= self.room:
            return _LOOK
        self._under_way += 1
        sent.append(now)
        self._due = max(self._due, now - _LATE) + _GAP
        return 0.0

    def busy(self, sent: float, now: float) -> bool:
        """A request that was sent then met a busy service. Whether it makes sense to ask again."""
        self._under_way -= 1
        if sent >= self._slowed:
            self._row += 1
            self.room = max(1, self.room // 2)
            self._slowed = now
            self._paused_until = now + min(_FIRST_PAUSE * 2 ** (self._row - 1), _LONGEST_PAUSE)
        return now - self._answered < self._patience

    def answered(self, now: float) -> None:
        """A request got its reply."""
        self._under_way -= 1
        self._row = 0
        self.room = min(self.room + 1, self._most)
        self._answered = now
