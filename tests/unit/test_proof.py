"""What counts as a difference, and what a proof says of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import proof
from ansible_collections.permafrost.backup.plugins.module_utils.proof import Difference, Facts, Proof, Rules

FILE = Facts((b"a",), "reg", 0o644, 1, 2, 1000)
LINK = Facts((b"a",), "sym", 0o777, 1, 2, 1000, b"there")
DEVICE = Facts((b"a",), "chr", 0o600, 0, 0, 1000, device=(1, 3))
ROOT = Facts((), "dir", 0o755, 0, 0, 1000)


def kinds(wanted: Facts, rules: Rules | None = None, **changes: Any) -> list[str]:
    return [one.kind for one in proof.differing(wanted, wanted._replace(**changes), rules or Rules())]


@pytest.mark.parametrize(
    ("wanted", "changes", "told"),
    [
        (FILE, {}, []), (FILE, {"mode": 0o600}, ["mode"]), (FILE, {"uid": 9}, ["owner"]), (FILE, {"gid": 9}, ["owner"]),
        (FILE, {"mtime": 1001}, ["mtime"]), (FILE, {"mode": 0, "mtime": 0}, ["mode", "mtime"]),
        (FILE, {"type": "dir", "mode": 0}, ["type"]), (LINK, {"target": b"elsewhere"}, ["target"]),
        (LINK, {"mode": 0o755, "mtime": 5}, []), (LINK, {"uid": 9}, ["owner"]),
        (DEVICE, {"device": (1, 5)}, ["device"]), (ROOT, {"mtime": 5}, ["mtime"]),
    ],
)  # fmt: skip
def test_what_duplicity_keeps_is_compared(wanted: Facts, changes: dict[str, Any], told: list[str]) -> None:
    assert kinds(wanted, **changes) == told


def test_what_the_rules_leave_out() -> None:
    assert kinds(FILE, Rules(owners=False), uid=9) == []
    assert kinds(ROOT, Rules(root_mtime=False), mtime=5) == []
    assert kinds(FILE, Rules(root_mtime=False), mtime=5) == ["mtime"]


def test_trees_side_by_side() -> None:
    wanted = [ROOT, FILE, FILE._replace(path=(b"b", b"c"))]
    found = [ROOT, FILE, FILE._replace(path=(b"a", b"\xff")), FILE._replace(path=(b"d",))]
    alone = [one for _wanted, _found, told in proof.pairs(wanted, found) for one in told]
    assert [(one.path, one.kind) for one in alone] == [("a/\udcff", "extra"), ("b/c", "missing"), ("d", "extra")]


def test_a_proof_is_read_as_it_was_written() -> None:
    made = Proof()
    for kind, size in (("reg", 7), ("reg", 5), ("dir", 0), ("sym", 0)):
        made.count(kind, size)
    assert made.proven
    assert proof.read(made.lines()) == made
    made.add(Difference("a/\udcff", proof.MODE, "0644", "0600"))
    assert proof.read(made.lines()) == made
    assert not made.proven
    assert made.to_result()["differences"] == [{"path": "a/\\xff", "kind": "mode", "wanted": "0644", "found": "0600"}]


def test_counts_are_exact_where_lists_end() -> None:
    made = Proof()
    for number in range(proof.LIMIT + 5):
        made.add(Difference(str(number), proof.EXTRA))
    told = proof.read(made.lines())
    assert told is not None
    result = told.to_result()
    assert (result["difference_count"], len(result["differences"])) == (proof.LIMIT + 5, proof.LIMIT)


def test_a_proof_that_was_cut_off_is_none() -> None:
    made = Proof()
    made.add(Difference("a", proof.CONTENT))
    assert proof.read(list(made.lines())[:-1]) is None
    assert proof.read([]) is None
