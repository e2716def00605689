"""Modules as processes that tests can kill, and a watch on the containers of a job."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker

from lab import play, trees, warm
from lab.places import COLLECTIONS

MODULES = "ansible_collections.permafrost.backup.plugins.modules"
LABEL = "permafrost.backup.job"
VERB = "permafrost.backup.verb"
STATE_CHANGES = ["start", "die"]


class ModuleProcess:
    """A module, run as ansible runs it: options as JSON on standard input, one JSON object as the answer.

    ``prelude`` is Python that runs before it, such as a signal at a certain call.
    """

    def __init__(self, name: str, *, prelude: str = "", **options: Any) -> None:
        paths = os.pathsep.join([str(COLLECTIONS), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{prelude}\nimport runpy; runpy.run_module('{MODULES}.{name}', run_name='__main__')",
            ],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        self.process.stdin.close()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        self.process.send_signal(number)

    def ended(self, seconds: float = 600) -> dict[str, Any]:
        """The result; empty for one that was killed without a word."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._output.seek(0)
        text = self._output.read().decode()
        result = _result(text)
        # Before the module has begun, SIGINT is Python's: a traceback, and nothing was started.
        assert result or self.process.returncode < 0 or "KeyboardInterrupt" in text, text
        return result


def run(name: str, **options: Any) -> dict[str, Any]:
    """A module to its end, without a process to be killed: faster (`lab.warm`)."""
    text = warm.module(f"{MODULES}.{name}", options)
    result = _result(text)
    assert result, text
    return result


def _result(text: str) -> dict[str, Any]:
    """The JSON in the last line of what a module said; empty if there is none."""
    lines = text.strip().splitlines()
    result: dict[str, Any] = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return result


def succeeded(result: dict[str, Any]) -> dict[str, Any]:
    """The result, unless it is a failure."""
    assert result, "the module was killed"
    assert not result.get("failed"), result.get("msg")
    return result


def cause(result: dict[str, Any]) -> str:
    """Why a task failed, or "" if it did not."""
    return str(result.get("error", {}).get("cause", "")) if result.get("failed") else ""


def until(condition: Callable[[], Any], what: str, seconds: float = 300) -> Any:
    """Wait until something is true, and give it. A file that went while it was looked at is no answer yet."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(FileNotFoundError):
            if found := condition():
                return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


class Watch:
    """Follows the engine's own events of a job's containers, from the first to the last."""

    def __init__(self, job: str) -> None:
        self.job = job
        self._client = docker.from_env(timeout=120)
        self._stream = self._client.events(decode=True, filters={"label": f"{LABEL}={job}", "event": STATE_CHANGES})
        self.runs: list[dict[str, Any]] = []
        self.together: list[str] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        alive: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(Exception):  # the stream ends when it is closed
            for event in self._stream:
                name, at = event["Actor"]["ID"], event["timeNano"] / 1e9
                if event["Action"] == "start":
                    verb = event["Actor"]["Attributes"][VERB]
                    alive[name] = {"id": name, "verb": verb, "started": at, "ended": None}
                    self.runs.append(alive[name])
                elif name in alive:
                    alive.pop(name).update(ended=at, code=int(event["Actor"]["Attributes"]["exitCode"]))
                if len(alive) > 1:
                    self.together.append(f"{at}: {sorted(run['verb'] for run in alive.values())}")

    def close(self) -> None:
        """Stop following."""
        self._stream.close()
        self._thread.join(10)
        self._client.close()

    def containers(self, verb: str = "backup") -> list[Any]:
        """The job's containers of a verb, in whatever state."""
        filters = {"label": [f"{LABEL}={self.job}", f"{VERB}={verb}"]}
        return list(self._client.containers.list(all=True, filters=filters, ignore_removed=True))

    def running(self, verb: str = "backup") -> Any:
        """The running container of a verb, or None."""
        return next((one for one in self.containers(verb) if one.status == "running"), None)

    def wait_running(self, task: ModuleProcess | PlaybookProcess, verb: str = "backup") -> Any:
        """The container, as soon as it runs; None if the task ends before."""
        until(lambda: task.process.poll() is not None or self.running(verb), f"a container for {verb}")
        return self.running(verb)

    def wait_quiet(self) -> None:
        """Until no container of the job runs."""
        label = {"label": f"{LABEL}={self.job}", "status": "running"}
        until(lambda: not self._client.containers.list(filters=label, ignore_removed=True), "all containers ended")

    def kill(self, number: signal.Signals, verb: str = "backup") -> bool:
        """`docker kill -s`, if it runs."""
        found = self.running(verb)
        if found is None:
            return False
        try:
            found.kill(int(number))
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):  # it ended, or was removed, at this very moment
                raise
            return False
        return True

    def writes_outside(self, requests: list[dict[str, Any]], key: str, slack: float = 0.5) -> list[dict[str, Any]]:
        """Writing S3 requests below a key prefix that came while no container ran.

        Answers and the engine's events may be a little late.
        """
        found = []
        for one in requests:
            if one["method"] not in ("PUT", "POST", "DELETE") or not one["key"].startswith(key):
                continue
            runs = [run for run in self.runs if run["started"] - slack <= one["time"] <= (run["ended"] or 1e99) + slack]
            if not runs:
                found.append(one)
        return found


@contextlib.contextmanager
def watched(job: str) -> Iterator[Watch]:
    """A watch that at its end has never seen two containers of the job at once."""
    watch = Watch(job)
    try:
        yield watch
    finally:
        time.sleep(0.1)
        watch.close()
    assert not watch.together


class PlaybookProcess:
    """ansible-playbook with one task, in the shape of ModuleProcess."""

    def __init__(self, work: Path, name: str, **options: Any) -> None:
        self._name = name
        self._run = play.start([{"name": name, f"permafrost.backup.{name}": options}], work)
        self.process = self._run.process

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to ansible-playbook alone, as `kill` does."""
        self.process.send_signal(number)

    def ended(self, seconds: float = 600) -> dict[str, Any]:
        """The task's result; empty if ansible-playbook ended without one."""
        self._run.wait(seconds)
        found = self._run.results(self._name)
        return found[0] if found else {}


def remove_containers(job: str) -> None:
    """Whatever a job left."""
    with contextlib.closing(docker.from_env(timeout=300)) as client:
        filters = {"label": f"{LABEL}={job}"}
        for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
            with contextlib.suppress(docker.errors.APIError):  # somebody else removes it
                container.remove(force=True)


def secrets_of(job: str) -> list[Path]:
    """Directories with a job's secrets on the tmpfs."""
    homes = (Path("/run/permafrost"), Path("/dev/shm/permafrost"))
    return [place for home in homes if home.is_dir() for place in home.iterdir() if place.name.startswith(job)]


def same(expected: dict[bytes, trees.Entry], place: Path) -> None:
    """The restored tree is identical."""
    assert trees.differences(expected, trees.snapshot(place)) == []
