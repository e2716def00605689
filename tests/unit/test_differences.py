"""differences.py on logs of the real duplicity's verify."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import differences, log
from ansible_collections.permafrost.backup.plugins.module_utils.differences import Difference, Verified
from unit import transcript
from unit.awkward import NAMES

NAME = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(lambda name: "\\" not in name)


def verified(name: str, top: str = "") -> Verified:
    return differences.summarize(transcript.load(name).events(), top)


def shown(raw: bytes) -> str:
    return log.shown(raw.decode("utf-8", "surrogateescape"))


def test_every_difference_is_found_once() -> None:
    found = verified("verify-differs")
    by_path = {one.path: one for one in found.differences}
    assert len(by_path) == len(found.differences) == found.count == sum(found.kinds.values())
    assert {path for path, one in by_path.items() if one.kind == "new"} == {
        "new", *(f"new/{shown(name)}" for name in NAMES),
    }  # fmt: skip
    assert {path for path, one in by_path.items() if one.kind == "deleted"} == {"etc/gone"}
    assert {f"awkward/{shown(name)}" for name in NAMES} <= {
        path for path, one in by_path.items() if one.kind == "changed"
    }
    assert found.compared == 62


def test_what_differs_is_told() -> None:
    by_path = {one.path: one.detail for one in verified("verify-differs").differences}
    assert by_path["etc/data"] == "content"
    assert by_path["etc/mode"] == "owner and mode 0:0 600, in the backup 0:0 644"
    assert by_path["etc/kind"] == "type dir, in the backup reg"
    assert by_path["etc/link"] == "points to b'else where is missing', in the backup to b'hosts'"
    assert by_path["awkward/plain"].startswith("mtime 1970-01-01T00:00:01Z, in the backup 20")
    assert by_path["etc/gone"] == "not in the source"


def test_names_below_a_path_are_relative_to_the_source() -> None:
    whole = [one for one in verified("verify-differs").differences if one.path.split("/")[0] == "etc"]
    assert verified("verify-path", "etc").differences == whole
    assert len(whole) == 6


def test_nothing_differs() -> None:
    found = verified("verify-same")
    assert (found.count, found.differences, found.compared) == (0, [], 36)


def test_without_data_duplicity_compares_nothing() -> None:
    assert verified("verify-no-data").count == 0


@pytest.mark.parametrize("name", ["verify-volume-missing", "full", "restore"])
def test_a_run_that_did_not_verify(name: str) -> None:
    assert verified(name).compared is None


WORDS = {
    "New file {}": ("new", "not in the backup"),
    "File {} is missing": ("deleted", "not in the source"),
    "File {} has type reg, expected dir": ("changed", "type reg, in the backup dir"),
    "Data for file {} is different": ("changed", "content"),
    "File {} has permissions 0:0 600, expected 7:8 644": ("changed", "owner and mode 0:0 600, in the backup 7:8 644"),
    "Symlink {} points to b'a', expected b'b'": ("changed", "points to b'a', in the backup to b'b'"),
    "Device file {} has numbers (1, 2), expected (1, 3)": (
        "changed",
        "device numbers (1, 2), in the backup (1, 3)",
    ),
}


@given(st.sampled_from(sorted(WORDS)), st.one_of(NAME, st.sampled_from(sorted(WORDS))))
def test_a_name_may_hold_any_words(words: str, name: str) -> None:
    event = log.Event("NOTICE", 1, "", "Difference found: " + words.format(name))
    assert differences.difference(event) == Difference(name, *WORDS[words])


def test_names_are_bounded_and_counts_are_not() -> None:
    event = log.Event("NOTICE", 1, "", "Difference found: New file x")
    found = differences.summarize([event] * (Verified.KEEP + 5))
    assert (len(found.differences), found.count) == (Verified.KEEP, Verified.KEEP + 5)
    lost = differences.summarize(
        [log.Event("NOTICE", 1, "", "Verify complete: 9 file(s) compared, 3 difference(s) found.")]
    )
    assert lost.count == 3
