"""Secrets of the environment: which they are, and how they are kept out of what is printed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "********"
# Who knows the address of a ping or a message can send one.
_NAMES = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|HEALTHCHECKS_URL|UPTIME_KUMA_URL|APPRISE_URLS", re.I)
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
    text = hide(text, [value for _name, value in secret_values(environment)])
    return _IN_OPTIONS.sub(rf"\1{MASK}", _IN_URL.sub(rf"\1:{MASK}@", text))


def hide(text: str, secrets: Iterable[str]) -> str:
    """A text without these secrets, and without the lines of those that have several."""
    lines = {line for secret in secrets for line in (secret, *secret.splitlines()) if len(line) >= _SHORTEST}
    for line in sorted(lines, key=len, reverse=True):
        text = text.replace(line, MASK)
    return text


def secrets_of(options: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """The values of a job that its schema calls secrets."""
    for name, option in schema.items():
        value = options.get(name)
        if not value:
            continue
        if option.get("no_log"):
            yield from value if isinstance(value, list) else [value]
        elif isinstance(value, Mapping):
            yield from secrets_of(value, option.get("options", {}))
