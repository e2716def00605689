"""comparison.py: two trees side by side, as streams."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import comparison
from ansible_collections.permafrost.backup.plugins.module_utils.comparison import Entry, compare, of_backup
from ansible_collections.permafrost.backup.plugins.module_utils.errors import PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.log import ListedFile

PATHS = st.lists(st.sampled_from([b"a", b"a ", b"a!", b"b", b"\xff"]), max_size=3).map(tuple)
TREES = st.dictionaries(PATHS, st.tuples(st.sampled_from(["reg", "dir", "sym"]), st.integers(0, 2)), max_size=12)


def listed(path: bytes, kind: str = "reg") -> ListedFile:
    return ListedFile(path, datetime(2026, 11, 1, tzinfo=timezone.utc), kind)


def entries(tree: dict[tuple[bytes, ...], tuple[str, int]]) -> list[Entry]:
    return [Entry(path, *facts) for path, facts in sorted(tree.items())]


@given(TREES, TREES)
def test_streams_are_compared_as_sets_would_be(
    old: dict[tuple[bytes, ...], tuple[str, int]], new: dict[tuple[bytes, ...], tuple[str, int]]
) -> None:
    found = compare(entries(old), entries(new))
    one, other = set(old) - {()}, set(new) - {()}
    changed = {path for path in one & other if old[path] != new[path] and not old[path][0] == new[path][0] == "sym"}
    assert {entry.path for entry in found.removed} == one - other
    assert {entry.path for entry in found.new} == other - one
    assert {entry.path for entry, _new in found.changed} == changed
    assert found.same_count == len(one & other) - len(changed)
    assert found.new_size == len(other) + 1
    assert found.roots == ((old[()][0] if () in old else None), (new[()][0] if () in new else None))


def test_lists_end_and_counts_do_not() -> None:
    many = [Entry((b"%06d" % number,), "reg", 0) for number in range(comparison.LIMIT + 5)]
    found = compare(many, [])
    assert (len(found.removed), found.removed_count) == (comparison.LIMIT, comparison.LIMIT + 5)
    assert found.to_diff("/dest")["before"].endswith("\nand 5 more\n")
    assert "more" not in found.to_diff("/dest")["after"]
    assert compare([], many).to_diff("/dest")["after"].endswith("\nand 5 more\n")


def test_a_list_in_another_order_is_refused() -> None:
    for names in ((b"b", b"a"), (b"a", b"a")):
        with pytest.raises(PermafrostError, match="is not in order"):
            compare([], (Entry((name,), "reg", 0) for name in names))


def test_a_path_of_a_backup() -> None:
    files = [listed(b".", "dir"), listed(b"etc", "dir"), listed(b"etc/a"), listed(b"etc/a/b"), listed(b"etc2")]
    assert [one.path for one in of_backup(files, "")] == [
        (),
        (b"etc",),
        (b"etc", b"a"),
        (b"etc", b"a", b"b"),
        (b"etc2",),
    ]
    assert [one.path for one in of_backup(files, "etc")] == [(), (b"a",), (b"a", b"b")]
    assert [one.path for one in of_backup(files, "etc/a/b")] == [()]
    assert list(of_backup(files, "no")) == []


@pytest.mark.parametrize("name", [b"a\nb", b"a\x1b[31mb", b"\xff", "a\u2028b".encode()])
def test_a_name_is_one_line(name: bytes) -> None:
    text = compare([Entry((name,), "reg", 0)], []).to_diff("/dest")["before"]
    assert len(text.splitlines()) == 1
    assert text[:-1].isprintable()
