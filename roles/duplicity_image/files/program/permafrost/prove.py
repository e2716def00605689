"""permafrost prove: compare a restored tree with duplicity's signatures of its time.

I/O. Signatures lie in the archive directory, so this is another road than the volumes that the tree came from: no thaw,
no network, no secret. The tar headers of the signature files say what each entry must be; of a file's content the same
librsync signature is made once more. Both trees are read in the order of their paths, so that memory does not grow.
"""

from __future__ import annotations

import gzip
import json
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import proof
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.proof import Difference, Facts, Proof
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ARCHIVE, RESTORE, RUN

_TYPES = {
    stat.S_IFREG: "reg",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "sym",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "sock",
    stat.S_IFCHR: "chr",
    stat.S_IFBLK: "blk",
}
# The head of a signature (librsync's whole.c): magic number, length of blocks, length of the strong sum of each. The
# first and the last are those that duplicity always asks for.
_HEAD = struct.Struct(">III")
_MAGIC, _STRONG = 0x72730136, 8
_PIECE = 1 << 16


def prove() -> int:
    """Compare what the order names, and write the answer beside it. 1 when something differs."""
    order = json.loads(Path(RUN, proof.ORDER).read_text(encoding="utf-8"))
    found = _compare(order)
    with Path(RUN, proof.ANSWER).open("w", encoding="utf-8") as answer:
        answer.writelines(f"{line}\n" for line in found.lines())
    print(f"{found.files} files, {found.size_bytes} bytes compared: {sum(found.kinds.values())} differences")
    return 0 if found.proven else 1


def _compare(order: dict[str, Any]) -> Proof:
    tree = os.fsencode(f"{RESTORE}/{order['tree']}")
    rules = proof.Rules(owners=order["owners"], root_mtime=order["root_mtime"])
    signatures = _Signatures([f"{ARCHIVE}/{name}" for name in order["signatures"]], order["path"])
    result = Proof()
    for wanted, found, alone in proof.pairs(signatures, _walk(tree, set(order["ignored"]))):
        for one in alone:
            result.add(one)
        if wanted is None or found is None:
            continue
        for one in proof.differing(wanted, found, rules):
            result.add(one)
        size = 0
        if wanted.type == found.type == "reg":
            size, same = _same_content(signatures.content(), b"/".join((tree, *found.path)))
            if not same:
                result.add(Difference(wanted.name, proof.CONTENT))
        result.count(found.type, size)
    return result


class _Signatures:
    """The entries of a backup at the time of the last of its signature files, by duplicity's own reading of them.

    While one entry is looked at, ``content`` gives the signature of its file.
    """

    def __init__(self, files: list[str], path: str) -> None:
        from duplicity import config, diffdir, log, patchdir  # late: they are in the image alone

        log.setup()
        config.numeric_owner = True
        self._entries = diffdir.get_combined_path_iter([_opened(name) for name in files])
        index = tuple(os.fsencode(path).split(b"/")) if path else ()
        if index:
            self._entries = patchdir.filter_path_iter(self._entries, index)
        self._current: Any = None

    def __iter__(self) -> Iterator[Facts]:
        for entry in self._entries:
            if entry.difftype == "deleted":
                continue
            self._current = entry
            yield Facts(
                entry.index,
                entry.type,
                entry.mode,
                entry.stat.st_uid,
                entry.stat.st_gid,
                entry.stat.st_mtime,
                entry.symtext if entry.issym() else b"",
                entry.devnums if entry.isdev() else (0, 0),
            )

    def content(self) -> Any:
        """The signature of the current file, open for reading."""
        return self._current.open("rb")


def _opened(name: str) -> Any:
    """A signature file. duplicity's own way would first want to know what its names begin with."""
    return gzip.open(name, "rb") if name.endswith(".gz") else open(name, "rb")


def _walk(top: bytes, ignored: set[str]) -> Iterator[Facts]:
    """A tree in the order of its paths. ``ignored`` are names at its top."""
    pending: list[tuple[bytes, ...]] = [()]
    while pending:
        path = pending.pop()
        place = b"/".join((top, *path))
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            if path:
                continue  # it vanished meanwhile, and is told as missing
            raise BadInput(f"There is nothing at {os.fsdecode(top)}.") from None
        kind = _TYPES[stat.S_IFMT(found.st_mode)]
        yield Facts(
            path,
            kind,
            stat.S_IMODE(found.st_mode),
            found.st_uid,
            found.st_gid,
            found.st_mtime_ns // 1_000_000_000,
            os.readlink(place) if kind == "sym" else b"",
            (os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in ("chr", "blk") else (0, 0),
        )
        if kind == "dir":
            with os.scandir(place) as children:
                names = sorted((child.name for child in children), reverse=True)
            pending.extend((*path, name) for name in names if path or os.fsdecode(name) not in ignored)


def _same_content(signature: Any, path: bytes) -> tuple[int, bool]:
    """The size of a file, and whether librsync makes the same signature of it. Ends at the first difference."""
    from duplicity import _librsync

    head = signature.read(_HEAD.size)
    size = 0
    if len(head) != _HEAD.size:
        return size, False
    magic, block, strong = _HEAD.unpack(head)
    if (magic, strong) != (_MAGIC, _STRONG):
        raise BadInput(f"The signature of {os.fsdecode(path)} is of another kind ({magic:#x}, {strong} bytes).")
    maker, ended, rest = _librsync.new_sigmaker(block), False, b""
    stored = head  # of the stored signature, what the maker has not made yet
    with open(path, "rb", buffering=0) as file:
        while not ended:
            rest = rest or file.read(_PIECE)
            ended, used, made = maker.cycle(rest)
            size, rest = size + used, rest[used:]
            stored += signature.read(max(0, len(made) - len(stored)))
            if stored[: len(made)] != made:
                return size, False
            stored = stored[len(made) :]
    return size, not stored and not signature.read(1)
