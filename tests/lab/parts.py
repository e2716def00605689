"""python -m lab.parts [PART…]: run the parts of the test run, say how long each took, fail if any failed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab import warm
from lab.places import CHECKOUT, LAB

PYTEST = ("python", "-m", "pytest", "--durations=15")
# Several files at once, in order: each has a server of its own, and much of their time is waiting.
BY_FILE = ("--dist", "loadfile", "--no-loadscope-reorder")

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
    "image": [(*PYTEST, "-n", "2", *BY_FILE, "tests/image")],
    "integration": [(*PYTEST, "-n", "4", *BY_FILE, "tests/integration")],
    "molecule": [("python", "-m", "lab.molecule")],
}
# Hosts wait for their systemd, and for each other, a good third of the time: this runs behind all others, which follow
# each other. Its output is kept in a file and shown after theirs.
BEHIND = "molecule"
KEPT = LAB / "molecule.log"
STOPPED = threading.Event()

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


def told(argv: tuple[str, ...], show: Callable[[str], None]) -> list[str] | None:
    """Run one command; what it said of its failures, or None if there were none.

    Every line is shown as it comes. The lines that tell are repeated at the very end: where only the end of a long
    output is kept, that is what is needed.
    """
    show(f"+ {' '.join(argv)}")
    telling: deque[str] = deque(maxlen=REPEATED)
    last: deque[str] = deque(maxlen=LAST)
    with subprocess.Popen(
        argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            show(line.rstrip("\n"))
            last.append(line.rstrip())
            if line.startswith(TELLING):
                telling.append(line.rstrip())
    return [" ".join(argv), *(telling or last)] if process.returncode else None


def show_now(line: str) -> None:
    """Show a line as it comes."""
    print(line, flush=True)


def run(name: str, show: Callable[[str], None] = show_now) -> Outcome:
    """Run all commands of one part."""
    started = time.monotonic()
    failures = [line for argv in PARTS[name] if not STOPPED.is_set() for line in told(argv, show) or ()]
    outcome = Outcome(name, time.monotonic() - started, tuple(failures))
    show(f"part {name}: {outcome.seconds:.1f} s")
    return outcome


def run_behind() -> Outcome:
    """Run the part that waits much, and keep what it says."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("w", encoding="utf-8") as log:
        return run(BEHIND, lambda line: print(line, file=log, flush=True))


def run_all(names: list[str]) -> list[Outcome]:
    """Run the parts."""
    others = [name for name in names if name != BEHIND]
    if BEHIND not in names or not others:
        return [run(name) for name in names]
    show_now(f"part {BEHIND} begins, behind the others; its output so far is in {KEPT}")
    with ThreadPoolExecutor(1) as pool:
        behind = pool.submit(run_behind)
        try:
            outcomes = [run(name) for name in others]
            outcomes.append(behind.result())
        except BaseException:  # Ctrl-C ends what runs; nothing else must begin
            STOPPED.set()
            raise
        finally:
            show_now(KEPT.read_text(encoding="utf-8"))
    return outcomes


def table(outcomes: list[Outcome], seconds: float) -> str:
    """The last thing that a reader sees. ``seconds``: of all of them together."""
    rows = [f"{'part':<14}{'seconds':>8}  result"]
    for outcome in outcomes:
        rows.append(f"{outcome.name:<14}{outcome.seconds:>8.1f}  {'FAILED' if outcome.failures else 'ok'}")
        rows += [f"{'':<24}{failure}" for failure in outcome.failures]
    return "\n".join([*rows, f"{'all':<14}{seconds:>8.1f}"])


def main(names: list[str]) -> int:
    """Run the named parts, or all; the exit code tells whether all passed."""
    unknown = sorted(set(names) - set(PARTS))
    if unknown:
        print(f"no such part: {', '.join(unknown)} (there are: {', '.join(PARTS)})", file=sys.stderr)
        return 2
    started = time.monotonic()
    warm.home()  # one for all parts
    outcomes = run_all(names or list(PARTS))
    print(f"\n{table(outcomes, time.monotonic() - started)}")
    return int(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
