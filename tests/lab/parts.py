"""python -m lab.parts [PART…]: run the parts of the test run in order, say how long each took, fail if any failed."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

from lab.places import CHECKOUT

PYTEST = ("python", "-m", "pytest", "--durations=5")
# Files at once: each has a server of its own, and much of their time is waiting.
AT_ONCE = ("-n", "3", "--dist", "loadfile")

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


@dataclass(frozen=True)
class Outcome:
    """What became of one part."""

    name: str
    seconds: float
    failures: tuple[str, ...]


def run(name: str) -> Outcome:
    """Run all commands of one part."""
    started = time.monotonic()
    failures = []
    for argv in PARTS[name]:
        print(f"+ {' '.join(argv)}", flush=True)
        if subprocess.run(argv, cwd=CHECKOUT, check=False).returncode:
            failures.append(" ".join(argv))
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
