"""python -m lab.parts [PART…]: run the parts of the test run in order, say how long each took, fail if any failed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass

from lab.places import CHECKOUT

PYTEST = ("python", "-m", "pytest", "--durations=15")
# Files at once: each has a server of its own, and much of their time is waiting.
AT_ONCE = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")

# A new part is a new line; its commands run in the root of the checkout, and all of them run even if one fails.
PARTS: dict[str, list[tuple[str, ...]]] = {
    "lint": [
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("python", "-m", "lab.typing_check"),
        ("yamllint", "--strict", "--config-file", ".config/yamllint.yml", "."),
        ("ansible-lint", "--offline", "--profile", "production"),
    ],
    "sanity": [("python", "-m", "lab.sanity")],
    "guard": [(*PYTEST, "tests/guard")],
    "unit": [(*PYTEST, "tests/unit"), (*PYTEST, "tests/controller")],
    "page": [(*PYTEST, "tests/page")],
    "lab": [(*PYTEST, "tests/lab_s3")],
    "image": [(*PYTEST, "tests/image")],
    "integration": [(*PYTEST, *AT_ONCE, "tests/integration")],
    "molecule": [("python", "-m", "lab.molecule")],
}


# How pytest and ansible-test begin the lines that say what failed, and why; how many of them the end of the output
# repeats; and how many of the last lines it repeats of a command that has no such lines.
TELLING = ("FAILED ", "ERROR ", "ERROR: ", "E   ")
REPEATED = 40
LAST = 10


@dataclass(frozen=True)
class Outcome:
    """What became of one part."""

    name: str
    seconds: float
    failures: tuple[str, ...]


def told(argv: tuple[str, ...]) -> list[str] | None:
    """Run one command; what it said of its failures, or None if there were none.

    Everything is passed on as it comes. The lines that tell are repeated at the very end: where only the end of a long
    output is kept, that is what is needed.
    """
    print(f"+ {' '.join(argv)}", flush=True)
    telling: deque[str] = deque(maxlen=REPEATED)
    last: deque[str] = deque(maxlen=LAST)
    with subprocess.Popen(
        argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last.append(line.rstrip())
            if line.startswith(TELLING):
                telling.append(line.rstrip())
    return [" ".join(argv), *(telling or last)] if process.returncode else None


def run(name: str) -> Outcome:
    """Run all commands of one part."""
    started = time.monotonic()
    failures = [line for argv in PARTS[name] for line in told(argv) or ()]
    outcome = Outcome(name, time.monotonic() - started, tuple(failures))
    print(f"part {name}: {outcome.seconds:.1f} s", flush=True)
    return outcome


def table(outcomes: list[Outcome]) -> str:
    """The last thing that a reader sees."""
    rows = [f"{'part':<14}{'seconds':>8}  result"]
    for outcome in outcomes:
        rows.append(f"{outcome.name:<14}{outcome.seconds:>8.1f}  {'FAILED' if outcome.failures else 'ok'}")
        rows += [f"{'':<24}{failure}" for failure in outcome.failures]
    return "\n".join([*rows, f"{'all':<14}{sum(outcome.seconds for outcome in outcomes):>8.1f}"])


def main(names: list[str]) -> int:
    """Run the named parts, or all; the exit code tells whether all passed."""
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        print(f"no such part: {', '.join(unknown)} (there are: {', '.join(PARTS)})", file=sys.stderr)
        return 2
    outcomes = [run(name) for name in names or PARTS]
    print(f"\n{table(outcomes)}")
    return int(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
