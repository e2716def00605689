"""What becomes of an interrupted set: resumed, begun anew, or left beside; and never one that lacks something."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest
from integration import interrupting
from integration.conftest import Job
from integration.interrupting import (
    backup,
    interrupt,
    last_listed,
    left_alone,
    refill,
    restores_well,
    takes_no_more_than,
    volumes_of,
)

from ansible_collections.permafrost.backup.plugins.module_utils import policies
from lab import kills
from lab.s3.client_api import S3Lab

# Fixtures.
source, slow, watch = interrupting.source, interrupting.slow, interrupting.watch


def test_an_archive_directory_lost_after_a_kill(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    interrupt(slow, s3, watch, 2)
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
    if kind == "incremental":
        kills.succeeded(kills.run("duplicity_backup", job=slow))
        refill(source, 1)
    interrupt(slow, s3, watch, 2)
    time.sleep(2.1)  # beyond the margin of doubt
    (source / "data 8").write_bytes(b"changed, but not stored yet")
    interrupt(slow, s3, watch, 3)
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
    interrupt(slow, s3, watch, 3)
    s3.fault("ListObjects", kind="hold")  # duplicity's; the task asks for ListObjectsV2
    task = backup(slow)
    watch.wait_running(task)
    (source / "data 0").write_bytes(b"changed while duplicity waits for its listing")
    s3.clear_faults()
    result = kills.succeeded(task.ended())
    assert (result["action"], result["resumed"]) == ("full", False)
    assert "The source has changed" in Path(result["log_file"]).read_text()
    kills.succeeded(kills.run("duplicity_backup", job=slow))
    restores_well(slow, source, tmp_path / "dest")


def test_resumes_what_did_not_change(slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path) -> None:
    time.sleep(2.1)
    interrupt(slow, s3, watch, 3)
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


def test_killed_between_signature_and_manifest(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """duplicity would resume upon the signature of the very set, find nothing to do, and lose the last volume."""
    s3.clear_faults()
    kills.succeeded(backup(slow).ended())
    refill(source, 1)
    time.sleep(2.1)  # beyond the margin of doubt
    s3.fault("PutObject", ".manifest")
    mark = s3.mark()
    task = backup(slow)
    kills.until(lambda: _stored(s3, mark, ".sigtar"), "the signature is in the bucket")
    assert watch.kill(signal.SIGKILL)
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
    takes_no_more_than(s3, 2)
    left_alone(slow, watch)
    kills.until(lambda: last_listed(slow) == 2, "two volumes in the partial manifest")
    assert watch.kill(signal.SIGKILL)
    watch.wait_quiet()
    s3.clear_faults()
    bucket, _slash, prefix = slow["target"].removeprefix("s3://").partition("/")
    first = next(entry["key"] for entry in s3.state(bucket, prefix) if ".vol1." in entry["key"])
    s3.client().delete_object(Bucket=bucket, Key=first)
    result = kills.succeeded(kills.run("duplicity_backup", job=slow))
    assert (result["action"], result["resumed"]) == ("full", False)
    restores_well(slow, source, tmp_path / "dest")


def test_a_resumption_killed_before_it_heard_that_its_first_volume_is_stored(
    slow: Job, s3: S3Lab, watch: kills.Watch, source: Path, tmp_path: Path
) -> None:
    """With the next volume stored as well duplicity went on behind both, and the manifest meant the old one."""
    time.sleep(2.1)  # beyond the margin of doubt
    takes_no_more_than(s3, 2)
    left_alone({**slow, "concurrency": 0}, watch)
    kills.until(lambda: last_listed(slow) == 2, "two volumes in the partial manifest")
    assert watch.kill(signal.SIGKILL)
    watch.wait_quiet()
    s3.clear_faults()
    s3.fault("PutObject", ".vol2.", kind="late", seconds=30)
    s3.fault("PutObject", ".vol4.")
    old = _second_volume(slow, s3)
    left_alone(slow, watch)
    kills.until(lambda: _second_volume(slow, s3) != old and volumes_of(slow, s3) == 3, "both volumes are stored")
    assert watch.kill(signal.SIGKILL)
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
    interrupt(slow, s3, watch, 2)
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
    interrupt({**slow, "selection": [{"exclude": "data 0"}]}, s3, watch, 3)
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
    interrupt(slow, s3, watch, 2)
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
