# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of the source a backup takes: ordered rules become duplicity's options.

Pure. Rules name files as the host does, relative to the source or from the root; the container sees the source
elsewhere. What duplicity compares is the whole path in there, so every rule is tied to the source: its own path must
never fit one. The first rule that fits a file decides, as in duplicity(1), FILE SELECTION.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import globs
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.times import is_interval

_LISTS = ("include_list", "exclude_list")
# Flags for a whole regular expression, which Python wants at its very beginning.
_FLAGS = r"\(\?[aiLmsux]+\)"
# An escape, a class, or a single character of a regular expression.
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|" + _FLAGS + r"|.", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """``kind`` is an option's name; ``value`` a pattern, an expression, a file name, an age, or the path of a list."""

    kind: str
    value: str

    @property
    def is_list(self) -> bool:
        return self.kind in _LISTS


@dataclass(frozen=True)
class Line:
    """A line of a list: a pattern as the container sees it, and whether it includes."""

    include: bool
    pattern: str


def checked_rules(options: list[Mapping[str, Any]] | None, source: str | None) -> tuple[Rule, ...]:
    """The selection option. Raises BadInput for what duplicity would refuse or misunderstand."""
    rules = tuple(Rule(kind, value) for option in options or [] for kind, value in option.items() if value is not None)
    for rule in rules:
        _check(rule, source or "/")
    check_last(rules, None)
    return rules


def _check(rule: Rule, source: str) -> None:
    if not rule.value or re.search(r"[\n\0]", rule.value):
        raise BadInput(f"job.selection: {rule.kind} is empty, or holds a line break or a NUL.")
    if rule.kind in ("include", "exclude"):
        pattern(rule.value, source, "")
    wrong = _what_is_wrong(rule)
    if wrong:
        raise BadInput(f"job.selection: {rule.kind} '{rule.value}' {wrong}.")


def _what_is_wrong(rule: Rule) -> str | None:
    if rule.kind.endswith("_regexp"):
        return _what_is_wrong_in(rule.value)
    if rule.kind == "exclude_if_present" and "/" in rule.value:
        return "is not the name of a file"
    if rule.kind == "exclude_older_than" and not is_interval(rule.value):
        return "is not an interval such as 365D"
    if rule.is_list and not rule.value.startswith("/"):
        return "is not an absolute path"
    return None


def _what_is_wrong_in(regexp: str) -> str | None:
    try:
        re.compile(regexp)
        re.compile(expression(regexp, ""))
    except re.error as error:
        return f"is no regular expression: {error}"
    tokens = _TOKEN.findall(regexp)
    if "^" in tokens or "\\A" in tokens:
        return "wants to begin where the path does, which lies elsewhere in the container: use include or exclude"
    if any(re.fullmatch(_FLAGS, token) for token in _TOKEN.findall(_split_flags(regexp)[1])):
        return "has flags behind its beginning"
    return None


def check_last(rules: tuple[Rule, ...], lists: Mapping[int, tuple[Line, ...]] | None) -> None:
    """Raise BadInput when the last rule includes: whatever no rule fits is taken anyway.

    duplicity refuses that only once it runs. ``lists`` are those of the rules of these numbers; without them nothing is
    said of rules that end with a list.
    """
    for number, rule in reversed(list(enumerate(rules))):
        if rule.kind == "exclude_if_present":
            continue  # duplicity puts it before all others
        if not rule.is_list:
            includes = rule.kind.startswith("include")
        elif lists is None:
            return
        elif not lists[number]:
            continue
        else:
            includes = lists[number][-1].include
        if includes:
            raise BadInput(
                f"The last rule of job.selection includes ({rule.kind} '{rule.value}'), and no rule excludes the rest, "
                "such as exclude: '**'."
            )
        return


def pattern(text: str, source: str, place: str) -> str:
    """A shell pattern of the host as the container sees it; ``place`` is where the source lies in there."""
    if text.lower().startswith("ignorecase:"):
        raise BadInput(
            f"job.selection: '{text}' begins with ignorecase: use a regular expression that begins with (?i)."
        )
    relative = re.sub("//+$", "/", text if text.startswith("**") else _below(text, source))
    if relative and any(part in ("", ".", "..") for part in relative.rstrip("/").split("/")):
        raise BadInput(f"job.selection: '{text}' holds an empty part, '.' or '..', so it would fit nothing.")
    if text.startswith("**"):
        return literal(place) + relative  # without a slash between, so that it also fits at the top of the source
    return f"{literal(place)}/{relative}" if relative else literal(place)


def _below(text: str, source: str) -> str:
    """The pattern relative to the source, empty for the source itself."""
    if not text.startswith("/"):
        return text
    top = source.rstrip("/")
    if text.rstrip("/") == top:
        return ""
    if not text.startswith(f"{top}/"):
        raise BadInput(f"job.selection: '{text}' is not below the source {source}.")
    return text[len(top) + 1 :]


def literal(path: str) -> str:
    """A shell pattern that fits this path alone."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def expression(text: str, place: str) -> str:
    """A regular expression that is looked for in the path below the source, with a slash before it."""
    flags, rest = _split_flags(text)
    return rf"{flags}\A{re.escape(place)}(?=/)(?s:.*?)(?:{rest})"


def _split_flags(regexp: str) -> tuple[str, str]:
    found = re.match(f"(?:{_FLAGS})*", regexp)
    end = found.end() if found else 0
    return regexp[:end], regexp[end:]


def argv(rules: tuple[Rule, ...], source: str, place: str, lists: str, top: str = "") -> list[str]:
    """duplicity's options. Lists are files below ``lists``, by the names of ``list_name``.

    With ``top``, a path below ``place``, the options are for a walk that begins there.
    """
    words = []
    for number, rule in enumerate(rules):
        if rule.is_list:
            words += [f"--{rule.kind.replace('_list', '-filelist')}", f"{lists}/{list_name(number)}"]
        elif rule.kind in ("include", "exclude"):
            text = pattern(rule.value, source, place)
            words += [f"--{rule.kind}", text] if globs.concerns(text, top) else []
        elif rule.kind.endswith("_regexp"):
            words += [f"--{rule.kind.replace('_', '-')}", expression(rule.value, place)]
        else:
            words += [f"--{rule.kind.replace('_', '-')}={rule.value}"]  # one word: a name may begin with a dash
    # What is left may end with an include, which duplicity refuses: this excludes nothing.
    return [*words, "--exclude-regexp", "(?!)"] if words and top else words


def list_name(number: int) -> str:
    """The file for the rule of this number, from 0."""
    return f"selection-{number}"


def read_list(rule: Rule, text: str, source: str, place: str) -> tuple[Line, ...]:
    """The patterns of a list, one a line. A line may say by ``+ `` or ``- `` what it does, in spite of the list."""
    if "\n" in place:
        raise BadInput(f"job.selection: with a line break in the path of the source, {rule.kind} cannot name anything.")
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        include = rule.kind == "include_list"
        if name[:2] in ("+ ", "- "):
            include, name = name[0] == "+", name[2:]
        if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
            name = name[1:-1]
        if not name:
            continue
        try:
            lines.append(Line(include, pattern(name, source, place)))
        except BadInput as error:
            raise BadInput(f"Line {number} of {rule.value}: {error.what}") from None
    return tuple(lines)


def list_file(lines: tuple[Line, ...], top: str = "") -> str:
    """A list as duplicity reads it; ``top`` as for ``argv``."""
    concerned = (line for line in lines if globs.concerns(line.pattern, top))
    return "".join(f'{"+" if line.include else "-"} "{line.pattern}"\n' for line in concerned)
