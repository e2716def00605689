"""globs.py and selection.py: rules for a walk that begins below the source, as duplicity's globmatch.py judges them."""

from __future__ import annotations

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import globs, selection
from ansible_collections.permafrost.backup.plugins.module_utils.selection import Rule

PLACE = "/source/srv"


@pytest.mark.parametrize(
    ("pattern", "top", "fits"),
    [
        ("/source/srv/etc", "/source/srv/etc", True),
        ("/source/srv/etc/*.bak", "/source/srv/etc", True),
        ("/source/srv/etc", "/source/srv/etc/nginx", True),
        ("/source/srv/var", "/source/srv/etc", False),
        ("/source/srv/etcetera", "/source/srv/etc", False),
        ("/source/srv/e?c/x", "/source/srv/etc", True),
        ("/source/srv/e*/x", "/source/srv/var", False),
        ("/source/srv/*/x", "/source/srv/a/b", False),
        ("/source/srv/**/x", "/source/srv/a/b", True),
        ("/source/srv/a**/x", "/source/srv/ab/c", True),
        ("/source/srv/a**/x", "/source/srv/b/a", False),
        ("/source/srv/x*y**", "/source/srv/x/y", False),
        ("**.tmp", "/source/srv/etc", True),
        ("/source/srv/[ab]c", "/source/srv/bc/d", True),
        ("/source/srv/[!ab]c", "/source/srv/bc/d", False),
        ("/source/srv/[^ab]c", "/source/srv/^c", True),
        ("/source/srv/[[]x]", "/source/srv/[x]", True),
        ("/source/srv/[a", "/source/srv/[a", True),
        ("/source/srv/a.c", "/source/srv/abc", False),
        ("/source/srv/anything", "", True),
    ],
)
def test_patterns_that_can_fit_below_a_path(pattern: str, top: str, fits: bool) -> None:
    assert globs.concerns(pattern, top) is fits


ENDS_IN_X = selection.expression("x$", PLACE)
RULES = (Rule("exclude", "var"), Rule("exclude_regexp", "x$"), Rule("include", "etc/kept"), Rule("exclude", "etc"))


def test_without_a_path_all_rules_stay() -> None:
    assert selection.argv(RULES, "/srv", PLACE, "/run") == [
        "--exclude", f"{PLACE}/var", "--exclude-regexp", ENDS_IN_X, "--include", f"{PLACE}/etc/kept", "--exclude",
        f"{PLACE}/etc",
    ]  # fmt: skip


def test_below_a_path_the_rules_that_concern_it_stay() -> None:
    nothing = ["--exclude-regexp", "(?!)"]  # else an include might be the last one
    assert selection.argv(RULES, "/srv", PLACE, "/run", f"{PLACE}/var") == [
        "--exclude", f"{PLACE}/var", "--exclude-regexp", ENDS_IN_X, *nothing,
    ]  # fmt: skip
    assert selection.argv((Rule("exclude", "var"),), "/srv", PLACE, "/run", f"{PLACE}/etc") == []


def test_lists_are_cut_in_the_same_way() -> None:
    text = "# ours\n+ etc/kept\n- var\n'/srv/etc/x y'\n"
    lines = selection.read_list(Rule("exclude_list", "/list"), text, "/srv", PLACE)
    assert selection.list_file(lines, f"{PLACE}/etc") == f'+ "{PLACE}/etc/kept"\n- "{PLACE}/etc/x y"\n'
    assert len(selection.list_file(lines).splitlines()) == 3
