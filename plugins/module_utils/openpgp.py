# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be known of OpenPGP keys and messages without gpg: whose keys these are, and for whom a file is encrypted.

Pure. Armour and packets as RFC 4880 and RFC 9580 describe them; keys of version 4 only, which is what gpg makes for
fingerprints of 40 digits. Nothing here decides whether a key is valid: that is gpg's part.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(
    r"-----BEGIN PGP (?P<kind>[A-Z ]+)-----[ \t]*\n(?P<body>.*?)^-----END PGP (?P=kind)-----", re.DOTALL | re.MULTILINE
)
_CHECKSUM = re.compile(r"=([A-Za-z0-9+/]{4})\Z")

_PKESK, _SKESK, _SECRET_KEY, _PUBLIC_KEY, _SECRET_SUBKEY, _MARKER, _PUBLIC_SUBKEY = 1, 3, 5, 6, 7, 10, 14
# Public-key algorithm: how many numbers (MPIs) its public part has; for curves an object identifier comes first.
_NUMBERS = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
_CURVES = (18, 19, 22)
_ECDH = 18
# RFC 9580: keys of a fixed length in bytes (X25519, X448, Ed25519, Ed448).
_FIXED = {25: 32, 26: 56, 27: 32, 28: 57}
_HIDDEN = "0" * 16


@dataclass(frozen=True)
class Certificate:
    """One key as people speak of it: the fingerprints of a primary key and of its subkeys."""

    fingerprints: tuple[str, ...]
    secret: bool

    @property
    def key_ids(self) -> frozenset[str]:
        """What encrypted files and signatures name: the last 16 digits of each fingerprint."""
        return frozenset(one[-16:] for one in self.fingerprints)


@dataclass(frozen=True)
class Recipients:
    """Who can open a message: the keys with these IDs, whoever knows its passphrase, or both."""

    key_ids: frozenset[str]
    passphrase: bool

    @property
    def hidden(self) -> bool:
        """Whether it is encrypted for keys that it does not name."""
        return _HIDDEN in self.key_ids


def dearmored(text: str, kind: str) -> bytes:
    """The binary of all blocks of ``kind`` (such as PUBLIC KEY BLOCK) in a text. Raises ValueError with the reason."""
    lines = "\n".join(line.strip() for line in text.splitlines())
    blocks = list(_BLOCK.finditer(lines + "\n"))
    if not blocks:
        raise ValueError("holds no block from -----BEGIN PGP to -----END PGP, as gpg --armor prints it")
    others = sorted({block["kind"] for block in blocks} - {kind})
    if others:
        raise ValueError(f"holds a {others[0]}, where only a {kind} is wanted")
    return b"".join(_decoded(block["body"]) for block in blocks)


def _decoded(body: str) -> bytes:
    headers, blank, data = body.partition("\n\n") if not body.startswith("\n") else ("", "\n", body[1:])
    if not blank or any(": " not in line for line in headers.split("\n") if line):
        raise ValueError("lacks the empty line below -----BEGIN PGP: were its lines folded?")
    encoded = "".join(data.split("\n"))
    checksum = _CHECKSUM.search(encoded)
    try:
        content = base64.b64decode(encoded[: checksum.start()] if checksum else encoded, validate=True)
    except binascii.Error:
        raise ValueError("is not whole: its lines are not base64") from None
    if checksum and base64.b64decode(checksum[1]) != _crc24(content).to_bytes(3, "big"):
        raise ValueError("is damaged: its checksum is another")
    return content


def _crc24(content: bytes) -> int:
    crc = 0xB704CE
    for octet in content:
        crc ^= octet << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


def certificates(content: bytes) -> tuple[Certificate, ...]:
    """The keys of an export, public or secret. Raises ValueError for what is none."""
    found: list[list[str]] = []
    secret: list[bool] = []
    for tag, body in _packets(content):
        if tag in (_PUBLIC_KEY, _SECRET_KEY):
            found.append([])
            secret.append(tag == _SECRET_KEY)
        if tag in (_PUBLIC_KEY, _SECRET_KEY, _PUBLIC_SUBKEY, _SECRET_SUBKEY) and body[:1] == b"\x04" and found:
            public = body if tag in (_PUBLIC_KEY, _PUBLIC_SUBKEY) else body[: _public_size(body)]
            found[-1].append(_fingerprint(public))
    known = [Certificate(tuple(one), is_secret) for one, is_secret in zip(found, secret) if one]
    if not known:
        raise ValueError("holds no OpenPGP key of version 4")
    return tuple(known)


def recipients(message: bytes) -> Recipients | None:
    """For whom a message is encrypted, from its first packets; None when it does not look like a message."""
    key_ids: set[str] = set()
    passphrase = False
    try:
        for tag, body in _packets(message):
            if tag == _PKESK and len(body) > 9 and body[0] == 3:
                key_ids.add(body[1:9].hex().upper())
            elif tag == _SKESK:
                passphrase = True
            elif tag != _MARKER:
                break
    except ValueError:
        return None
    return Recipients(frozenset(key_ids), passphrase) if key_ids or passphrase else None


def _packets(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet. One whose length is told in parts, as data have, ends it with an empty body."""
    at = 0
    while at < len(content):
        octet = content[at]
        if not octet & 0x80:
            raise ValueError("is not OpenPGP data")
        tag, start, size = (_new if octet & 0x40 else _old)(content, at)
        if size is None:
            yield tag, b""
            return
        if start + size > len(content):
            raise ValueError("is cut off")
        yield tag, content[start : start + size]
        at = start + size


def _new(content: bytes, at: int) -> tuple[int, int, int | None]:
    """Tag, start of the body, and its size, of a packet with a header of the new format."""
    tag, first = content[at] & 0x3F, _octets(content, at + 1, 1)
    if first < 192:
        return tag, at + 2, first
    if first < 224:
        return tag, at + 3, (first - 192 << 8) + _octets(content, at + 2, 1) + 192
    return tag, at + 6, _octets(content, at + 2, 4) if first == 255 else None


def _old(content: bytes, at: int) -> tuple[int, int, int | None]:
    tag, kind = content[at] >> 2 & 0x0F, content[at] & 3
    if kind == 3:
        return tag, at + 1, None
    octets = 1 << kind
    return tag, at + 1 + octets, _octets(content, at + 1, octets)


def _octets(content: bytes, at: int, count: int) -> int:
    if at + count > len(content):
        raise ValueError("is cut off")
    return int.from_bytes(content[at : at + count], "big")


def _fingerprint(public: bytes) -> str:
    framed = b"\x99" + len(public).to_bytes(2, "big") + public
    return hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()


def _public_size(body: bytes) -> int:
    """How much of a secret key packet is the public key that it begins with."""
    algorithm = _octets(body, 5, 1)
    at = 6  # version, time of creation, algorithm
    if algorithm in _FIXED:
        return at + _FIXED[algorithm]
    if algorithm in _CURVES:
        at += 1 + _octets(body, at, 1)
    elif algorithm not in _NUMBERS:
        raise ValueError(f"holds a key of the algorithm {algorithm}, which is not known here")
    for _number in range(_NUMBERS.get(algorithm, 1)):
        at += 2 + (_octets(body, at, 2) + 7) // 8
    if algorithm == _ECDH:
        at += 1 + _octets(body, at, 1)
    return at
