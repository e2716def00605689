"""permafrost COMMAND: what the container does. The one place that ends the program."""

from __future__ import annotations

import signal
import sys
from importlib import import_module

from ansible_collections.permafrost.backup.plugins.module_utils.errors import Interrupted, PermafrostError

# Each is a function of its name. Only what is asked for is imported: a health check comes every half minute.
COMMANDS = {
    "backup": "runs",
    "cleanup": "runs",
    "hook": "runs",
    "verify": "runs",
    "prove": "prove",
    "scheduler": "scheduler",
    "healthy": "heartbeat",
}


def main(argv: list[str]) -> int:
    """Run a command; 0 when it ended well, 1 when it failed, 2 for a wrong command line.

    ``guide NAME WORDS…`` is a command of the guide's container, with duplicity's own exit codes.
    """
    if argv[:1] == ["guide"]:
        return int(import_module("permafrost.guide").main(argv[1:]))
    if len(argv) != 1 or argv[0] not in COMMANDS:
        print(f"usage: permafrost {' | '.join(COMMANDS)}", file=sys.stderr)
        return 2
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    try:
        return int(getattr(import_module(f"permafrost.{COMMANDS[argv[0]]}"), argv[0])())
    except PermafrostError as error:
        print(error.message, file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(f"Ended by {interrupted}.", file=sys.stderr)
        return 1


def _interrupt(number: int, _frame: object) -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
