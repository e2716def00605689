"""What the next task finds after one was killed, and what two tasks at once do: one thing each."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job, RunPlaybook

from ansible_collections.permafrost.backup.plugins.module_utils import policies
from lab import kills, trees
from lab.s3.client_api import S3Lab

# A signal between two calls of the engine: the calls themselves are the real ones.
AT_START = "import docker, os, signal\ndocker.APIClient.start = lambda *_: os.kill(os.getpid(), signal.{})"
SLOW_SECONDS = 0.6


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five volumes that do not compress."""
    place = tmp_path / "source"
    place.mkdir()
    refill(place, 0)
    return place


@pytest.fixture
def slow(job: Job, s3: S3Lab, source: Path) -> Job:
    """A job without a thaw, and an S3 server that needs a while for each volume."""
    job["storage_class"] = "STANDARD"
    s3.fault(operation="PutObject", kind="latency", seconds=SLOW_SECONDS)
    return job


@pytest.fixture
def slower(slow: Job, s3: S3Lab) -> Job:
    """The same where a first volume takes so long that others get their turn meanwhile, on a busy machine too."""
    s3.clear_faults()
    s3.fault("PutObject", ".vol1.", kind="latency", seconds=20)
    return slow


@pytest.fixture
def watch(job: Job) -> Iterator[kills.Watch]:
    """Never two containers at once, in each of these tests."""
    with kills.watched(job["name"]) as found:
        yield found


def refill(place: Path, turn: int) -> None:
    """New content; duplicity's times are whole seconds."""
    if turn:
        time.sleep(1.1)
    data = random.Random(turn)
    for number in range(9):
        (place / f"data {number}").write_bytes(data.randbytes(500_000))


def backup(job: Job, **options: Any) -> kills.ModuleProcess:
    """A backup that runs."""
    return kills.ModuleProcess("duplicity_backup", job=job, **options)


def left_alone(job: Job, watch: kills.Watch) -> Any:
    """The container of a backup whose module was killed."""
    task = backup(job)
    container = watch.wait_running(task)
    task.kill(signal.SIGKILL)
    assert task.ended() == {}
    return container


def backups(watch: kills.Watch) -> int:
    """How many containers for a backup were started."""
    time.sleep(0.2)
    return sum(run["verb"] == "backup" for run in watch.runs)


def restores_well(job: Job, source: Path, dest: Path) -> None:
    """The last set is the source."""
    kills.succeeded(kills.run("duplicity_restore", job=job, dest=str(dest)))
    kills.same(trees.snapshot(source), dest)


def test_attaches_to_a_run_that_goes_on(slower: Job, watch: kills.Watch, tmp_path: Path) -> None:
    container = left_alone(slower, watch)
    since = container.attrs["State"]["StartedAt"][:19] + "Z"
    for name, options in (("duplicity_info", {}), ("duplicity_restore", {"dest": str(tmp_path / "dest")})):
        refused = kills.run(name, job=slower, **options)
        assert (kills.cause(refused), refused["error"].get("since")) in {("busy", since)}, refused["msg"]
        assert since in refused["msg"]
    assert kills.secrets_of(slower["name"])
    result = kills.succeeded(kills.run("duplicity_backup", job=slower))
    assert (result["attached"], result["action"]) == (True, "full")
    assert result["elapsed_seconds"] % 1
    assert backups(watch) == 1
    assert not kills.secrets_of(slower["name"])
    assert kills.run("duplicity_info", job=slower)["last_success"]["exit_code"] == 0


def test_collects_or_tells_what_nobody_saw_the_end_of(slow: Job, watch: kills.Watch, source: Path) -> None:
    left_alone(slow, watch)
    watch.wait_quiet()
    refill(source, 1)
    collected = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (collected["attached"], collected["action"], backups(watch)) == (True, "full", 1)
    left_alone(slow, watch)
    leftovers = Path(slow["state_dir"], slow["name"], "tmp")
    kills.until(lambda: list(leftovers.glob("duplicity*/*")), "a volume in the making")
    watch.kill(signal.SIGKILL)
    watch.wait_quiet()
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
    task = backup(slow)
    kills.until(lambda: volumes_of(slow, s3), "a volume")
    assert watch.kill(signal.SIGTERM)
    result = task.ended()
    assert (kills.cause(result), result["error"]["exit_code"]) == ("stopped", 143)
    assert "exit code 143" in result["msg"]
    assert "Next: Run again: an interrupted backup resumes." in result["msg"]


def test_an_async_timeout(slower: Job, watch: kills.Watch, playbook: RunPlaybook) -> None:
    tasks = [{"name": "Time out", "permafrost.backup.duplicity_backup": {"job": slower}, "async": 8, "poll": 1}]
    assert playbook(tasks).code
    assert backups(watch) == 1
    result = kills.succeeded(kills.run("duplicity_backup", job=slower))
    assert (result["attached"], result["action"], backups(watch)) == (True, "full", 1)


def test_two_backups_at_once(slow: Job, watch: kills.Watch, source: Path) -> None:
    """Encrypted, so that each looks at the passphrase before it begins."""
    slow["encryption"] = {"mode": "symmetric", "passphrase": "of the test"}
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    refill(source, 1)
    tasks = [backup(slow), backup(slow)]
    results = [kills.succeeded(task.ended()) for task in tasks]
    assert sorted(result["attached"] for result in results) == [False, True]
    assert {result["action"] for result in results} == {"incremental"}
    assert results[0]["statistics"] == results[1]["statistics"]
    assert backups(watch) == 2


def test_two_restores_at_once(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path) -> None:
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    s3.fault(operation="GetObject", key_contains="difftar", kind="latency", seconds=SLOW_SECONDS)
    options = {"job": slow, "dest": str(tmp_path / "dest"), "fetch": "streamed"}
    tasks = [kills.ModuleProcess("duplicity_restore", **options) for _ in range(2)]
    results = [kills.succeeded(task.ended()) for task in tasks]
    assert sorted(result["attached"] for result in results) == [False, True]
    kills.same(trees.snapshot(source), tmp_path / "dest")
    assert not list(tmp_path.glob(".*permafrost*"))


def test_a_killed_restore(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path) -> None:
    """Its container killed too: nothing is there. Its container going on: the next task puts it in place."""
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    s3.fault(operation="GetObject", key_contains="difftar", kind="latency", seconds=SLOW_SECONDS)
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
    result = kills.succeeded(kills.run("duplicity_restore", job=slow, dest=str(dest)))
    assert result["attached"]
    kills.same(trees.snapshot(source), dest)
    assert not list(tmp_path.glob(".*permafrost*"))


def test_an_archive_directory_lost_after_a_kill(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    interrupt(slow, s3, watch, volumes=2)
    _lose_archive(slow)
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == ("full", False)
    info = kills.succeeded(kills.run("duplicity_info", job=slow))
    assert [len(chain["sets"]) for chain in info["chains"]] == [1]
    assert info["interrupted"] == []
    restores_well(slow, source, tmp_path / "dest")


@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_what_changed_while_a_backup_was_interrupted(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path, kind: str
) -> None:
    """duplicity would resume, keep the old content, and never notice again that it did."""
    stored = 0
    if kind == "incremental":
        kills.succeeded(kills.run("duplicity_backup", job=slow))
        stored = volumes_of(slow, s3)
        refill(source, 1)
    interrupt(slow, s3, watch, volumes=stored + 2)
    time.sleep(2.1)  # beyond the margin of doubt
    (source / "data 8").write_bytes(b"changed, but not stored yet")
    interrupt(slow, s3, watch, volumes=stored + 3)
    info = kills.succeeded(kills.run("duplicity_info", job=slow))
    assert [one["kind"] for one in info["interrupted"]] == [kind]
    (source / "data 0").write_bytes(b"changed after it was stored")
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == (kind, False)
    restores_well(slow, source, tmp_path / "dest")


def test_what_changes_while_a_resumption_begins(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """After the task has looked, and before duplicity has."""
    time.sleep(2.1)
    interrupt(slow, s3, watch, volumes=3)
    s3.clear_faults()
    for operation in ("ListObjects", "ListObjectsV2"):
        s3.fault(operation, kind="latency", seconds=2)
    task = backup(slow)
    watch.wait_running(task)
    (source / "data 0").write_bytes(b"changed while duplicity waits for its listing")
    result = kills.succeeded(task.ended())
    assert (result["action"], result["resumed"]) == ("full", False)
    assert "The source has changed" in Path(result["log_file"]).read_text()
    s3.clear_faults()
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    restores_well(slow, source, tmp_path / "dest")


def test_resumes_what_did_not_change(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path) -> None:
    time.sleep(2.1)
    interrupt(slow, s3, watch, volumes=3)
    there = {one["key"] for one in s3.state(slow["target"].split("/")[2])}
    mark = s3.mark()
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == ("full", True)
    stored = [one["key"] for one in s3.requests(mark) if one["operation"] == "PutObject" and "difftar" in one["key"]]
    assert not [key for key in stored if "vol1." in key]
    # It is told which volume is written anew, and for how long the old one is billed.
    assert there & set(stored) <= {result["rewrites"]["key"]} <= set(stored)
    assert (result["rewrites"]["storage_class"], result["rewrites"]["early_days"]) == ("STANDARD", 0)
    restores_well(slow, source, tmp_path / "dest")


def interrupt(job: Job, s3: S3Lab, watch: kills.Watch, volumes: int) -> None:
    """Kill the container once the bucket holds that many volumes."""
    task = backup(job)
    kills.until(lambda: volumes_of(job, s3) >= volumes, f"{volumes} volumes")
    assert watch.kill(signal.SIGKILL)
    assert kills.cause(task.ended()) == "killed"


def volumes_of(job: Job, s3: S3Lab) -> int:
    """Volumes in the job's bucket."""
    return sum("difftar" in one["key"] for one in s3.state(job["target"].split("/")[2]))


def test_killed_between_signature_and_manifest(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """duplicity would resume upon the signature of the very set, find nothing to do, and lose the last volume."""
    s3.clear_faults()
    kills.succeeded(backup(slow).ended())
    refill(source, 1)
    time.sleep(2.1)  # beyond the margin of doubt
    s3.fault(operation="PutObject", key_contains=".manifest", kind="latency", seconds=30)
    mark = s3.mark()
    task = backup(slow)
    kills.until(lambda: _stored(s3, mark, ".sigtar"), "the signature is in the bucket")
    watch.kill(signal.SIGKILL)
    assert kills.cause(task.ended()) == "killed"
    s3.clear_faults()
    result = kills.succeeded(backup(slow).ended())
    assert (result["action"], result["resumed"]) == ("incremental", False)
    restores_well(slow, source, tmp_path / "restored")


def _stored(s3: S3Lab, since: int, name: str) -> bool:
    return any(
        one["status"] == 200 and name in one["key"] for one in s3.requests(since) if one["operation"] == "PutObject"
    )


def test_a_volume_that_is_gone_is_not_resumed_upon(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """duplicity itself looks at the number of the last volume only."""
    slow["concurrency"] = 0
    left_alone(slow, watch)
    kills.until(lambda: _partial_volumes(slow) >= 2, "two volumes in the partial manifest")
    watch.kill(signal.SIGKILL)
    watch.wait_quiet()
    bucket, _slash, prefix = slow["target"].removeprefix("s3://").partition("/")
    first = next(entry["key"] for entry in s3.state(bucket, prefix) if ".vol1." in entry["key"])
    s3.client().delete_object(Bucket=bucket, Key=first)
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == ("full", False)
    restores_well(slow, source, tmp_path / "dest")


def _partial_volumes(job: Job) -> int:
    parts = Path(job["state_dir"], job["name"], "archive", job["name"]).glob("*.manifest.part")
    return max((part.read_text().count("Volume ") for part in parts), default=0)


def test_a_resumption_killed_before_it_heard_that_its_first_volume_is_stored(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """With the next volume stored as well duplicity went on behind both, and the manifest meant the old one."""
    time.sleep(2.1)  # beyond the margin of doubt
    s3.clear_faults()
    s3.fault("PutObject", ".vol3.")
    left_alone({**slow, "concurrency": 0}, watch)
    kills.until(lambda: _partial_volumes(slow) == 2, "two volumes in the partial manifest")
    watch.kill(signal.SIGKILL)
    watch.wait_quiet()
    s3.clear_faults()
    s3.fault("PutObject", ".vol2.", kind="late", seconds=30)
    s3.fault("PutObject", ".vol4.")
    old = _second_volume(slow, s3)
    left_alone(slow, watch)
    kills.until(lambda: _second_volume(slow, s3) != old and volumes_of(slow, s3) == 3, "both volumes are stored")
    watch.kill(signal.SIGKILL)
    watch.wait_quiet()
    s3.clear_faults()
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == ("full", True)
    restores_well(slow, source, tmp_path / "dest")


def _second_volume(job: Job, s3: S3Lab) -> str:
    """The ETag of a set's second volume."""
    state = s3.state(job["target"].split("/")[2])
    return next(str(one["etag"]) for one in state if ".vol2." in one["key"])


def test_an_interrupted_set_that_cannot_be_deleted(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """duplicity tried to for ever, and a backup's credentials may not. A new chain is begun beside it."""
    bucket = slow["target"].split("/")[2]
    s3.add_key("LABBACKUP", "secret")
    s3.set_policy("LABBACKUP", policies.policy("backup", bucket, ["web01/data"], partition="aws"))
    slow["credentials"] = {"access_key": "LABBACKUP", "secret_key": "secret"}
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    refill(source, 1)
    interrupt(slow, s3, watch, volumes=volumes_of(slow, s3) + 2)
    _lose_archive(slow)
    anew = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (anew["action"], "a new chain begins" in str(anew["warnings"])) == ("full", True)
    refill(source, 2)
    assert kills.succeeded(kills.run("duplicity_backup", job=slow))["action"] == "incremental"
    info = kills.succeeded(kills.run("duplicity_info", job=slow))
    kinds = [[one["kind"] for one in chain["sets"]] for chain in info["chains"]]
    assert (kinds, len(info["interrupted"])) == ([["full"], ["full", "incremental"]], 1)
    restores_well(slow, source, tmp_path / "dest")


def test_a_set_without_its_manifest_that_cannot_be_deleted(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """duplicity took its signatures for a base, and failed for want of its manifest, each time."""
    bucket = slow["target"].split("/")[2]
    s3.clear_faults()
    for turn in (0, 1):
        refill(source, turn)
        kills.succeeded(kills.run("duplicity_backup", job=slow))
    manifest = max(one["key"] for one in s3.state(bucket) if "duplicity-inc" in one["key"] and "manifest" in one["key"])
    s3.client().delete_object(Bucket=bucket, Key=manifest)
    _lose_archive(slow)
    s3.add_key("LABBACKUP", "secret")
    s3.set_policy("LABBACKUP", policies.policy("backup", bucket, ["web01/data"], partition="aws"))
    slow["credentials"] = {"access_key": "LABBACKUP", "secret_key": "secret"}
    assert kills.succeeded(kills.run("duplicity_backup", job=slow))["action"] == "full"
    refill(source, 2)
    assert kills.succeeded(kills.run("duplicity_backup", job=slow))["action"] == "incremental"
    restores_well(slow, source, tmp_path / "dest")


def test_another_selection_does_not_resume(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """duplicity would sign what comes in, and not store it."""
    time.sleep(2.1)
    narrow = {**slow, "selection": [{"exclude": "data 0"}]}
    task = backup(narrow)
    kills.until(lambda: volumes_of(slow, s3) >= 3, "three volumes")
    watch.kill(signal.SIGKILL)
    task.ended()
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == ("full", False)
    restores_well(slow, source, tmp_path / "dest")


def test_a_volume_that_an_interrupted_run_left_above_a_complete_set(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """As when the source has shrunk meanwhile. duplicity took the set for damaged once it had an interrupted one to
    delete, and deleted it, too."""
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    bucket = slow["target"].split("/")[2]
    first = next(entry["key"] for entry in s3.state(bucket) if ".vol1." in entry["key"])
    s3.client().copy_object(Bucket=bucket, Key=first.replace(".vol1.", ".vol9."), CopySource=f"{bucket}/{first}")
    restores_well(slow, source, tmp_path / "before")
    refill(source, 1)
    interrupt(slow, s3, watch, volumes=volumes_of(slow, s3) + 2)
    _lose_archive(slow)
    before = s3.state(bucket)
    kills.succeeded(kills.run("duplicity_backup", job=slow, _ansible_check_mode=True))
    assert s3.state(bucket) == before
    assert kills.succeeded(kills.run("duplicity_backup", job=slow))["action"] == "incremental"
    (chain,) = kills.succeeded(kills.run("duplicity_info", job=slow))["chains"]
    assert [one["kind"] for one in chain["sets"]] == ["full", "incremental"]
    restores_well(slow, source, tmp_path / "after")


def _lose_archive(job: Job) -> None:
    shutil.rmtree(Path(job["state_dir"], job["name"], "archive"))
