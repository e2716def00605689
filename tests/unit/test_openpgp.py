"""openpgp.py: keys and messages that gpg made are read as gpg reads them; what is none is refused with a reason."""

from __future__ import annotations

import base64
import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import openpgp
from ansible_collections.permafrost.backup.plugins.module_utils.openpgp import Certificate, Recipients
from unit.keyring import NAMES, armoured, fingerprints, message

PUBLIC, PRIVATE = "PUBLIC KEY BLOCK", "PRIVATE KEY BLOCK"
KINDS = {"public": PUBLIC, "secret": PRIVATE}
TEXT = armoured("public", "curve")


def key_id(name: str) -> str:
    """What a message for the key names: its subkey."""
    return fingerprints(name)[1][-16:]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_keys_have_the_fingerprints_that_gpg_tells(name: str, kind: str) -> None:
    content = openpgp.dearmored(armoured(kind, name), KINDS[kind])
    assert openpgp.certificates(content) == (Certificate(fingerprints(name), kind == "secret"),)


def test_several_exports_one_after_the_other() -> None:
    text = "kept by the team:\n" + "\nand the other one\n".join(armoured("public", name) for name in NAMES)
    found = openpgp.certificates(openpgp.dearmored(text, PUBLIC))
    assert [one.fingerprints for one in found] == [fingerprints(name) for name in NAMES]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: re.sub("^", "    ", text, flags=re.MULTILINE),
        lambda text: text.replace("BLOCK-----\n\n", "BLOCK-----\nComment: of web01\nVersion: GnuPG v2\n\n", 1),
        lambda text: re.sub(r"^=.{4}\n", "", text, flags=re.MULTILINE),
        lambda text: text.rstrip("\n"),
    ],
    ids=["carriage returns", "indented", "headers", "no checksum", "no newline"],
)
def test_armour_as_people_pass_it_on(change: object) -> None:
    assert callable(change)
    changed = change(TEXT)
    assert changed != TEXT
    assert openpgp.dearmored(changed, PUBLIC) == openpgp.dearmored(TEXT, PUBLIC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no block"), ("8A51E3DD", "holds no block"), (TEXT[:200], "holds no block"),
        (TEXT.replace("\n", " "), "holds no block"),
        (armoured("secret", "curve"), "holds a PRIVATE KEY BLOCK, where only a PUBLIC KEY BLOCK is wanted"),
        (TEXT + armoured("secret", "rsa"), "holds a PRIVATE KEY BLOCK"),
        (TEXT.replace("\n\n", "\n", 1), "lacks the empty line"),
        (TEXT.replace("\n\n", "\n\n*", 1), "is not whole"),
    ],
)  # fmt: skip
def test_what_is_no_armour(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        openpgp.dearmored(text, PUBLIC)


@given(st.integers(0, 200), st.sampled_from("ABCDEFGHabcdefgh0123456789+/"))
def test_a_changed_letter_is_noticed(place: int, letter: str) -> None:
    begin = TEXT.index("\n\n") + 2
    at = begin + place + TEXT[begin : begin + place].count("\n")
    changed = TEXT[:at] + letter + TEXT[at + 1 :]
    if letter != TEXT[at] and TEXT[at] != "\n":
        with pytest.raises(ValueError, match=r"is damaged|is not whole|lacks"):
            openpgp.dearmored(changed, PUBLIC)


def test_a_key_of_a_later_version_is_refused() -> None:
    content = openpgp.dearmored(armoured("public", "of version 5"), PUBLIC)
    with pytest.raises(ValueError, match="holds no OpenPGP key of version 4"):
        openpgp.certificates(content)


@pytest.mark.parametrize("name", NAMES)
def test_a_message_names_its_key(name: str) -> None:
    assert openpgp.recipients(message(name)) == Recipients(frozenset({key_id(name)}), passphrase=False)


def test_who_opens_a_message() -> None:
    two = frozenset({key_id("curve"), key_id("rsa")})
    assert openpgp.recipients(message("two")) == Recipients(two, passphrase=False)
    assert openpgp.recipients(message("both")) == Recipients(frozenset({key_id("curve")}), passphrase=True)
    for name in ("passphrase", "old"):
        assert openpgp.recipients(message(name)) == Recipients(frozenset(), passphrase=True)
    hidden = openpgp.recipients(message("hidden"))
    assert hidden
    assert hidden.hidden
    assert not Recipients(two, passphrase=False).hidden


def test_what_is_not_encrypted_is_for_nobody() -> None:
    for content in (b"", b"encrypted", b"\x1f\x8b\x08", message("signed"), base64.b64decode("mDMEAA==")):
        assert openpgp.recipients(content) is None


@given(st.sampled_from(["two", "both", "passphrase"]), st.integers(0, 60))
def test_a_message_that_was_cut_off_is_never_for_others(name: str, size: int) -> None:
    whole, cut = openpgp.recipients(message(name)), openpgp.recipients(message(name)[:size])
    assert whole
    assert cut is None or cut.key_ids <= whole.key_ids


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    openpgp.recipients(content)
    with contextlib.suppress(ValueError):
        assert openpgp.certificates(content)


@given(st.sampled_from(NAMES), st.integers(1, 1200))
def test_of_a_key_that_was_cut_off_whole_packets_count_at_most(name: str, size: int) -> None:
    """Between two packets a cut does not show here: the checksum of the armour tells it."""
    content = openpgp.dearmored(armoured("secret", name), PRIVATE)
    try:
        found = openpgp.certificates(content[:size])
    except ValueError:
        return
    assert [one.fingerprints == fingerprints(name)[: len(one.fingerprints)] for one in found] == [True]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_was_cut_off_in_a_packet_is_refused(name: str) -> None:
    content = openpgp.dearmored(armoured("secret", name), PRIVATE)
    for size in (1, 2, 20, 60, len(content) - 1):
        with pytest.raises(ValueError, match=r"is cut off|holds no"):
            openpgp.certificates(content[:size])
