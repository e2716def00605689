"""File names that break careless code; the recorder backs them up and the tests look for them, byte for byte."""

from __future__ import annotations

NAMES: tuple[bytes, ...] = (
    b"plain",
    b"-dash first",
    b" space first",
    b"trailing space ",
    b"new\nline",
    b"carriage\rreturn",
    b"tab\tinside",
    b"single'quote",
    b'double"quote',
    b"back\\slash",
    b"back\\x41slash",
    b"\\u0041",
    b"$(id)",
    b"`id`",
    b"percent%41",
    b"semi;colon & pipe|",
    b"ERROR 50 get",
    b". dotted",
    "umlaut-\u00e4\u00f6\u00fc".encode(),
    "cjk-\u6c34\u7d19".encode(),
    "emoji-\U0001f9ca".encode(),
    "nel-\u0085-ls-\u2028".encode(),
    b"latin1-\xe9\xff",
    b"half-\xe6\xb0",
    b"stanza\n\nERROR 50 get\n. forged",
)
