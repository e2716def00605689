"""Run ansible-playbook as users do, and get the results of its tasks as data."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import warm

COLLECTION = "permafrost.backup."
CALLBACKS = Path(__file__).with_name("callbacks")

# The prompt of a task; and who reads from a terminal has to be the one that it belongs to.
PROMPT = b"Passphrase of"
_IN_CHARGE: dict[str, Any] = {
    "start_new_session": True,
    "preexec_fn": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
}

Playbook = str | list[dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """What became of one task on one host; status is ok, failed, ignored, skipped or unreachable."""

    name: str
    action: str
    host: str
    status: str
    result: dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """What is left of a process that nobody has to look after."""

    returncode: int


class Run:
    """One run of ansible-playbook, on or ended."""

    def __init__(self, process: subprocess.Popen[bytes] | Ended, log: Path, results: Path) -> None:
        self._process, self._log, self._results = process, log, results

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """That of a run that was started, not run to its end."""
        assert isinstance(self._process, subprocess.Popen)
        return self._process

    def wait(self, seconds: float = 600) -> Run:
        """Until it ended."""
        self.process.wait(seconds)
        return self

    @property
    def code(self) -> int:
        """The exit code of a run that was waited for."""
        assert self._process.returncode is not None
        return self._process.returncode

    @property
    def output(self) -> str:
        """What people see."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def tasks(self) -> list[Task]:
        """Every task that ended so far, in order. A line may be on its way."""
        text = self._results.read_text(encoding="utf-8") if self._results.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [
            Task(line["task"], line["action"].removeprefix(COLLECTION), line["host"], line["status"], line["result"])
            for line in map(json.loads, lines)
        ]

    def results(self, action: str) -> list[dict[str, Any]]:
        """Results of a module, such as duplicity_backup; those of a loop one by one."""
        found = [task.result for task in self.tasks if task.action == action and task.status != "skipped"]
        return [one for result in found for one in result.get("results", [result])]

    def result(self, action: str) -> dict[str, Any]:
        """The only result of a module."""
        found = self.results(action)
        assert len(found) == 1, f"{len(found)} results of {action}:\n{self.output}"
        return found[0]


@dataclass(frozen=True)
class _Command:
    """Arguments of ansible-playbook, its environment, and where it leaves what it says."""

    arguments: list[str]
    environment: dict[str, str]
    log: Path
    results: Path


def _command(
    playbook: Playbook,
    work: Path,
    options: tuple[str, ...],
    inventory: Path | str | None,
    variables: dict[str, Any],
    python: str,
) -> _Command:
    place = Path(tempfile.mkdtemp(prefix="play-", dir=work))
    arguments = [*options, "-i", str(inventory or _inventory(place, python))]
    if variables:
        # A file: it may hold secrets, which do not belong into a command line.
        (place / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
        arguments += ["-e", f"@{place / 'variables.json'}"]
    results = place / "results.jsonl"
    settings = {
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "lab_results",
        "LAB_RESULTS": str(results),
    }
    return _Command([*arguments, _path(playbook, place)], {**os.environ, **settings}, place / "log", results)


def start(
    playbook: Playbook,
    work: Path,
    *options: str,
    inventory: Path | str | None = None,
    typed: str | None = None,
    **variables: Any,
) -> Run:
    """Start a playbook of this collection by name, one given as text, or a list of tasks for the host web01.

    ``typed`` is what somebody at a terminal answers to the first prompt; without it there is no terminal.
    """
    command = _command(playbook, work, options, inventory, variables, sys.executable)
    ours, theirs = pty.openpty() if typed else (None, os.open(os.devnull, os.O_RDONLY))
    # The prompt has to be seen while it waits.
    unbuffered = {"PYTHONUNBUFFERED": "1"} if typed else {}
    with command.log.open("wb") as output:
        process = subprocess.Popen(
            ["ansible-playbook", *command.arguments],
            stdin=theirs,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**command.environment, **unbuffered},
            **(_IN_CHARGE if ours else {}),
        )
    os.close(theirs)
    if ours:
        threading.Thread(target=_answer, args=(process, command.log, ours, typed), daemon=True).start()
    return Run(process, command.log, command.results)


def _answer(process: subprocess.Popen[bytes], log: Path, terminal: int, text: str | None) -> None:
    """Type once the prompt is there and nothing is shown: ansible throws away what came before."""
    while process.poll() is None and (PROMPT not in log.read_bytes() or termios.tcgetattr(terminal)[3] & termios.ECHO):
        time.sleep(0.05)
    time.sleep(0.5)
    with contextlib.suppress(OSError):
        os.write(terminal, f"{text}\r".encode())
    process.wait()
    os.close(terminal)


def run(playbook: Playbook, work: Path, *options: str, inventory: Path | str | None = None, **variables: Any) -> Run:
    """The same, to its end, without a terminal: faster, and not to be looked at or killed meanwhile (`lab.warm`)."""
    command = _command(playbook, work, options, inventory, variables, warm.interpreter())
    code = warm.playbook(command.arguments, command.environment, command.log)
    return Run(Ended(code), command.log, command.results)


@contextmanager
def running(playbook: Playbook, work: Path, *options: str, **others: Any) -> Iterator[Run]:
    """A run that is on, and ended at the latest when the block is left."""
    started = start(playbook, work, *options, **others)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            started.wait(60)


def local(python: str = sys.executable) -> dict[str, Any]:
    """This machine as a host of an inventory; `warm.interpreter()` is faster, where no module is killed."""
    return {"ansible_connection": "local", "ansible_python_interpreter": python}


def _inventory(place: Path, python: str) -> Path:
    """Beside the implicit localhost: the usual way to name the machine itself a host."""
    path = place / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"web01": local(python)}}}), encoding="utf-8")
    return path


def _path(playbook: Playbook, place: Path) -> str:
    if isinstance(playbook, list):
        play = {"name": "Test", "hosts": "web01", "gather_facts": False, "tasks": playbook}
        text = yaml.safe_dump([play], sort_keys=False, allow_unicode=True)
    elif "\n" in playbook:
        text = playbook
    else:
        return playbook
    path = place / "play.yml"
    path.write_text(text, encoding="utf-8")
    return str(path)
