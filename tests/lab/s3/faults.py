"""Faults on demand: a busy, broken, slow or vanishing S3, or one with another time."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from lab.s3.message import Request, ResetError, S3Error, slow_down
from lab.s3.signature import require_fresh

KINDS = ("503", "500", "reset", "latency", "hold", "late", "skew", "expedited")
# Whoever strikes by one of these asks for it by name; all others strike before a request is served.
ASKED_FOR = ("late", "expedited")


@dataclass(slots=True)
class Fault:
    """One rule: what it hits, how often, and what happens."""

    kind: str = "503"
    operation: str | None = None
    key_contains: str | None = None
    count: int | None = None
    probability: float = 1.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}: one of {', '.join(KINDS)}")

    def matches(self, request: Request) -> bool:
        """Whether this request is one of those that the rule means."""
        if self.count == 0 or self.operation not in (None, request.operation):
            return False
        if self.kind == "expedited" and request.operation != "RestoreObject":
            return False
        return self.key_contains is None or self.key_contains in request.key


class Faults:
    """The rules in force; the first that matches wins."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, rule: Fault) -> None:
        """Put a rule in force."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """All is well again."""
        with self._lock:
            self._rules.clear()

    def strike(self, request: Request) -> None:
        """Raise, or wait, if a rule hits this request."""
        rule = self._take(request)
        if rule is None:
            return
        if rule.kind == "skew":
            require_fresh(request, ahead=rule.seconds)
        elif rule.kind == "hold":
            self._hold(rule)
        elif rule.seconds:
            time.sleep(rule.seconds)
        if rule.kind == "503":
            raise slow_down()
        if rule.kind == "500":
            raise S3Error(500, "InternalError", "We encountered an internal error. Please try again.")
        if rule.kind == "reset":
            raise ResetError

    def _hold(self, rule: Fault) -> None:
        while any(one is rule for one in self._rules):
            time.sleep(0.02)

    def delay(self, request: Request) -> None:
        """Wait, after the request was served, if its answer is to be late."""
        rule = self._take(request, "late")
        if rule is not None:
            time.sleep(rule.seconds)

    def no_expedited_capacity(self, request: Request) -> bool:
        """Asked by RestoreObject for an Expedited request, because only there the tier is known."""
        return self._take(request, "expedited") is not None

    def _take(self, request: Request, kind: str | None = None) -> Fault | None:
        with self._lock:
            for rule in self._rules:
                if (rule.kind if rule.kind in ASKED_FOR else None) == kind and rule.matches(request):
                    if rule.probability < 1.0 and random.random() >= rule.probability:
                        continue
                    if rule.count is not None:
                        rule.count -= 1
                    return rule
        return None
