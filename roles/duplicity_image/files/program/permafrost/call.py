"""One call of duplicity as the guide's container makes it: OPTIONS, OPTIONS_EXTRA, then the words of the command. Pure.

The scheduler's jobs are such calls too: their words are made by ``words.words``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from permafrost import options, words
from permafrost.flags import translate
from permafrost.options import Line
from permafrost.words import Values

COMMANDS = ("dup", "backup", "restore")
# The guide's container has this one in its image.
_SOURCE = "/mnt/backup/src"


@dataclass(frozen=True)
class Call:
    """What is run, and what a user should know of it before. ``line`` is what the user asked for, in today's words."""

    argv: tuple[str, ...]
    line: Line
    warnings: tuple[str, ...]


def prepare(values: Values) -> Values:
    """SRC and DST with the guide's default, and with what they hold put in."""
    environment = {"SRC": _SOURCE, **values.environment}
    for name in ("SRC", "DST"):
        if name in environment:
            environment[name] = words.whole(environment[name], name, values)
    return replace(values, environment=environment)


def dup(given: Sequence[str], values: Values) -> Call:
    """``dup WORDS``. The words are used as they are. Raises BadInput."""
    environment = values.environment
    from_options = [
        word for name in ("OPTIONS", "OPTIONS_EXTRA") for word in words.words(environment.get(name, ""), name, values)
    ]
    translation = translate(options.read([*from_options, *given]), environment.get("HOME", "/"))
    argv = ("duplicity", *translation.ahead, *translation.line.words)
    return Call(argv, translation.line, translation.warnings)


def command(name: str, given: Sequence[str], values: Values) -> Call:
    """``dup``, ``backup`` or ``restore`` with its words. Raises BadInput."""
    if name == "dup":
        return dup(given, values)
    source, target = (_required(one, values) for one in ("SRC", "DST"))
    ahead = [source, target] if name == "backup" else ["restore", target, source]
    return dup([*ahead, *given], values)


def _required(name: str, values: Values) -> str:
    text = values.environment.get(name, "")
    if not text:
        raise BadInput(f"{name} is not set: backup and restore take source and target from SRC and DST.")
    return text
