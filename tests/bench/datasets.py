"""The two sources of facts and README: A, many small files; B, few large ones. Made once, always the same bytes."""

from __future__ import annotations

import random
from pathlib import Path

from lab.places import LAB

SMALL_FILES = 20_000
SMALL_BYTES = 1_000
RANDOM_MIB = 1024
TEXT_MIB = 200
_MIB = 1024 * 1024


def make(name: str) -> Path:
    """The directory of data set A or B."""
    final = LAB / "bench" / name
    if not final.exists():
        draft = final.with_suffix(".new")
        draft.mkdir(parents=True, exist_ok=True)
        {"A": _small, "B": _large}[name](draft)
        draft.rename(final)
    return final


def _small(directory: Path) -> None:
    chance = random.Random(1)
    for number in range(SMALL_FILES):
        folder = directory / f"{number // 200:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{number:05}.txt").write_bytes(_text(chance, SMALL_BYTES))


def _large(directory: Path) -> None:
    chance = random.Random(2)
    for number in range(4):
        with (directory / f"random-{number}.bin").open("wb") as out:
            for _ in range(RANDOM_MIB // 4):
                out.write(chance.randbytes(_MIB))
    with (directory / "text.log").open("wb") as out:
        for _ in range(TEXT_MIB):
            out.write(_text(chance, _MIB))


def _text(chance: random.Random, size: int) -> bytes:
    """Lines such as a log's: words from a small stock, numbers that differ."""
    words = (b"GET", b"POST", b"/index.html", b"/api/v1/items", b"200", b"404", b"Mozilla/5.0", b"host-a", b"host-b")
    out = bytearray()
    while len(out) < size:
        out += b" ".join(chance.choices(words, k=8)) + b" %d\n" % chance.randrange(10**9)
    return bytes(out[:size])
