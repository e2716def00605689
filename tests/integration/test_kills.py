"""Signals at random moments of a full and of an incremental, to the module, to ansible-playbook and to the container.

A run has many moments: small volumes, and an S3 server that takes its time for each.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

from lab import kills, trees
from lab.s3.client_api import S3Lab

MOMENTS = 20
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
COMBINATIONS = list(itertools.product(("module", "playbook", "container"), SIGNALS))
# What ansible needs before the module begins, about.
PLAYBOOK_SECONDS = 1.5
LATENCY_SECONDS = 0.25
EXPECTED = ("", "stopped", "killed")
NAME = re.compile(r".*/duplicity-(?:full|inc\.\w+\.to)\.(\w+)\.(manifest|vol(\d+)\.difftar)")


class Rounds:
    """One job, and what is known of it from outside."""

    def __init__(self, job: dict[str, Any], s3: S3Lab, watch: kills.Watch, work: Path) -> None:
        self.job, self.s3, self.watch, self.work = job, s3, watch, work
        self.bucket, self.prefix = job["target"].removeprefix("s3://").split("/", 1)
        seed = int(os.environ.get("LAB_SEED", random.randrange(1 << 32)))
        print(f"LAB_SEED={seed}")
        self.random = random.Random(seed)
        self.attached = self.resumed = self.completed = 0
        self.task_seconds = self.container_seconds = 0.0

    def undisturbed(self, **options: Any) -> dict[str, Any]:
        """A backup that nobody kills, and how long it takes."""
        started = time.monotonic()
        result = kills.succeeded(kills.run("duplicity_backup", job=self.job, **options))
        self.task_seconds = time.monotonic() - started
        self.container_seconds = result["elapsed_seconds"]
        return result

    def moments(self) -> list[float]:
        """Parts of a run, spread evenly and then at random, to a little after its end."""
        parts = [(number + self.random.random()) / MOMENTS * 1.1 for number in range(MOMENTS)]
        self.random.shuffle(parts)
        return parts

    def attempt(self, number: int, part: float, **options: Any) -> dict[str, Any]:
        """One backup and one signal."""
        victim, signal_number = COMBINATIONS[number % len(COMBINATIONS)]
        task = self._start(victim, **options)
        if victim == "container":
            self.watch.wait_running(task)
            time.sleep(part * self.container_seconds)
            self.watch.kill(signal_number)
        else:
            time.sleep(part * (self.task_seconds + (PLAYBOOK_SECONDS if victim == "playbook" else 0)))
            task.kill(signal_number)
        result = task.ended()
        cause = kills.cause(result)
        print(f"{victim:9} {signal_number.name} at {part:.2f}: {cause or result.get('action', 'no word')}", flush=True)
        assert cause in EXPECTED, result
        self.attached += bool(result.get("attached"))
        self.resumed += bool(result.get("resumed"))
        self.completed += bool(result.get("changed"))
        self.check_info()
        return result

    def _start(self, victim: str, **options: Any) -> kills.ModuleProcess | kills.PlaybookProcess:
        if victim == "playbook":
            return kills.PlaybookProcess(self.work, "duplicity_backup", job=self.job, **options)
        return kills.ModuleProcess("duplicity_backup", job=self.job, **options)

    def check_info(self) -> None:
        """`duplicity_info` tells complete sets from interrupted ones as the bucket does, or that a backup runs."""
        before = self.sets()
        info = kills.run("duplicity_info", job=self.job)
        if kills.cause(info) == "busy":
            assert info["error"]["verb"] == "backup"
            return
        kills.succeeded(info)
        if self.sets() != before:
            return  # a task that went on without ansible was at work
        complete = {one["time"]: one["volumes"] for chain in info["chains"] for one in chain["sets"]}
        assert complete == {at: len(volumes) for at, (volumes, manifest) in before.items() if manifest}
        assert {one["time"] for one in info["interrupted"]} == {at for at, one in before.items() if not one[1]}
        assert all(chain["missing_count"] == 0 for chain in info["chains"])

    def sets(self) -> dict[str, tuple[list[int], bool]]:
        """Volumes by time of set, and whether its manifest is in the bucket."""
        found: dict[str, tuple[list[int], bool]] = {}
        for entry in self.s3.state(self.bucket, f"{self.prefix}/"):
            match = NAME.match(entry["key"])
            if match:
                stamp = time.strptime(match[1], "%Y%m%dT%H%M%SZ")
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", stamp)
                volumes, manifest = found.get(at, ([], False))
                found[at] = (volumes + ([int(match[3])] if match[3] else []), manifest or match[2] == "manifest")
        return found

    def restored(self, at: str) -> Path:
        """The tree as it was, thawed and restored."""
        plan = kills.succeeded(kills.run("glacier_restore_info", job=self.job, time=at))["plan"]
        service = {name: self.job[name] for name in ("credentials", "endpoint_url", "region")}
        keys = [volume["key"] for volume in plan["volumes"]]
        kills.succeeded(kills.run("glacier_restore", bucket=self.bucket, keys=keys, **service))
        self.s3.advance(hours=49)
        dest = self.work / f"restored {at}"
        kills.succeeded(kills.run("duplicity_restore", job=self.job, time=at, dest=str(dest)))
        return dest


def test_random_moments(job: dict[str, Any], s3: S3Lab, tmp_path: Path) -> None:
    """Whatever is killed and when: one run at a time, nothing lost, nothing called complete that is not."""
    source = tmp_path / "source"
    trees.make(source, files=100)
    _random_data(source, 0)
    s3.fault(operation="PutObject", kind="latency", seconds=LATENCY_SECONDS)
    mark = s3.mark()
    with kills.watched(job["name"]) as watch:
        rounds = Rounds(job, s3, watch, tmp_path)
        rounds.undisturbed()
        for number, part in enumerate(rounds.moments()):
            rounds.attempt(number, part, full=True)
        watch.wait_quiet()
        full = rounds.undisturbed(full=True)["set"]["time"]
        expected = {full: trees.snapshot(source)}
        last = _incrementals(rounds, source)
        expected[last] = trees.snapshot(source)
        rounds.check_info()
        assert all(volumes == list(range(1, len(volumes) + 1)) for volumes in map(_sorted, rounds.sets().values()))
        assert not watch.writes_outside(s3.requests(mark), rounds.prefix, slack=8 * LATENCY_SECONDS)
        s3.clear_faults()
        for at, snapshot in expected.items():
            kills.same(snapshot, rounds.restored(at))
        assert not watch.containers()
    assert not kills.secrets_of(job["name"])
    assert not list(tmp_path.glob(".*permafrost*"))
    # Which of the two comes is chance; each has its own tests, in test_attach and test_resuming.
    assert min(rounds.attached + rounds.resumed, rounds.completed) > 0


def _incrementals(rounds: Rounds, source: Path) -> str:
    """Twenty moments; the tree changes after each set that was completed. Gives the time of the last set."""
    turn = 1
    _change(source, turn)
    rounds.undisturbed()
    _change(source, turn := turn + 1)
    for number, part in enumerate(rounds.moments()):
        result = rounds.attempt(number, part)
        if result.get("changed") or result.get("action") == "skipped":
            rounds.watch.wait_quiet()
            _change(source, turn := turn + 1)
    rounds.watch.wait_quiet()
    rounds.undisturbed()  # what is still to be collected
    _change(source, turn + 1)
    return str(rounds.undisturbed()["set"]["time"])


def _sorted(one: tuple[list[int], bool]) -> list[int]:
    return sorted(one[0])


def _change(source: Path, turn: int) -> None:
    time.sleep(1.1)  # duplicity's times are whole seconds
    trees.change(source, turn)
    _random_data(source, turn)


def _random_data(source: Path, turn: int) -> None:
    """Four volumes that do not compress."""
    data = random.Random(turn)
    for number in range(7):
        (source / f"data {number}").write_bytes(data.randbytes(500_000))
