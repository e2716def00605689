"""Messages to all that Apprise knows. I/O."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from urllib.parse import unquote

from permafrost.masking import MASK

_SHORTEST = 4


class _Heard(logging.Handler):
    """What Apprise says of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def send(urls: Sequence[str], title: str, body: str, *, failed: bool) -> list[str]:
    """Send to each, and return warnings that name none of the addresses."""
    import apprise  # late: it is large, and few runs need it

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    logger.propagate = False
    warnings = []
    try:
        for number, url in enumerate(urls, 1):
            heard.lines.clear()
            service = apprise.Apprise()
            kind = apprise.NotifyType.FAILURE if failed else apprise.NotifyType.SUCCESS
            sent = service.add(url) and service.notify(body, title, kind, body_format=apprise.NotifyFormat.TEXT)
            if not sent:
                said = _without(url, " ".join(heard.lines[-3:])) or "Apprise does not say why"
                scheme = url.partition(":")[0]
                warnings.append(f"A report failed, message number {number} ({scheme}): {said.rstrip('.')}.")
    finally:
        logger.removeHandler(heard)
    return warnings


def _without(url: str, text: str) -> str:
    """Without any part of an address, since most of them are keys."""
    rest = url.partition("://")[2]
    parts = {one for whole in (rest, unquote(rest)) for one in re.split(r"[/:@?&=,]", whole) if len(one) >= _SHORTEST}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, MASK)
    return text
