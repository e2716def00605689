"""An engine that stops answering in the middle of a run, and may come back: a proxy stands before the real one."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.conftest import Job

from lab import kills, trees
from lab.s3.client_api import S3Lab

IMPATIENT = (
    "from ansible_collections.permafrost.backup.plugins.module_utils import container\n"
    "container._ENGINE_BACK_SECONDS = 1.0"
)


class Proxy:
    """Passes bytes between a socket of its own and the engine's, until it is closed."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._place = tempfile.mkdtemp(prefix="engine-", dir="/tmp")  # an address must be short
        self.path = f"{self._place}/docker.sock"
        self._pairs: list[socket.socket] = []
        self.open()

    def open(self) -> None:
        """Answer."""
        Path(self.path).unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Drop all connections and refuse new ones."""
        for one in (self._listener, *self._pairs):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._pairs.clear()

    def remove(self) -> None:
        """Close for good."""
        self.close()
        shutil.rmtree(self._place)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._pairs += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(job: Job, s3: S3Lab, tmp_path: Path) -> Iterator[Proxy]:
    """The engine as the job sees it; a source, and an S3 server that takes its time."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content")
    s3.fault(operation="PutObject", kind="latency", seconds=1.5)
    made = Proxy(job["docker_host"].removeprefix("unix://"))
    job["docker_host"] = f"unix://{made.path}"
    yield made
    made.remove()


def goes_away(
    proxy: Proxy, s3: S3Lab, watch: kills.Watch, task: kills.ModuleProcess, verb: str = "backup", *, stops: bool = False
) -> None:
    """Once duplicity talks to S3 the engine's reply to the start has come: the task waits for the end.

    One that ``stops``, without live-restore, ends its containers too.
    """
    mark = s3.mark()
    watch.wait_running(task, verb)
    started = kills.until(lambda: [run["started"] for run in watch.runs if run["verb"] == verb], "its start")[-1]
    kills.until(lambda: any(one["time"] > started for one in s3.requests(mark)), "a request of the run")
    proxy.close()
    if stops:
        assert watch.kill(signal.SIGTERM, verb)
        watch.wait_quiet()


def test_an_engine_that_comes_back(job: Job, s3: S3Lab, proxy: Proxy) -> None:
    with kills.watched(job["name"]) as watch:
        task = kills.ModuleProcess("duplicity_backup", job=job)
        goes_away(proxy, s3, watch, task)
        watch.wait_quiet()
        proxy.open()
        assert kills.succeeded(task.ended())["action"] == "full"


def test_an_engine_that_stays_away(job: Job, s3: S3Lab, proxy: Proxy) -> None:
    with kills.watched(job["name"]) as watch:
        task = kills.ModuleProcess("duplicity_backup", job=job, prelude=IMPATIENT)
        goes_away(proxy, s3, watch, task)
        result = task.ended()
        assert kills.cause(result) == "engine_lost", result
        assert "run again" in result["msg"]
        proxy.open()
        assert kills.succeeded(kills.run("duplicity_backup", job=job))["attached"]
        assert [run["verb"] for run in watch.runs] == ["backup"]


def test_an_engine_that_stops_a_backup(job: Job, s3: S3Lab, proxy: Proxy) -> None:
    with kills.watched(job["name"]) as watch:
        s3.clear_faults()
        s3.fault("PutObject")
        task = kills.ModuleProcess("duplicity_backup", job=job, prelude=IMPATIENT)
        goes_away(proxy, s3, watch, task, stops=True)
        s3.clear_faults()
        assert kills.cause(task.ended()) == "engine_lost"
        proxy.open()
        again = kills.succeeded(kills.run("duplicity_backup", job=job))
        assert (again["attached"], again["action"], again["previous_run"]["exit_code"]) == (False, "full", 143)
    assert not kills.secrets_of(job["name"])


def test_an_engine_that_stops_a_restore_and_comes_back(job: Job, s3: S3Lab, proxy: Proxy, tmp_path: Path) -> None:
    job["storage_class"] = "STANDARD"
    kills.succeeded(kills.run("duplicity_backup", job=job))
    s3.fault("GetObject", ".vol1.", kind="hold")
    dest = tmp_path / "dest"
    with kills.watched(job["name"]) as watch:
        # Staged volumes would be there before the engine is asked for anything.
        task = kills.ModuleProcess("duplicity_restore", job=job, dest=str(dest), fetch="streamed")
        goes_away(proxy, s3, watch, task, "restore", stops=True)
        s3.clear_faults()
        proxy.open()
        result = task.ended()
        assert (kills.cause(result), result["error"]["exit_code"]) == ("stopped", 143)
        assert [one.name for one in tmp_path.iterdir() if "dest" in one.name] == [], "nothing is in place"
        kills.succeeded(kills.run("duplicity_restore", job=job, dest=str(dest)))
    kills.same(trees.snapshot(tmp_path / "source"), dest)


def test_an_engine_that_refuses(job: Job, proxy: Proxy) -> None:
    with kills.watched(job["name"]) as watch:
        result = kills.run("duplicity_backup", job={**job, "network": "no-such-network"})
        assert kills.cause(result) == "engine_refused"
        assert "no-such-network" in result["msg"]
        assert not watch.containers()
    assert not kills.secrets_of(job["name"])
