"""The runbook, killed at each of its steps with all that it started, and run again: the same result, paid once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from integration.test_runbook import Lost, backed_up

from lab import kills, play
from lab.kills import Watch
from lab.s3.client_api import S3Lab


@pytest.fixture
def lost(s3: S3Lab, image: str, tmp_path: Path) -> Iterator[Lost]:
    """Volumes of 1 MB, and a new host."""
    with backed_up(s3, image, tmp_path / "old", 700_000, volume_size=1) as backed:
        work = tmp_path / "new"
        work.mkdir()
        yield Lost(s3, backed.job, backed.tree, work)


def descendants(pid: int) -> list[int]:
    """Processes that a process started, and those that they started."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Killer:
    """Runs the command and kills it at a moment: ansible-playbook, its modules, and a container of theirs."""

    def __init__(self, lost: Lost, watch: Watch) -> None:
        self.lost, self.watch = lost, watch

    def at(self, moment: Callable[[play.Run], Any], **options: Any) -> play.Run:
        """At a moment, with further options of the job. Faults of S3 end with the run."""
        variables = self.lost.variables
        variables["duplicity_jobs"][0].update(options)
        run = play.start("permafrost.backup.restore", self.lost.work, **variables, confirm=True)
        kills.until(lambda: run.process.poll() is not None or moment(run), "the moment of the kill", 300)
        assert run.process.poll() is None, run.output
        os.kill(run.process.pid, signal.SIGSTOP)  # the moment lasts
        kill([run.process.pid, *descendants(run.process.pid)])
        run.wait()
        self.lost.s3.clear_faults()
        return run

    def in_container(self, verb: str, after: str = "Choose the jobs") -> play.Run:
        """As soon as a container of this verb runs, after that task; the container too, which is slow enough."""
        run = self.at(lambda run: has_ended(run, after) and self._on(verb), limits={"cpus": 0.15})
        one = self._on(verb)
        assert one is not None, f"the container of {verb} had ended already"
        assert self.watch.kill(signal.SIGKILL, verb)
        kills.until(lambda: one.get("code"), "the end of the container")
        assert one["code"] == 128 + signal.SIGKILL
        return run

    def _on(self, verb: str) -> dict[str, Any] | None:
        """The run of this verb that has not ended, by the engine's events, which take no question."""
        return next((one for one in self.watch.runs if one["verb"] == verb and not one["ended"]), None)


def has_ended(run: play.Run, name: str) -> bool:
    return any(task.name == name and task.status == "ok" for task in run.tasks)


def test_killed_at_each_of_the_seven_steps(lost: Lost) -> None:
    s3, mark = lost.s3, lost.s3.mark()

    def counted(operation: str) -> Counter[str]:
        return Counter(one["key"] for one in s3.requests(mark) if one["operation"] == operation)

    with kills.watched(lost.job["name"]) as watch:
        killer = Killer(lost, watch)
        # Find, and plan: duplicity's dry run is on.
        assert not has_ended(killer.in_container("plan", "Choose the jobs"), "Look at the destination")
        assert not has_ended(killer.in_container("plan", "Look at the destination"), "Plan")
        # Quote.
        s3.fault("RestoreObject")
        killer.at(lambda run: has_ended(run, "Quote"))
        assert lost.asked(mark) == []
        # Thaw: some are requested.
        before = s3.restore_limit(1)
        killer.at(lambda _run: len(lost.asked(mark)) >= 2)
        s3.restore_limit(before)
        assert 2 <= len(lost.asked(mark)) < len(lost.volumes())
        agreed = lost.report["quotes"]
        # Wait: all are.
        killer.at(lambda _run: len(lost.asked(mark)) == len(lost.volumes()))
        assert lost.asked(mark) == lost.volumes()
        s3.advance(hours=48)
        # Restore: a volume is on its way; then duplicity is at it.
        slow = next(key for key in lost.volumes() if ".vol3." in key)
        s3.fault("GetObject", slow, kind="hold")
        staged = Path(lost.work, "state", lost.job["name"], "staged")
        killer.at(lambda _run: len(list(staged.glob("duplicity-*difftar*"))) == len(lost.volumes()) - 1)
        killer.in_container("restore")
        # Prove.
        killer.in_container("prove")
        assert not lost.dest.exists()
        # Before the report.
        killer.at(lambda run: has_ended(run, "Restore"))
        lost.same()
        last = lost.run()
    assert last.code == 0, last.output
    lost.same()
    assert lost.asked(mark) == lost.volumes()
    # What was on its way at the kill is read once more, and nothing else.
    kills.until(lambda: counted("GetObject")[slow] == 2, "the killed task's request in the log")
    read = counted("GetObject")
    assert {key: read[key] for key in lost.volumes()} == {key: 1 + (key == slow) for key in lost.volumes()}
    report = lost.report
    assert (report["quotes"], bool(report["finished"]), report["proven"]) == (agreed, True, True)
    assert "holds this restore already" in last.output
    assert not kills.secrets_of(lost.job["name"])
    assert [path.name for path in lost.work.iterdir() if ".permafrost" in path.name and path.name.startswith(".")] == []
