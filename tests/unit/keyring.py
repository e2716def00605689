"""The recorded keys and messages of openpgp.json."""

from __future__ import annotations

import base64
import json
from typing import Any

from unit.record_openpgp import RECORDED

_FOUND: dict[str, dict[str, str]] = json.loads(RECORDED.read_text())
NAMES = tuple(_FOUND["fingerprints"])


def message(name: str) -> bytes:
    """A message as gpg wrote it."""
    return base64.b64decode(_FOUND["message"][name])


def armoured(kind: str, *names: str) -> str:
    """Exports one after the other; ``kind`` is public or secret."""
    return "".join(base64.b64decode(_FOUND[kind][name]).decode() for name in names)


def fingerprints(name: str) -> tuple[str, ...]:
    """Those that gpg tells: of the primary key, then of its subkeys."""
    return tuple(base64.b64decode(_FOUND["fingerprints"][name]).decode().split())


def options(*names: str, **others: Any) -> dict[str, Any]:
    """The option encryption of a job for these keys."""
    keys = [fingerprints(name)[0] for name in names]
    return {"mode": "gpg", "encrypt_keys": keys, "public_keys": armoured("public", *names), **others}
