"""What the next task finds after one was killed, and what two tasks at once do: one thing each."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from integration import interrupting
from integration.conftest import Job, RunPlaybook
from integration.interrupting import backup, left_alone, refill, takes_no_more_than, volumes_of

from lab import kills, trees
from lab.s3.client_api import S3Lab

# Fixtures.
source, slow, watch = interrupting.source, interrupting.slow, interrupting.watch
# For the first of two tasks, so that the second has begun before it ends, on a busy machine too.
TOGETHER_SECONDS = 6
# A signal between two calls of the engine: the calls themselves are the real ones.
AT_START = "import docker, os, signal\ndocker.APIClient.start = lambda *_: os.kill(os.getpid(), signal.{})"


@pytest.fixture
def held(slow: Job, s3: S3Lab) -> Job:
    """The same where a first volume is not stored before the faults are cleared."""
    s3.clear_faults()
    s3.fault("PutObject", ".vol1.", kind="hold")
    return slow


def backups(watch: kills.Watch) -> int:
    """How many containers for a backup were started."""
    time.sleep(0.2)
    return sum(run["verb"] == "backup" for run in watch.runs)


def test_attaches_to_a_run_that_goes_on(held: Job, s3: S3Lab, watch: kills.Watch, tmp_path: Path) -> None:
    container = left_alone(held, watch)
    since = container.attrs["State"]["StartedAt"][:19] + "Z"
    for name, options in (("duplicity_info", {}), ("duplicity_restore", {"dest": str(tmp_path / "dest")})):
        refused = kills.run(name, job=held, **options)
        assert (kills.cause(refused), refused["error"].get("since")) in {("busy", since)}, refused["msg"]
        assert since in refused["msg"]
    assert kills.secrets_of(held["name"])
    s3.clear_faults()
    result = kills.succeeded(kills.run("duplicity_backup", job=held))
    assert (result["attached"], result["action"]) == (True, "full")
    assert result["elapsed_seconds"] % 1
    assert backups(watch) == 1
    assert not kills.secrets_of(held["name"])
    assert kills.run("duplicity_info", job=held)["last_success"]["exit_code"] == 0


def test_collects_or_tells_what_nobody_saw_the_end_of(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path) -> None:
    left_alone(slow, watch)
    watch.wait_quiet()
    refill(source, 1)
    collected = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (collected["attached"], collected["action"], backups(watch)) == (True, "full", 1)
    takes_no_more_than(s3, 1)
    left_alone(slow, watch)
    leftovers = Path(slow["state_dir"], slow["name"], "tmp")
    kills.until(lambda: list(leftovers.glob("duplicity*/*")), "a volume in the making")
    assert watch.kill(signal.SIGKILL)
    watch.wait_quiet()
    s3.clear_faults()
    assert list(leftovers.iterdir())
    assert kills.secrets_of(slow["name"])
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["attached"], result["action"], backups(watch)) == (False, "incremental", 3)
    assert result["previous_run"]["exit_code"] == 137
    assert not list(leftovers.iterdir())
    assert not kills.secrets_of(slow["name"])


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_killed_between_create_and_start(job: Job, watch: kills.Watch, source: Path, name: str) -> None:
    result = backup(job, prelude=AT_START.format(name)).ended()
    left = [one.status for one in watch.containers()]
    if name == "SIGKILL":
        assert (result, left) == ({}, ["created"])
        assert kills.secrets_of(job["name"])
    else:
        assert (kills.cause(result), left) == ("stopped", [])
        assert not kills.secrets_of(job["name"])
    result = kills.succeeded(kills.run("duplicity_backup", job=job))
    assert (result["attached"], "previous_run" in result, backups(watch)) == (False, False, 1)
    assert not kills.secrets_of(job["name"])


def test_a_container_that_somebody_stops(slow: Job, s3: S3Lab, watch: kills.Watch) -> None:
    takes_no_more_than(s3, 1)
    task = backup(slow)
    kills.until(lambda: volumes_of(slow, s3), "a volume")
    assert watch.kill(signal.SIGTERM)
    result = task.ended()
    assert (kills.cause(result), result["error"]["exit_code"]) == ("stopped", 143)
    assert "exit code 143" in result["msg"]
    assert "Next: Run again: an interrupted backup resumes." in result["msg"]


def test_an_async_timeout(held: Job, s3: S3Lab, watch: kills.Watch, playbook: RunPlaybook) -> None:
    tasks = [{"name": "Time out", "permafrost.backup.duplicity_backup": {"job": held}, "async": 10, "poll": 1}]
    assert playbook(tasks).code
    assert backups(watch) == 1
    s3.clear_faults()
    result = kills.succeeded(kills.run("duplicity_backup", job=held))
    assert (result["attached"], result["action"], backups(watch)) == (True, "full", 1)


def test_two_backups_at_once(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path) -> None:
    """Encrypted, so that each looks at the passphrase before it begins."""
    slow["encryption"] = {"mode": "symmetric", "passphrase": "of the test"}
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    refill(source, 1)
    s3.clear_faults()
    s3.fault("PutObject", ".vol1.", kind="latency", seconds=TOGETHER_SECONDS)
    tasks = [backup(slow), backup(slow)]
    results = [kills.succeeded(task.ended()) for task in tasks]
    assert sorted(result["attached"] for result in results) == [False, True]
    assert {result["action"] for result in results} == {"incremental"}
    assert results[0]["statistics"] == results[1]["statistics"]
    assert backups(watch) == 2


def test_two_restores_at_once(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path) -> None:
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    s3.fault("GetObject", ".vol1.", kind="latency", seconds=TOGETHER_SECONDS)
    options = {"job": slow, "dest": str(tmp_path / "dest"), "fetch": "streamed"}
    tasks = [kills.ModuleProcess("duplicity_restore", **options) for _ in range(2)]
    results = [kills.succeeded(task.ended()) for task in tasks]
    assert sorted(result["attached"] for result in results) == [False, True]
    kills.same(trees.snapshot(source), tmp_path / "dest")
    assert not list(tmp_path.glob(".*permafrost*"))


def test_a_killed_restore(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path) -> None:
    """Its container killed too: nothing is there. Its container going on: the next task puts it in place."""
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    s3.fault("GetObject", ".vol1.", kind="hold")
    dest = tmp_path / "dest"
    for container_too in (True, False):
        task = kills.ModuleProcess("duplicity_restore", job=slow, dest=str(dest), fetch="streamed")
        watch.wait_running(task, "restore")
        task.kill(signal.SIGKILL)
        task.ended()
        if container_too:
            assert watch.kill(signal.SIGKILL, "restore")
            watch.wait_quiet()
            assert list(tmp_path.glob(".*permafrost*"))
            kills.succeeded(kills.run("duplicity_info", job=slow))
            assert not list(tmp_path.glob(".*permafrost*"))
        assert not dest.exists()
    s3.clear_faults()
    result = kills.succeeded(kills.run("duplicity_restore", job=slow, dest=str(dest)))
    assert result["attached"]
    kills.same(trees.snapshot(source), dest)
    assert not list(tmp_path.glob(".*permafrost*"))
