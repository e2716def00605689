# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of the source a backup takes: ordered rules become duplicity's options.

Pure. Rules name files as the host does, relative to the source or from the root; the container sees the source
elsewhere. The first rule that fits a file decides, as in duplicity(1), FILE SELECTION.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.times import is_interval

_LISTS = ("include_list", "exclude_list")


@dataclass(frozen=True)
class Rule:
    """``kind`` is an option's name; ``value`` a pattern, an expression, a file name, an age, or the path of a list."""

    kind: str
    value: str

    @property
    def is_list(self) -> bool:
        return self.kind in _LISTS


def checked_rules(options: list[Mapping[str, Any]] | None, source: str | None) -> tuple[Rule, ...]:
    """The selection option. Raises BadInput for what duplicity would refuse or misunderstand."""
    rules = tuple(Rule(kind, value) for option in options or [] for kind, value in option.items() if value is not None)
    for rule in rules:
        _check(rule, source or "/")
    # duplicity refuses it too, after the source was walked: whatever no rule fits is taken anyway.
    if rules and rules[-1].kind in ("include", "include_regexp"):
        raise BadInput(f"The last rule of job.selection includes '{rules[-1].value}', and no rule excludes the rest.")
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
        try:
            re.compile(rule.value)
        except re.error as error:
            return f"is no regular expression: {error}"
    if rule.kind == "exclude_if_present" and "/" in rule.value:
        return "is not the name of a file"
    if rule.kind == "exclude_older_than" and not is_interval(rule.value):
        return "is not an interval such as 365D"
    if rule.is_list and not rule.value.startswith("/"):
        return "is not an absolute path"
    return None


def pattern(text: str, source: str, place: str) -> str:
    """A shell pattern of the host as the container sees it; ``place`` is where the source lies in there."""
    if text.startswith("**"):
        return text
    top = source.rstrip("/")
    if text.startswith("/"):
        if text.rstrip("/") != top and not text.startswith(f"{top}/"):
            raise BadInput(f"job.selection: '{text}' is not below the source {source}.")
        text = text[len(top) :].lstrip("/")
    return f"{literal(place)}/{text}" if text else literal(place)


def literal(path: str) -> str:
    """A shell pattern that fits this path alone."""
    return re.sub(r"([*?\[])", r"[\1]", path)


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
            words += [f"--{rule.kind}", text] if concerns(text, top) else []
        else:
            words += [f"--{rule.kind.replace('_', '-')}", rule.value]
    # What is left may end with an include, which duplicity refuses: this excludes nothing.
    return [*words, "--exclude-regexp", "(?!)"] if words and top else words


def concerns(text: str, top: str) -> bool:
    """Whether a pattern can fit ``top`` or something below it: duplicity refuses one that cannot (globmatch.py)."""
    if not top or text.startswith("**"):
        return True
    parts, names = text.rstrip("/").split("/"), top.split("/")
    for at, part in enumerate(parts[: len(names)]):
        if "**" in part:
            return bool(re.match(_expression(part[: part.index("**") + 2]) + r"\Z", "/".join(names[at:]), re.S))
        if not re.match(_expression(part) + r"\Z", names[at], re.S):
            return False
    return True


_SPECIAL = re.compile(r"(\*\*)|(\*)|(\?)|\[([!^]?)(\]?[^\]]*)\]")


def _expression(glob: str) -> str:
    """A part of a shell pattern as a regular expression, as duplicity reads it."""
    out, done = "", 0
    for match in _SPECIAL.finditer(glob):
        out += re.escape(glob[done : match.start()])
        stuff = re.sub(r"([\\\[&~|^])", r"\\\1", match[5] or "")
        out += (
            ".*" if match[1] else "[^/]*" if match[2] else "[^/]" if match[3] else f"[{'^' if match[4] else ''}{stuff}]"
        )
        done = match.end()
    return out + re.escape(glob[done:])


def list_name(number: int) -> str:
    """The file for the rule of this number, from 0."""
    return f"selection-{number}"


def translate_list(text: str, source: str, place: str, top: str = "") -> str:
    """A list of patterns, one a line, as the container sees them. ``+ `` and ``- `` before a pattern stay.

    ``top`` as for ``argv``.
    """
    out = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        sign = stripped[:2] if stripped[:2] in ("+ ", "- ") else ""
        name = stripped[len(sign) :]
        if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
            name = name[1:-1]
        found = pattern(name, source, place)
        if concerns(found, top):
            out.append(f'{sign}"{found}"')
    return "".join(f"{line}\n" for line in out)
