# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Send the requests of a thaw: many at a time, at a pace that a busy S3 sets, and none is lost.

The SDK's own retries are not used: each worker would wait for itself while the others go on knocking, and where
Expedited has no capacity each object would be asked for six times.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BackendFailed,
    EndpointUnreachable,
    PermafrostError,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import FROZEN, THAWING, PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.pace import Pace
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish, Work
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import (
    ACCEPTED,
    BUSY,
    IN_PROGRESS,
    NO_CAPACITY,
    Bucket,
)

# Enough for 1,000 requests a second where each takes up to 60 ms.
WORKERS = 64
# So long S3 may answer nothing but "busy" before the requests that are left count as failed.
_PATIENCE_SECONDS = 300.0


class Reply(NamedTuple):
    """What S3 answered, and to which tier."""

    state: str
    tier: str


class Sender:
    """Sends the requests of one task."""

    def __init__(self, bucket: Bucket, wish: Wish) -> None:
        self._bucket, self._wish = bucket, wish
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._pace = Pace(WORKERS, time.monotonic(), _PATIENCE_SECONDS)

    def send(self, work: Work) -> dict[str, Reply | PermafrostError]:
        """Ask for every object, whatever happens to its neighbours; the replies by key."""
        replies: dict[str, Reply | PermafrostError] = {}
        left = iter(work)

        def worker() -> None:
            while not self._stop.is_set():
                with self._lock:
                    one = next(left, None)
                if one is None:
                    return
                replies[one.key] = self._settle(one)

        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                for done in [pool.submit(worker) for _number in range(WORKERS)]:
                    done.result()
            finally:
                self._stop.set()  # a task that is asked to end must not go through all that is left
        return replies

    def _settle(self, one: PlannedObject) -> Reply | PermafrostError:
        """The reply to one object's request, or to the one with the other tier where Expedited has no capacity."""
        fallback = self._wish.fallback_tier
        try:
            reply = Reply(self._ask(one, self._wish.tier), self._wish.tier)
            if reply.state != NO_CAPACITY or not fallback:
                return reply
            if one.state == THAWING and fallback == "Bulk":
                return Reply(IN_PROGRESS, fallback)  # it runs already, and nothing is slower
            return Reply(self._ask(one, fallback), fallback)
        except PermafrostError as error:
            return error

    def _ask(self, one: PlannedObject, tier: str) -> str:
        """One request, again and again while S3 is busy or cannot be reached."""
        trouble: PermafrostError = BackendFailed(f"S3 was too busy to thaw {one.key}.", code="SlowDown")
        lost = False
        while self._may_go():
            sent = time.monotonic()
            try:
                state = self._bucket.thaw(one.key, tier=tier, days=self._wish.days, version_id=one.version_id)
            except EndpointUnreachable as error:
                state, trouble, lost = BUSY, error, True
            except PermafrostError:
                self._answered()
                raise
            if state != BUSY:
                self._answered()
                # What runs already was frozen a moment ago: the request whose reply was lost had been accepted.
                return ACCEPTED if lost and state == IN_PROGRESS and one.state == FROZEN else state
            with self._lock:
                if not self._pace.busy(sent, time.monotonic()):
                    break
        raise trouble

    def _may_go(self) -> bool:
        """Wait until there is room for a request; false when the task is to end.

        One worker looks at the clock, the others stand behind it: all of them would wake for each request.
        """
        with self._turn:
            while not self._stop.is_set():
                with self._lock:
                    wait = self._pace.wait(time.monotonic())
                if not wait:
                    return True
                self._stop.wait(wait)
        return False

    def _answered(self) -> None:
        with self._lock:
            self._pace.answered(time.monotonic())
