"""A string of options becomes words, as a shell would make them, and without one.

Pure. First the string is split; then the few values that the guide's strings hold are put in, each inside its word, so
that a value with blanks or quotes never makes new words. Anything else that a shell would run or replace is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Union

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from permafrost.masking import is_secret, secret_values

BLANKS = " \t\r\n"
_PLAIN = re.compile(r"[^ \t\r\n'\"\\$`]+")
_PLAIN_QUOTED = re.compile(r'[^"\\$`]+')
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_HOSTNAME = re.compile(r"\$\([ \t]*hostname([ \t]+-f)?[ \t]*\)")
_DATE = re.compile(
    r"""\$\([ \t]*date[ \t]+
    (?: (?P<quote>["'])\+(?P<whole>[^"'$`\\]*)(?P=quote)            # "+FMT"
      | \+(?P<mark>["'])(?P<part>[^"'$`\\]*)(?P=mark)               # +"FMT"
      | \+(?P<bare>[^ \t\r\n"'$`\\()<>|&;]*)                        # +FMT
    )[ \t]*\)""",
    re.X,
)
# What strftime and date understand alike; date's own others, such as %N, would stay as they are.
_DIRECTIVES = frozenset("aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyYzZ%")
# A shell puts something in the place of these too.
_OTHERS = re.compile(r"\$[({0-9$@*#?!-]|`")


@dataclass(frozen=True)
class Variable:
    """$NAME or ${NAME}."""

    name: str


@dataclass(frozen=True)
class Date:
    """$(date "+FMT")."""

    format: str


@dataclass(frozen=True)
class Hostname:
    """$(hostname) or, with ``full``, $(hostname -f)."""

    full: bool


Part = Union[str, Variable, Date, Hostname]
Word = tuple[Part, ...]


@dataclass(frozen=True)
class Values:
    """What is put in: the environment, the time by a format of strftime, the host's name or its full one."""

    environment: Mapping[str, str]
    date: Callable[[str], str]
    hostname: Callable[[bool], str]


def words(text: str, place: str, values: Values) -> list[str]:
    """The words of a string; ``place`` names it in errors. Raises BadInput."""
    return [expand(word, place, values) for word in split(text, place)]


def whole(text: str, place: str, values: Values) -> str:
    """A string that is one word, whatever it holds, with its values put in. Raises BadInput."""
    parts: list[Part] = []
    at = 0
    while at < len(text):
        end = next((one for one in range(at, len(text)) if text[one] in "$`"), len(text))
        if end > at:
            parts.append(text[at:end])
            at = end
        else:
            part, at = _value(text, at, place)
            parts.append(part)
    return expand(tuple(parts), place, values)


def split(text: str, place: str) -> list[Word]:
    """Split as a shell does, with quotes and backslashes; what begins with $ is kept as the value that it asks for."""
    if "\0" in text:
        raise BadInput(f"{place} holds a NUL.")
    found: list[Word] = []
    at = 0
    while True:
        while at < len(text) and text[at] in BLANKS:
            at += 1
        if at == len(text):
            return found
        word, at = _word(text, at, place)
        if word:
            found.append(word)


def expand(word: Word, place: str, values: Values) -> str:
    """One word with its values put in: always one word again. Raises BadInput."""
    return "".join(part if isinstance(part, str) else _expanded(part, place, values) for part in word)


def _word(text: str, at: int, place: str) -> tuple[Word, int]:
    parts: list[Part] = []
    while at < len(text) and text[at] not in BLANKS:
        if text[at] == '"':
            quoted, at = _quoted(text, at + 1, place)
            parts += quoted
        elif text[at] == "'":
            end = text.find("'", at + 1)
            if end < 0:
                raise BadInput(f"{place} has a ' without its end.")
            parts.append(text[at + 1 : end])
            at = end + 1
        elif text[at] == "\\":
            parts += _escaped(text, at, place)
            at += 2
        else:
            part, at = _plain(text, at, _PLAIN, place)
            parts.append(part)
    return tuple(parts), at


def _quoted(text: str, at: int, place: str) -> tuple[list[Part], int]:
    """What follows a double quote, and where it goes on behind the other one."""
    parts: list[Part] = [""]  # "" is a word, though an empty one
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            special = text[at + 1 : at + 2] in ('"', "\\", "$", "`", "\n")
            parts += _escaped(text, at, place) if special else [text[at : at + 2]]
            at += 2
        else:
            part, at = _plain(text, at, _PLAIN_QUOTED, place)
            parts.append(part)
    if at >= len(text):
        raise BadInput(f'{place} has a " without its end.')
    return parts, at + 1


def _escaped(text: str, at: int, place: str) -> list[Part]:
    """What a backslash stands before; one at the end of a line joins it with the next."""
    if at + 1 == len(text):
        raise BadInput(f"{place} ends with a backslash.")
    return [] if text[at + 1] == "\n" else [text[at + 1]]


def _plain(text: str, at: int, pattern: re.Pattern[str], place: str) -> tuple[Part, int]:
    match = pattern.match(text, at)
    return (match[0], match.end()) if match else _value(text, at, place)


def _value(text: str, at: int, place: str) -> tuple[Part, int]:
    """What stands at a $ or a backtick."""
    if match := _VARIABLE.match(text, at):
        return Variable(match[1] or match[2]), match.end()
    if match := _HOSTNAME.match(text, at):
        return Hostname(full=bool(match[1])), match.end()
    if match := _DATE.match(text, at):
        return Date(_checked_format(match["whole"] or match["part"] or match["bare"] or "", place)), match.end()
    if _OTHERS.match(text, at):
        raise BadInput(
            f"{place} holds {_excerpt(text, at)}, which only a shell could replace, and there is none here. Known are "
            '$NAME, ${NAME}, $(date "+FORMAT"), $(hostname) and $(hostname -f); single quotes keep a $ as it is.'
        )
    return "$", at + 1


def _checked_format(text: str, place: str) -> str:
    for directive in re.findall(r"%(.?)", text, re.S):
        if directive not in _DIRECTIVES:
            raise BadInput(f'{place} holds $(date "+{text}"): %{directive} is not known here.')
    return text


def _excerpt(text: str, at: int) -> str:
    """A command or a name, cut where it ends or grows long."""
    close = {"`": "`", "$(": ")", "${": "}"}.get(text[at] if text[at] == "`" else text[at : at + 2])
    end = text.find(close, at + 1) if close else at + 1
    return text[at : end + 1] if 0 < end < at + 60 else f"{text[at : at + 20]}…"


def _expanded(part: Variable | Date | Hostname, place: str, values: Values) -> str:
    if isinstance(part, Date):
        return values.date(part.format) if part.format else ""
    if isinstance(part, Hostname):
        return values.hostname(part.full)
    if is_secret(part.name):
        raise BadInput(f"{place} holds ${part.name}: a secret on a command line can be read by every process.")
    if part.name not in values.environment:
        raise BadInput(f"{place} holds ${part.name}, which is not set.")
    text = values.environment[part.name]
    for name, secret in secret_values(values.environment):
        if secret in text:
            raise BadInput(f"{place} holds ${part.name}, which holds the value of {name}: a secret on a command line.")
    return text
