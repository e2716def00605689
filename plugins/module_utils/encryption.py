# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a job's backup is encrypted: not at all, with a passphrase, or with GnuPG keys.

Pure. Secrets are files in the container (``SECRETS`` of surroundings.py), which gpg reads itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import openpgp
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, SecretKeyMissing

_FINGERPRINT = re.compile(r"(?:0x)?[0-9A-Fa-f]{40}\Z")


@dataclass(frozen=True)
class Encryption:
    """``mode`` is none, symmetric or gpg. ``public_keys`` and ``secret_keys`` are binary exports, as gpg reads them."""

    mode: str
    passphrase: str | None = field(default=None, repr=False)
    encrypt_keys: tuple[str, ...] = ()
    sign_key: str | None = None
    public_keys: bytes | None = field(default=None, repr=False)
    secret_keys: bytes | None = field(default=None, repr=False)
    certificates: tuple[openpgp.Certificate, ...] = ()

    def certificate(self, fingerprint: str) -> openpgp.Certificate | None:
        """The given key with this fingerprint, which may be that of a subkey."""
        found = [one for one in self.certificates if fingerprint in one.fingerprints]
        return max(found, key=lambda one: one.secret, default=None)

    @property
    def opens_own(self) -> bool:
        """Whether the job has what opens what it encrypts."""
        keys = map(self.certificate, self.encrypt_keys)
        return self.mode == "symmetric" or any(one.secret for one in keys if one)

    def require_for_backup(self) -> None:
        """Raise BadInput unless all keys are there that a backup encrypts for and signs with."""
        for key in self.encrypt_keys:
            if not self.certificates:
                raise BadInput("job.encryption.public_keys is missing: a backup in mode gpg encrypts for these keys.")
            if self.certificate(key) is None:
                raise BadInput(f"job.encryption.encrypt_keys names {key}, which is not in public_keys.")
        signer = self.certificate(self.sign_key) if self.sign_key else None
        if self.sign_key and not (signer and signer.secret):
            raise BadInput(f"job.encryption.sign_key is {self.sign_key}, whose secret key is not in secret_keys.")

    def require_for_restore(self) -> None:
        """Raise unless volumes can be decrypted, and their signatures checked if they are to be."""
        if self.mode == "gpg" and self.secret_keys is None:
            raise SecretKeyMissing("job.encryption.secret_keys is missing, and a restore decrypts volumes.")
        if self.sign_key and not self.certificate(self.sign_key):
            raise BadInput(
                f"job.encryption.sign_key is {self.sign_key}, which is in neither public_keys nor secret_keys: no "
                "signature could be checked."
            )

    def fits(self, recipients: openpgp.Recipients) -> bool:
        """Whether a message is encrypted for the encrypt_keys, for each of them and for nobody else."""
        wanted = [one.key_ids for one in map(self.certificate, self.encrypt_keys) if one]
        return (
            not recipients.passphrase
            and all(ids & recipients.key_ids for ids in wanted)
            and recipients.key_ids <= frozenset().union(*wanted)
        )


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
    public, of_public = _keys("public_keys", "PUBLIC KEY BLOCK", given)
    secret, of_secret = _keys("secret_keys", "PRIVATE KEY BLOCK", given)
    if mode == "gpg" and passphrase is not None and secret is None:
        raise BadInput("job.encryption.passphrase opens secret_keys in mode gpg, and there are none.")
    return Encryption(
        mode=mode,
        passphrase=passphrase,
        encrypt_keys=keys,
        sign_key=_fingerprint("sign_key", given["sign_key"]) if "sign_key" in given else None,
        public_keys=public,
        secret_keys=secret,
        certificates=(*of_public, *of_secret),
    )


def _keys(option: str, kind: str, given: Mapping[str, Any]) -> tuple[bytes | None, tuple[openpgp.Certificate, ...]]:
    """The binary form of armoured keys, and whose they are."""
    if option not in given:
        return None, ()
    try:
        content = openpgp.dearmored(given[option], kind)
        found = openpgp.certificates(content)
    except ValueError as error:
        raise BadInput(f"job.encryption.{option} {error}.") from None
    if kind.startswith("PRIVATE") and not any(one.secret for one in found):
        raise BadInput(f"job.encryption.{option} holds no secret key.")
    return content, found


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
