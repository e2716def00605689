"""Wall, CPU and peak memory of a process tree or of a container, and the writes that S3 was asked for."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lab.s3.client_api import S3Lab

# Every one of these is billed as a PUT (Amazon S3 pricing, "requests").
WRITES = frozenset({"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject"})
_INTERVAL = 0.05


@dataclass
class Usage:
    """What one run took. Memory is the highest sum of resident sets in the tree, in bytes."""

    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    writes: int = 0
    notes: dict[str, float] = field(default_factory=dict)


class Watch:
    """Samples trees of processes, each found anew every time, until it is closed."""

    def __init__(self, roots: Callable[[], list[int]]) -> None:
        self._roots, self._stop = roots, threading.Event()
        self._cpu: dict[tuple[int, float], float] = {}
        self.peak = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def cpu(self) -> float:
        return sum(self._cpu.values())

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._sample()
            time.sleep(_INTERVAL)

    def _sample(self) -> None:
        resident = 0
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                resident += process.memory_info().rss
                times = process.cpu_times()
                self._cpu[(process.pid, process.create_time())] = times.user + times.system
        self.peak = max(self.peak, resident)

    def _processes(self) -> Iterator[psutil.Process]:
        for pid in self._roots():
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                yield root
                yield from root.children(recursive=True)


def process(argv: list[str], environment: dict[str, str], s3: S3Lab, *, stdin: str = "", also: Any = None) -> Usage:
    """Run a program to its end. ``also`` names further roots of trees, such as a container's."""
    mark, started = s3.mark(), time.monotonic()
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        watch = Watch(lambda: [child.pid, *(also() if also else [])])
        output, _ = child.communicate(stdin)
        wall = time.monotonic() - started
        watch.close()
    if child.returncode:
        raise RuntimeError(f"{argv[0]} ended with {child.returncode}:\n{output[-3000:]}")
    usage = Usage(wall, watch.cpu, watch.peak, writes(s3, mark))
    usage.notes["output"] = len(output)
    return usage


def writes(s3: S3Lab, mark: int) -> int:
    return sum(entry["operation"] in WRITES for entry in s3.requests(mark))


def container_pids(client: Any, label: str) -> Callable[[], list[int]]:
    """The first process of each running container with this label.

    The engine is asked until it knows one, and again when that has ended: to ask it all the time would slow the run.
    """
    known: list[int] = []

    def pids() -> list[int]:
        known[:] = filter(psutil.pid_exists, known)
        if not known:
            for summary in client.containers(filters={"label": label}):
                with contextlib.suppress(Exception):  # gone between two calls
                    pid = client.inspect_container(summary["Id"])["State"]["Pid"]
                    known.extend([pid] if pid else [])
        return known

    return pids


def tree_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
