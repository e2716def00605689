# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A proof: entry by entry, what a tree is and what the signatures of its time say that it must be.

Pure, and shared by the program in the image, which compares, and the modules, which tell. What duplicity does not keep
(docs/not-preserved.md) is no difference.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

from ansible_collections.permafrost.backup.plugins.module_utils.comparison import side_by_side
from ansible_collections.permafrost.backup.plugins.module_utils.log import shown

# What the program is told, and what it answers, below the run directory.
ORDER, ANSWER = "prove.json", "proof.jsonl"
# An image with this label has the program.
LABEL = "permafrost.prove"
# So many differences are told; counts are exact.
LIMIT = 1000

MISSING, EXTRA, TYPE, MODE, OWNER, MTIME = "missing", "extra", "type", "mode", "owner", "mtime"
TARGET, DEVICE, CONTENT = "target", "device", "content"


class Facts(NamedTuple):
    """One entry: its path below the root as a tuple of names, duplicity's type word, and what it keeps of the type."""

    path: tuple[bytes, ...]
    type: str
    mode: int
    uid: int
    gid: int
    mtime: int
    target: bytes = b""
    device: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        return b"/".join(self.path).decode("utf-8", "surrogateescape") or "."


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it must be."""

    path: str
    kind: str
    wanted: str = ""
    found: str = ""

    def to_result(self) -> dict[str, str]:
        told = {"path": self.path, "kind": self.kind, "wanted": self.wanted, "found": self.found}
        return {name: text for name, text in told.items() if text}


@dataclass(frozen=True)
class Rules:
    """What is compared. A mount point's root has another mtime, and owners may not have been restored."""

    owners: bool = True
    root_mtime: bool = True


def differing(wanted: Facts, found: Facts, rules: Rules) -> Iterator[Difference]:
    """All that differs in the metadata of an entry; of another type nothing else can be compared."""
    name = wanted.name
    if wanted.type != found.type:
        yield Difference(name, TYPE, wanted.type, found.type)
        return
    link = wanted.type == "sym"
    if not link and wanted.mode != found.mode:
        yield Difference(name, MODE, f"{wanted.mode:04o}", f"{found.mode:04o}")
    if rules.owners and (wanted.uid, wanted.gid) != (found.uid, found.gid):
        yield Difference(name, OWNER, f"{wanted.uid}:{wanted.gid}", f"{found.uid}:{found.gid}")
    if not link and wanted.mtime != found.mtime and (wanted.path or rules.root_mtime):
        yield Difference(name, MTIME, str(wanted.mtime), str(found.mtime))
    if link and wanted.target != found.target:
        yield Difference(name, TARGET, _text(wanted.target), _text(found.target))
    if wanted.type in ("chr", "blk") and wanted.device != found.device:
        yield Difference(name, DEVICE, f"{wanted.device}", f"{found.device}")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def pairs(
    wanted: Iterable[Facts], found: Iterable[Facts]
) -> Iterator[tuple[Optional[Facts], Optional[Facts], list[Difference]]]:
    """Both trees side by side, and what is in one of them alone. Both in the order of their paths."""
    for one, other in side_by_side(wanted, found):
        alone = []
        if other is None and one is not None:
            alone.append(Difference(one.name, MISSING, one.type))
        elif one is None and other is not None:
            alone.append(Difference(other.name, EXTRA, "", other.type))
        yield one, other, alone


@dataclass
class Proof:
    """What was compared and what differs; without a difference the tree is proven."""

    files: int = 0
    directories: int = 0
    others: int = 0
    size_bytes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        return not self.kinds

    def count(self, type_word: str, size: int = 0) -> None:
        """An entry of the signatures that was found in the tree."""
        if type_word == "reg":
            self.files += 1
            self.size_bytes += size
        elif type_word == "dir":
            self.directories += 1
        else:
            self.others += 1

    def add(self, one: Difference) -> None:
        self.kinds[one.kind] += 1
        if len(self.differences) < LIMIT:
            self.differences.append(one)

    def to_result(self) -> dict[str, Any]:
        return {
            "proven": self.proven,
            "files": self.files,
            "directories": self.directories,
            "others": self.others,
            "size_bytes": self.size_bytes,
            "difference_count": sum(self.kinds.values()),
            "difference_kinds": dict(self.kinds),
            "differences": [{name: shown(text) for name, text in one.to_result().items()} for one in self.differences],
        }

    def lines(self) -> Iterator[str]:
        """The proof as JSON lines: a difference each, and at last the sums."""
        for one in self.differences:
            yield json.dumps(one.to_result())
        sums = {name: getattr(self, name) for name in ("files", "directories", "others", "size_bytes")}
        yield json.dumps({**sums, "kinds": self.kinds})


def read(lines: Iterable[str]) -> Proof | None:
    """The proof that ``lines`` gave; None when the sums are missing, so that it did not come to its end."""
    differences: list[Difference] = []
    for line in lines:
        found: dict[str, Any] = json.loads(line)
        if "kinds" in found:
            kinds = Counter(found.pop("kinds"))
            return Proof(**found, kinds=kinds, differences=differences)
        differences.append(Difference(**found))
    return None
