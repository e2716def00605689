"""What is said of one run: the subject and the text of a mail, the line of a ping. Pure."""

from __future__ import annotations

import re

from ansible_collections.permafrost.backup.plugins.module_utils.reporting import SUBJECT
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3
from permafrost.outcome import Outcome

_PLACEHOLDER = re.compile(r"\{(hostname|job|verb|result)\}")
_LONGEST_LINE = 200


def subject(outcome: Outcome, hostname: str, template: str = SUBJECT, words: tuple[str, str] = ("OK", "FAILED")) -> str:
    """A template with what it names put in; other braces stay as they are."""
    values = {"hostname": hostname, "job": outcome.job, "verb": outcome.verb, "result": words[outcome.exit_code != 0]}
    return " ".join(_PLACEHOLDER.sub(lambda match: values[match[1]], template).split())


def text(outcome: Outcome, hostname: str, headline: str, most: int | None = None) -> str:
    """The body of a mail, with all of the output or its last ``most`` lines.

    ``headline`` is what the run said at its end, or the error that ended it.
    """
    result = f"FAILED, exit code {outcome.exit_code}" if outcome.exit_code else "OK"
    rows = {
        "job": outcome.job,
        "verb": outcome.verb,
        "host": hostname,
        "result": result,
        "started": to_w3(outcome.started),
        "finished": to_w3(outcome.finished),
        "elapsed": elapsed(outcome),
    }
    table = "\n".join(f"{name:<10}{value}" for name, value in rows.items())
    lines = outcome.output.strip("\n").split("\n")
    tail = "\n".join(lines[-most:] if most else lines)
    ending = f"\nThe last lines of the output:\n\n{tail}\n" if tail else ""
    return f"{headline or line(outcome)}\n\n{table}\n{ending}"


def line(outcome: Outcome, headline: str = "") -> str:
    """One line for a monitor."""
    known = " ".join(headline.split())
    if not known:
        ended = f"failed with exit code {outcome.exit_code}" if outcome.exit_code else "ended well"
        known = f"{outcome.verb} of {outcome.job} {ended} after {elapsed(outcome)}"
    return known if len(known) <= _LONGEST_LINE else f"{known[: _LONGEST_LINE - 1]}…"


def elapsed(outcome: Outcome) -> str:
    """``1 h 02 min 03 s``, without what is zero at its beginning."""
    minutes, seconds = divmod(max(0, round((outcome.finished - outcome.started).total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min {seconds:02} s"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
