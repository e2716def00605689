"""The commands of the guide's container: dup, backup, restore; and explain, which runs nothing. I/O."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from permafrost import call, child, explain
from permafrost.masking import mask
from permafrost.words import Values

# duplicity's own exit code for a command line that it does not take.
REFUSED = 23


def main(argv: Sequence[str]) -> int:
    """Run a command with its words. The exit code is duplicity's own."""
    name, *given = argv or ("",)
    try:
        values = call.prepare(surroundings())
        if name == "explain":
            return _explain(given, values)
        if name not in call.COMMANDS:
            raise BadInput(f"There is no command {name}: there are {', '.join(call.COMMANDS)} and explain.")
        return run(call.command(name, given, values), values)
    except BadInput as error:
        print(mask(f"{error.what} {error.meaning}", os.environ), file=sys.stderr)
        return REFUSED


def run(wanted: call.Call, values: Values) -> int:
    """Warn, then run."""
    for text in wanted.warnings:
        print(f"warning: {mask(text, values.environment)}", file=sys.stderr, flush=True)
    return child.run(wanted.argv, values.environment)


def surroundings() -> Values:
    """The container's environment, clock and name."""
    return Values(os.environ, time.strftime, _hostname)


def _explain(given: Sequence[str], values: Values) -> int:
    name, *rest = given if given[:1] and given[0] in call.COMMANDS else ("dup", *given)
    if not given and values.environment.get("DST"):
        name = "backup"
    print(explain.text(call.command(name, rest, values), values))
    return 0


def _hostname(full: bool) -> str:
    name = socket.gethostname()
    if not full:
        return name
    try:
        return socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)[0][3] or name
    except OSError as error:
        # The name without its domain would be another chain's.
        raise BadInput(
            f"$(hostname -f) cannot be found out, as nothing knows the address of {name}: {error.strerror}."
        ) from error
