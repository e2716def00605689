"""What is backed up. Made once, always the same bytes.

A and B are those of the README: 20,000 files of 1 KB; 1 GiB of noise and 200 MiB of text. C has 100,000 small files,
D one file of 2 GB. N has a million empty ones, for their names.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from lab.places import LAB

SMALL_FILES = {"A": 20_000, "C": 100_000, "N": 1_000_000}
SMALL_BYTES = {"A": 1_000, "C": 1_000, "N": 0}
LARGE_BYTES = 2_000_000_000
RANDOM_MIB = 1024
TEXT_MIB = 200
_MIB = 1024 * 1024


def make(name: str) -> Path:
    """The directory of a data set."""
    final = LAB / "bench" / name
    if not final.exists():
        draft = final.with_suffix(".new")
        draft.mkdir(parents=True, exist_ok=True)
        makers = {"B": _large, "D": _single}
        makers.update({small: partial(_small, SMALL_FILES[small], SMALL_BYTES[small]) for small in SMALL_FILES})
        makers[name](draft)
        draft.rename(final)
    return final


def _small(count: int, size: int, directory: Path) -> None:
    chance = random.Random(1)
    for number in range(count):
        folder = directory / f"{number // 200:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{number:05}.txt").write_bytes(_text(chance, size))


def _single(directory: Path) -> None:
    chance = random.Random(3)
    with (directory / "single.bin").open("wb") as out:
        for _ in range(LARGE_BYTES // 1_000_000):
            out.write(chance.randbytes(1_000_000))


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
