"""Secrets of the environment: which they are, and how they are kept out of what is printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "********"
_NAMES = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE", re.I)
# Shorter ones would be found in anything.
_SHORTEST = 8
_IN_URL = re.compile(r"(?<=://)([^/@:\s]*):([^/@\s]+)@")
_IN_OPTIONS = re.compile(r"(--passphrase[= ])(?!-)\S+")


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret: AWS_SECRET_ACCESS_KEY, PASSPHRASE, SMTP_PASSWORD and the like."""
    return bool(_NAMES.search(name))


def secret_values(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and value of each secret, the longest first."""
    found = [(name, value) for name, value in environment.items() if is_secret(name) and len(value) >= _SHORTEST]
    return sorted(found, key=lambda one: -len(one[1]))


def mask(text: str, environment: Mapping[str, str]) -> str:
    """A text without the environment's secrets, passwords of URLs and passphrases of gpg's options."""
    for _name, value in secret_values(environment):
        text = text.replace(value, MASK)
    return _IN_OPTIONS.sub(rf"\1{MASK}", _IN_URL.sub(rf"\1:{MASK}@", text))
