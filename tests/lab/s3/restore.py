"""RestoreObject, on its own short way: moto's ignores tier, days and time."""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import lru_cache
from xml.etree import ElementTree

from lab.s3 import glacier
from lab.s3.bodies import loaded
from lab.s3.clock import CLOCK
from lab.s3.faults import Faults
from lab.s3.message import Request, Response, S3Error, slow_down
from lab.s3.store import object_named


class Limit:
    """At most so many accepted requests in any second of real time, as Amazon's limit per account and Region."""

    def __init__(self, per_second: int | None = 1000) -> None:
        self.per_second = per_second
        self._accepted: deque[float] = deque()

    def set(self, per_second: int | None) -> int | None:
        """A new limit, counted from now; gives the old one."""
        before, self.per_second = self.per_second, per_second
        self._accepted.clear()
        return before

    def check(self) -> None:
        """SlowDown if the second is full."""
        horizon = time.monotonic() - 1.0
        while self._accepted and self._accepted[0] <= horizon:
            self._accepted.popleft()
        if self.per_second is not None and len(self._accepted) >= self.per_second:
            raise slow_down()

    def count(self) -> None:
        """One more was accepted."""
        self._accepted.append(time.monotonic())


class Restorer:
    """Answers RestoreObject."""

    def __init__(self, faults: Faults) -> None:
        self.limit = Limit()
        self._faults = faults
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """Parse, check the rate, ask the rules."""
        tier, days = parse(loaded(request.body))
        key = object_named(request.bucket, request.key, request.params.get("versionId"))
        with self._lock:
            self.limit.check()
            answer = glacier.request(key.storage_class, key.thaw, tier, days, CLOCK.now())
            if isinstance(answer, glacier.Refusal):
                extra = {"StorageClass": key.storage_class} if answer.code == "InvalidObjectState" else {}
                raise S3Error(answer.status, answer.code, answer.message, **extra)
            if tier == "Expedited" and self._faults.no_expedited_capacity(request):
                text = "Glacier expedited retrievals are currently not available, please try again later"
                raise S3Error(503, "GlacierExpeditedRetrievalNotAvailable", text)
            self.limit.count()
            status, key.thaw = answer
        return Response(status)


@lru_cache(maxsize=256)
def parse(body: bytes) -> tuple[str, int]:
    """Tier and days of a RestoreRequest."""
    malformed = S3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate.")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise malformed from error
    fields = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root.iter()}
    if fields.get("Type"):
        raise S3Error(501, "NotImplemented", "A SELECT restore is not part of the lab.")
    tier = fields.get("Tier") or "Standard"
    if tier not in glacier.TIERS:
        raise malformed
    try:
        days = int(fields["Days"])
    except (KeyError, ValueError) as error:
        raise malformed from error
    if days < 1:
        text = "Restoration days parameter should be a positive integer"
        raise S3Error(400, "InvalidArgument", text, ArgumentName="Days", ArgumentValue=str(days))
    return tier, days
