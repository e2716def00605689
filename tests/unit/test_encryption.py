"""encryption.py: the option is checked, and what would not be used or could be guessed is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.encryption import Encryption, checked_encryption
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

NAMES = ("passphrase", "encrypt_keys", "sign_key", "public_keys", "secret_keys")
KEY = "0123456789ABCDEF0123456789abcdef01234567"
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
    ],
)
def test_refused(mode: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        checked(mode, **options)


def test_secrets_are_in_no_text() -> None:
    made = checked("gpg", encrypt_keys=[KEY], passphrase="canary one", secret_keys="canary two", public_keys="open")
    assert "canary" not in repr(made)
    assert "open" in repr(made)
