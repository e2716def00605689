"""selection.py: rules become what duplicity compares with paths in the container; traps are refused.

What duplicity makes of the patterns is asked from the real one in tests/integration/test_selection.py.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import command, selection
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.selection import Line, Rule
from unit.stage import job_params

SOURCE, PLACE = "/srv/[a] data", "/source/srv/[a] data"
ESCAPED = "/source/srv/[[]a] data"
# Everything that means something to a shell pattern, a regular expression or a list.
PART = st.text("ab*?[]!^-\\.+$|(){}'\" #\u00e4\u2028\x85", min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..")
)
PATHS = st.lists(PART, min_size=1, max_size=3).map("/".join)


def checked(*options: dict[str, Any], source: str | None = SOURCE) -> tuple[Rule, ...]:
    return selection.checked_rules(list(options), source)


def words(*options: dict[str, Any]) -> list[str]:
    return selection.argv(checked(*options), SOURCE, PLACE, "/lists")


@given(PATHS, PATHS)
def test_a_literal_fits_its_path_alone(path: str, other: str) -> None:
    pattern = selection.literal(path)
    assert fnmatch.fnmatchcase(path, pattern)
    assert fnmatch.fnmatchcase(other, pattern) == (other == path)


@given(PATHS, PATHS)
def test_a_pattern_below_any_source_begins_with_that_source_alone(source: str, relative: str) -> None:
    assume(not relative.startswith(("**", "ignorecase:")))
    made = selection.pattern(relative, f"/{source}", f"/source/{source}")
    assert made == f"{selection.literal(f'/source/{source}')}/{relative}"
    assert selection.pattern(f"/{source}/{relative}", f"/{source}", f"/source/{source}") == made


@given(PATHS, PATHS)
def test_an_expression_is_found_below_the_source_and_nowhere_else(source: str, relative: str) -> None:
    place = f"/source/{source}"
    for part in source.split("/"):
        found = re.search(selection.expression(re.escape(part), place), f"{place}/{relative}")
        assert bool(found) == (part in f"/{relative}")
    assert re.search(selection.expression(f"{re.escape(relative)}$", place), f"{place}/{relative}")
    assert not re.search(selection.expression("source|", place), place)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("cache", "/cache"), ("cache/", "/cache/"), ("cache//", "/cache/"), ("*.tmp", "/*.tmp"), ("a/**/b", "/a/**/b"),
        ("**", "**"), ("**/cache", "**/cache"), ("**.tmp", "**.tmp"), ("[[]x]", "/[[]x]"), ("...", "/..."),
        (SOURCE, ""), (f"{SOURCE}/", ""), (f"{SOURCE}/cache", "/cache"), (f"{SOURCE}/cache/", "/cache/"),
        (f"{SOURCE}/**", "/**"),
    ],
)  # fmt: skip
def test_patterns_of_the_host(text: str, pattern: str) -> None:
    assert selection.pattern(text, SOURCE, PLACE) == ESCAPED + pattern


@pytest.mark.parametrize(("text", "pattern"), [("/", "/source"), ("/etc/", "/source/etc/"), ("**", "/source**")])
def test_patterns_of_a_whole_host(text: str, pattern: str) -> None:
    assert selection.pattern(text, "/", "/source") == pattern


def test_words_of_every_kind() -> None:
    assert words(
        {"include": "a", "exclude": None},
        {"exclude_regexp": r"(?i)\.bak$"},
        {"include_list": "/etc/in"},
        {"exclude_if_present": "-x"},
        {"exclude_older_than": "365D"},
        {"exclude_list": "/etc/out"},
        {"exclude": "**"},
    ) == [
        "--include", f"{ESCAPED}/a",
        "--exclude-regexp", rf"(?i)\A{re.escape(PLACE)}(?=/)(?s:.*?)(?:\.bak$)",
        "--include-filelist", "/lists/selection-2",
        "--exclude-if-present=-x",
        "--exclude-older-than=365D",
        "--exclude-filelist", "/lists/selection-5",
        "--exclude", f"{ESCAPED}**",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"exclude": ""}, "exclude is empty"), ({"exclude": "a\nb"}, "a line break"), ({"exclude": "a\0"}, "a NUL"),
        ({"exclude": "/srv/other"}, "not below the source"), ({"exclude": "/srv/[a] data2"}, "not below the source"),
        ({"exclude": "/srv/*/x"}, "not below the source"), ({"exclude": "/"}, "not below the source"),
        ({"exclude": "./a"}, "would fit nothing"), ({"exclude": "a//b"}, "would fit nothing"),
        ({"exclude": "../a"}, "would fit nothing"), ({"exclude": f"{SOURCE}//a"}, "would fit nothing"),
        ({"exclude": "**/../a"}, "would fit nothing"),
        ({"exclude": "IgnoreCase:a"}, "expression that begins with"),
        ({"exclude_regexp": "("}, "no regular expression"), ({"exclude_regexp": "(?x)a #"}, "no regular expression"),
        ({"exclude_regexp": "^tmp"}, "use include or exclude"), ({"exclude_regexp": r"(a|\Atmp)"}, "use include or"),
        ({"exclude_regexp": "a)(?:b"}, "no regular expression"),
        ({"exclude_if_present": "a/b"}, "not the name of a file"),
        ({"exclude_older_than": "2026-11-01"}, "not an interval"),
        ({"exclude_list": "list"}, "not an absolute path"),
        ({"include": "a"}, "The last rule"), ({"include_regexp": "a"}, "The last rule"),
    ],
)  # fmt: skip
def test_refused(rule: dict[str, str], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        checked(rule)


@pytest.mark.parametrize("regexp", [r"\^a", "[^a]b", r"[\]^]", "[]^]", r"\\", "(?i)(?s)a", "(?:a|b)$", "(?i:a)"])
def test_expressions_that_pass(regexp: str) -> None:
    assert checked({"exclude_regexp": regexp})


def test_flags_stand_where_every_python_takes_them() -> None:
    with pytest.raises(BadInput, match=r"flags behind its beginning|no regular expression"):
        checked({"exclude_regexp": "a(?i)b"})


def test_a_rule_behind_all_others_does_not_hide_that_the_last_one_includes() -> None:
    with pytest.raises(BadInput, match="The last rule"):
        checked({"exclude": "b"}, {"include": "a"}, {"exclude_if_present": ".nobackup"})
    assert checked({"include": "a"}, {"exclude_older_than": "3D"})
    assert checked({"exclude_if_present": ".nobackup"})


def read(text: str, kind: str = "exclude_list") -> tuple[Line, ...]:
    return selection.read_list(Rule(kind, "/etc/list"), text, SOURCE, PLACE)


def test_a_list() -> None:
    text = f"# no\n\n  a \n- b\n+ c\r\n'd e'\n\"'f'\"\n'\n\"\"\n- #g\n{SOURCE}/h/\n**/i\n+\nx\u2028y\x85z"
    names = ["/a", "/b", "/c", "/d e", "/'f'", "/'", "/#g", "/h/", "**/i", "/+", "/x\u2028y\x85z"]
    lines = read(text)
    assert [line.pattern for line in lines] == [ESCAPED + name for name in names]
    assert [line.include for line in lines] == [name == "/c" for name in names]
    assert [line.include for line in read(text, "include_list")] == [name not in ("/b", "/#g") for name in names]


@given(st.lists(st.tuples(st.booleans(), PATHS), max_size=5))
def test_what_is_written_is_read_as_it_was_meant(lines: list[tuple[bool, str]]) -> None:
    assume(not any(path.startswith(("**", "ignorecase:")) for _include, path in lines))
    text = "".join(f'{"+" if include else "-"} "{path}"\n' for include, path in lines)
    made = selection.read_list(Rule("exclude_list", "/l"), text, "/srv", "")
    assert made == tuple(Line(include, f"/{path}") for include, path in lines)
    assert selection.list_file(made) == "".join(f'{"+" if inc else "-"} "/{path}"\n' for inc, path in lines)


def test_a_wrong_line_is_named() -> None:
    with pytest.raises(BadInput, match=r"Line 3 of /etc/list: .*'/etc' is not below"):
        read("a\n\n/etc\n")


def test_a_list_has_no_line_for_a_source_with_a_line_break() -> None:
    with pytest.raises(BadInput, match="line break in the path"):
        selection.read_list(Rule("exclude_list", "/l"), "a", "/a\nb", "/source/a\nb")


@pytest.mark.parametrize(
    ("kind", "text", "refused"),
    [
        ("include_list", "a\n", True), ("include_list", "a\n- b\n", False), ("exclude_list", "a\n", False),
        ("exclude_list", "a\n+ b\n", True), ("exclude_list", "# none\n", True), ("include_list", "", True),
    ],
)  # fmt: skip
def test_a_list_at_the_end_decides_by_its_last_line(kind: str, text: str, refused: bool) -> None:
    rules = checked({"include": "first"}, {kind: "/etc/list"}, {"exclude_if_present": "x"})
    lists = {1: read(text, kind)}
    if refused:
        with pytest.raises(BadInput, match="The last rule"):
            selection.check_last(rules, lists)
    else:
        selection.check_last(rules, lists)


def test_empty_lists_alone_take_everything() -> None:
    selection.check_last(checked({"exclude_list": "/etc/list"}), {0: ()})


def test_a_backup_has_the_rules_behind_what_is_always_left_out() -> None:
    options = {"selection": [{"include": "srv"}, {"exclude": "**"}], "one_file_system": True, "source": "/"}
    argv = command.backup(Job.from_params(job_params(**options)), "/run-dir", full=False, dry_run=False).argv
    assert argv.index("/source/proc") < argv.index("--exclude-other-filesystems") < argv.index("--include")
    assert argv[argv.index("--include") :][:4] == ("--include", "/source/srv", "--exclude", "/source**")
