"""encryption.py: the option is checked, and what would not be used or could be guessed is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import openpgp
from ansible_collections.permafrost.backup.plugins.module_utils.encryption import Encryption, checked_encryption
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, SecretKeyMissing
from unit import keyring

NAMES = ("passphrase", "encrypt_keys", "sign_key", "public_keys", "secret_keys")
KEY = "0123456789ABCDEF0123456789abcdef01234567"
CURVE = keyring.options("curve")
CURVE_SECRET = keyring.armoured("secret", "curve")
RELABELLED = keyring.armoured("public", "curve").replace("PUBLIC", "PRIVATE")
OPEN = ("web01", "/srv/data", "s3://acme-dr/web01")


def checked(mode: str, **given_options: Any) -> Encryption:
    return checked_encryption({"mode": mode, **dict.fromkeys(NAMES), **given_options}, OPEN)


def test_none() -> None:
    assert checked("none") == Encryption("none")


@given(st.text(min_size=1))
def test_a_passphrase_is_taken_as_it_is_or_refused_untold(passphrase: str) -> None:
    wrong = any(letter in passphrase for letter in "\n\r\0") or any(passphrase in word for word in OPEN)
    if not wrong:
        assert checked("symmetric", passphrase=passphrase).passphrase == passphrase
        return
    with pytest.raises(BadInput) as caught:
        checked("symmetric", passphrase=passphrase)
    assert str(caught.value.facts) == "{}"


@given(st.text("0123456789abcdefABCDEF", min_size=38, max_size=42), st.sampled_from(["", "0x"]), st.integers(0, 10))
def test_a_fingerprint_has_forty_digits(digits: str, before: str, blank: int) -> None:
    written = f"{before}{digits[:blank]} {digits[blank:]}"
    if len(digits) == 40:
        assert checked("gpg", encrypt_keys=[written]).encrypt_keys == (digits.upper(),)
    else:
        with pytest.raises(BadInput, match="is not a fingerprint"):
            checked("gpg", encrypt_keys=[written])


@pytest.mark.parametrize(
    ("mode", "options", "told"),
    [
        ("none", {"passphrase": "x y z"}, "job.encryption has passphrase, but mode none"),
        ("none", {"public_keys": "k", "encrypt_keys": [KEY]}, "has encrypt_keys, public_keys, but mode none"),
        ("symmetric", {"passphrase": "x y z", "public_keys": "k"}, "has keys, but mode symmetric"),
        ("symmetric", {"passphrase": "x y z", "sign_key": KEY}, "has keys, but mode symmetric"),
        ("symmetric", {}, "passphrase is empty"),
        ("gpg", {"encrypt_keys": []}, "encrypt_keys is empty"),
        ("gpg", {"encrypt_keys": ["01234567"]}, "is not a fingerprint of 40"),
        ("gpg", {"encrypt_keys": [KEY], "sign_key": "me@example.com"}, "sign_key 'me@example.com' is not a fing"),
        ("gpg", {"encrypt_keys": [KEY], "passphrase": "a\nb"}, "passphrase is empty, has more than one line"),
        ("gpg", {"encrypt_keys": [KEY], "passphrase": "x y z"}, "opens secret_keys in mode gpg, and there are none"),
        ("gpg", {"encrypt_keys": [KEY], "public_keys": "garbage"}, "encryption.public_keys holds no block from"),
        ("gpg", {"encrypt_keys": [KEY], "secret_keys": CURVE["public_keys"]}, "secret_keys holds a PUBLIC KEY BLOCK"),
        ("gpg", {"encrypt_keys": [KEY], "public_keys": CURVE_SECRET}, "public_keys holds a PRIVATE KEY BLOCK"),
        ("gpg", {"encrypt_keys": [KEY], "secret_keys": RELABELLED}, "secret_keys holds no secret key"),
        ("gpg", {"encrypt_keys": [KEY], "public_keys": keyring.armoured("public", "of version 5")}, "of version 4"),
    ],
)
def test_refused(mode: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        checked(mode, **options)
    assert CURVE_SECRET.splitlines()[3] not in caught.value.message + str(caught.value.facts)


def test_secrets_are_in_no_text() -> None:
    made = checked(**{**CURVE, "passphrase": "canary one", "secret_keys": CURVE_SECRET})
    assert made.secret_keys
    assert "canary" not in repr(made)
    assert repr(made.secret_keys)[20:60] not in repr(made)
    assert CURVE["encrypt_keys"][0] in repr(made)


def test_a_backup_wants_the_public_keys_of_all_that_it_encrypts_for() -> None:
    checked(**keyring.options("curve", "rsa")).require_for_backup()
    with pytest.raises(BadInput, match="public_keys is missing"):
        checked("gpg", encrypt_keys=[KEY]).require_for_backup()
    lacking = keyring.options("curve", "rsa", public_keys=keyring.armoured("public", "rsa"))
    with pytest.raises(BadInput, match=f"names {CURVE['encrypt_keys'][0]}, which is not in public_keys"):
        checked(**lacking).require_for_backup()
    # A secret key holds its public one.
    checked("gpg", encrypt_keys=CURVE["encrypt_keys"], secret_keys=CURVE_SECRET).require_for_backup()


@pytest.mark.parametrize("which", [0, 1], ids=["the key", "its subkey"])
def test_signing_wants_the_secret_key(which: int) -> None:
    signing = {**CURVE, "sign_key": keyring.fingerprints("rsa")[which]}
    for public in ("curve", "rsa"):
        with pytest.raises(BadInput, match="whose secret key is not in secret_keys"):
            checked(**{**signing, "public_keys": keyring.armoured("public", "curve", public)}).require_for_backup()
    checked(**signing, secret_keys=keyring.armoured("secret", "rsa")).require_for_backup()


def test_a_restore_wants_a_secret_key_and_who_signed() -> None:
    with pytest.raises(SecretKeyMissing, match="a restore decrypts volumes"):
        checked(**CURVE).require_for_restore()
    opened = {**CURVE, "secret_keys": CURVE_SECRET}
    checked(**opened).require_for_restore()
    with pytest.raises(BadInput, match="no signature could be checked"):
        checked(**opened, sign_key=KEY).require_for_restore()
    checked(**opened, sign_key=keyring.fingerprints("curve")[0]).require_for_restore()
    checked("none").require_for_restore()
    checked("symmetric", passphrase="x y z").require_for_restore()


def test_who_opens_what_he_encrypts() -> None:
    assert checked("symmetric", passphrase="x y z").opens_own
    assert not checked("none").opens_own
    assert not checked(**CURVE).opens_own
    assert checked(**CURVE, secret_keys=CURVE_SECRET).opens_own
    assert not checked(**CURVE, secret_keys=keyring.armoured("secret", "rsa")).opens_own


@pytest.mark.parametrize(
    ("keys", "message", "fits"),
    [
        (("curve",), "curve", True), (("rsa",), "curve", False), (("curve", "rsa"), "two", True),
        (("rsa", "curve"), "two", True), (("curve",), "two", False), (("curve", "rsa"), "curve", False),
        (("curve",), "both", False), (("curve",), "passphrase", False), (("curve",), "hidden", False),
    ],
)  # fmt: skip
def test_a_message_fits_when_it_is_for_these_keys_and_nobody_else(
    keys: tuple[str, ...], message: str, fits: bool
) -> None:
    found = openpgp.recipients(keyring.message(message))
    assert found
    assert checked(**keyring.options(*keys)).fits(found) is fits


def test_a_subkey_stands_for_its_key() -> None:
    found = openpgp.recipients(keyring.message("nist"))
    assert found
    for fingerprint in keyring.fingerprints("nist"):
        assert checked(**keyring.options("nist", encrypt_keys=[fingerprint])).fits(found)
