"""child.py: exit codes and signals of a real child, below a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from lab.typing_check import PROGRAM_DIR

# Whoever runs the tests may ignore signals (nohup does), and a shell cannot trap what was ignored when it began.
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
RUN = f"""
import os, signal, sys
for name in {SIGNALS}:
    signal.signal(getattr(signal, name), signal.SIG_DFL)
from permafrost import child
sys.exit(child.run(sys.argv[1:], os.environ))
"""


def start(*argv: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM_DIR)}
    command = [sys.executable, "-c", RUN, *argv]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 23", 23), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_exit_codes(script: str, code: int) -> None:
    assert start("sh", "-c", script).wait(60) == code


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_handed_on(name: str) -> None:
    """The child is told, and decides itself how it ends."""
    process = start(
        "sh", "-c", f"trap 'echo told; exit 5' {name.removeprefix('SIG')}; echo ready; while :; do sleep 0.05; done"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    assert process.wait(60) == 5
    assert process.stdout.readline() == "told\n"


def test_the_way_to_its_own_code_is_not_for_others() -> None:
    process = start("env")
    assert process.stdout is not None
    shown = process.stdout.read()
    assert process.wait(60) == 0
    assert "\nPATH=" in f"\n{shown}"
    assert "PYTHONPATH" not in shown
