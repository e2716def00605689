"""Pings of monitors: Healthchecks and Uptime Kuma. I/O."""

from __future__ import annotations

import time
import urllib.parse
import urllib.request
from urllib.error import HTTPError, URLError

from permafrost import tls
from permafrost.outcome import Outcome

TRIES = 3
_TIMEOUT = 10.0
_PAUSE_SECONDS = 1.0
# The most that Healthchecks keeps where nobody changed its settings.
_BODY_BYTES = 10_000
# Answers after which another try may help: too many requests, and what is not the request's fault.
_TOO_MANY = 429
_SERVER_ERROR = 500


def healthchecks(url: str, ending: str, run: str, body: str = "", tries: int = TRIES) -> None:
    """``ending`` is start, fail, or empty for a success; ``run`` joins start and end. Raises OSError."""
    base, query = _parts(url)
    place = f"{base}/{ending}" if ending else base
    words = "&".join(one for one in (query, f"rid={run}") if one)
    _request(f"{place}?{words}", body.encode("utf-8", "replace")[-_BODY_BYTES:], tries)


def uptime_kuma(url: str, outcome: Outcome, line: str, tries: int = TRIES) -> None:
    """``ping`` is the time that the run took, in milliseconds. Raises OSError."""
    elapsed = outcome.finished - outcome.started
    given = {
        "status": "down" if outcome.exit_code else "up",
        "msg": line,
        "ping": str(max(0, round(elapsed.total_seconds() * 1000))),
    }
    _request(f"{_parts(url)[0]}?{urllib.parse.urlencode(given, errors='replace')}", None, tries)


def reason(error: Exception) -> str:
    """An error in words that never hold the address, which is a secret."""
    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, URLError):
        return str(error.reason)
    return f"{error}" or type(error).__name__


def _parts(url: str) -> tuple[str, str]:
    """Without its query and a last slash; and the query."""
    base, _mark, query = url.partition("?")
    return base.rstrip("/"), query


def _request(url: str, body: bytes | None, tries: int) -> None:
    request = urllib.request.Request(url, data=body, headers={"User-Agent": "permafrost"})
    for left in reversed(range(tries)):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT, context=tls.context()):
                return
        except OSError as error:
            code = error.code if isinstance(error, HTTPError) else _SERVER_ERROR
            if not left or (code < _SERVER_ERROR and code != _TOO_MANY):
                raise
        time.sleep(_PAUSE_SECONDS * (tries - left))
