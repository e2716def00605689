# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a job's backup is encrypted: not at all, with a passphrase, or with GnuPG keys.

Pure. Secrets are files in the container (``SECRETS`` of command.py), which gpg reads itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

_FINGERPRINT = re.compile(r"(?:0x)?[0-9A-Fa-f]{40}\Z")


@dataclass(frozen=True)
class Encryption:
    """``mode`` is none, symmetric or gpg; ``public_keys`` and ``secret_keys`` are armoured exports."""

    mode: str
    passphrase: str | None = field(default=None, repr=False)
    encrypt_keys: tuple[str, ...] = ()
    sign_key: str | None = None
    public_keys: str | None = None
    secret_keys: str | None = field(default=None, repr=False)


def checked_encryption(options: Mapping[str, Any], open_words: tuple[str, ...]) -> Encryption:
    """The encryption option. ``open_words`` are what anybody may see of the job: no passphrase is part of them."""
    mode: str = options["mode"]
    given = {name: value for name, value in options.items() if value is not None and name != "mode"}
    passphrase = given.get("passphrase")
    if mode == "none" and given:
        raise BadInput(f"job.encryption has {', '.join(sorted(given))}, but mode none: nothing would be encrypted.")
    if mode == "symmetric" and set(given) - {"passphrase"}:
        raise BadInput("job.encryption has keys, but mode symmetric: they would not be used.")
    if mode == "symmetric" or passphrase is not None:
        _check_passphrase(passphrase, open_words)
    keys = tuple(_fingerprint("encrypt_keys", key) for key in given.get("encrypt_keys", ()))
    if mode == "gpg" and not keys:
        raise BadInput("job.encryption.encrypt_keys is empty: mode gpg encrypts for at least one key.")
    return Encryption(
        mode=mode,
        passphrase=passphrase,
        encrypt_keys=keys,
        sign_key=_fingerprint("sign_key", given["sign_key"]) if "sign_key" in given else None,
        public_keys=given.get("public_keys"),
        secret_keys=given.get("secret_keys"),
    )


def _check_passphrase(passphrase: str | None, open_words: tuple[str, ...]) -> None:
    # gpg --passphrase-file reads the first line only: a longer passphrase would silently be cut there.
    if not passphrase or re.search(r"[\n\r\0]", passphrase):
        raise BadInput("job.encryption.passphrase is empty, has more than one line or holds a NUL.")
    # Ansible masks it wherever it occurs in a result: keys of a plan would be unusable.
    if any(passphrase in word for word in open_words):
        raise BadInput(
            "job.encryption.passphrase is part of the job's name, source or target, so anybody could guess it."
        )


def _fingerprint(option: str, key: str) -> str:
    """The whole fingerprint: short key IDs can be forged."""
    text = key.replace(" ", "")
    if not _FINGERPRINT.match(text):
        raise BadInput(f"job.encryption.{option} '{key}' is not a fingerprint of 40 hexadecimal digits.")
    return text.removeprefix("0x").upper()
