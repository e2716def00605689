"""What single options of the job do to a real backup."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job, RunPlaybook
from integration.errors.playing import Task, play, refused, start, succeeded
from integration.errors.playing import results as results_of

from lab import play as lab_play
from lab import trees
from lab.s3.client_api import S3Lab

FILES = 24


@pytest.fixture(autouse=True)
def source(job: Job) -> Path:
    """Files that fill three volumes."""
    place = Path(job["source"])
    place.mkdir()
    job["storage_class"] = "STANDARD"
    fill(place, range(FILES), "first")
    return place


def fill(place: Path, numbers: range, text: str) -> None:
    trees.next_second()
    for number in numbers:
        noise = bytes((number * 7 + at * at * 31) % 251 for at in range(2000))
        (place / f"file {number}").write_bytes(text.encode() + noise)


def backup(job: Job, **changes: Any) -> Task:
    return Task("duplicity_backup", {"job": {**job, **changes}})


def test_anomalies_fulls_by_number_and_logs(job: Job, source: Path, tmp_path: Path) -> None:
    job.update(keep_logs=2, full_if_n_inc=2)
    assert succeeded(play({"first": backup(job)}, tmp_path)["first"])["anomaly"] == []
    fill(source, range(2), "second")
    calm = play({"second": backup(job)}, tmp_path)["second"]
    assert (succeeded(calm)["action"], calm["anomaly"]) == ("incremental", [])
    fill(source, range(FILES - 2), "third")
    many = play({"third": backup(job)}, tmp_path)["third"]
    assert "warnings" not in calm
    assert many["anomaly"] == ["22 of 25 files changed since the last set."]
    assert many["warnings"] == [f"Job {job['name']}: 22 of 25 files changed since the last set."]
    for path in list(source.iterdir())[:16]:
        path.unlink()
    gone = play({"fourth": backup(job)}, tmp_path)["fourth"]
    assert succeeded(gone)["action"] == "full", "the chain has its two incrementals"
    assert gone["anomaly"] == ["The source has 9 files; at the last set it had 25."]
    logs = sorted(path.name for path in Path(job["state_dir"], job["name"], "logs").glob("backup-*.log"))
    assert len(logs) == 2
    assert Path(gone["log_file"]).name == logs[-1]
    assert "Backup Statistics" in Path(gone["log_file"]).read_text()


def test_a_clock_that_went_back(job: Job, source: Path, tmp_path: Path) -> None:
    """A set of an hour ahead is what an hour's error of the clock leaves behind."""
    ahead = ["--current-time", str(int(time.time()) + 3600)]
    assert succeeded(play({"ahead": backup(job, extra_args=ahead)}, tmp_path)["ahead"])["action"] == "full"
    fill(source, range(2), "second")
    late = play({"late": backup(job), "check": Task("duplicity_backup", {"job": job}, check=True)}, tmp_path)
    for result in late.values():
        refused(result, "clock_behind", "the newest set is of", "timedatectl")
    record = json.loads(Path(job["state_dir"], job["name"], "last_run.json").read_text())
    assert record["cause"] == "clock_behind"


def test_a_clock_that_is_an_hour_off_for_s3(job: Job, s3: S3Lab, source: Path, tmp_path: Path) -> None:
    """While a backup uploads, and before anything begins; behind and ahead."""
    bucket = job["target"].split("/")[2]
    s3.fault(kind="skew", operation="PutObject", seconds=3600)
    refused(play({"uploads": backup(job)}, tmp_path)["uploads"], "clock_skewed", "exit code 50", "timedatectl")
    s3.clear_faults()
    assert succeeded(play({"well": backup(job)}, tmp_path)["well"])["action"] == "full"
    before = s3.state(bucket)
    fill(source, range(2), "second")
    service = {"bucket": bucket, **{key: job[key] for key in ("credentials", "endpoint_url", "region")}}
    for seconds in (3600, -3600):
        s3.fault(kind="skew", seconds=seconds)
        tasks = {"backup": backup(job)}
        if seconds > 0:
            tasks["restore"] = Task("duplicity_restore", {"job": job, "dest": str(tmp_path / "dest")})
            tasks["thaw"] = Task("glacier_restore", {**service, "prefix": "web01/", "tier": "Bulk", "days": 1})
        for result in play(tasks, tmp_path).values():
            refused(result, "clock_skewed", "The clock of this host says 20", "that of S3 20", "timedatectl")
        s3.clear_faults()
    assert (s3.state(bucket), (tmp_path / "dest").exists()) == (before, False)
    assert succeeded(play({"again": backup(job)}, tmp_path)["again"])["action"] == "incremental"


def test_a_memory_limit(job: Job, s3: S3Lab, tmp_path: Path) -> None:
    bucket = job["target"].split("/")[2]
    small = play({"small": backup(job, limits={"memory": 24, "cpus": 1.5, "pids": 200})}, tmp_path)["small"]
    refused(small, "killed", "exit code 137", "killed", "at the limit of 24 MB (job.limits.memory)", "raise job.limits")
    assert not [entry for entry in s3.state(bucket) if "manifest" in entry["key"]]
    again = play({"enough": backup(job, limits={"memory": 2000, "io_weight": 100})}, tmp_path)["enough"]
    assert succeeded(again)["action"] == "full"


@pytest.mark.parametrize(
    ("sse", "says"),
    [
        ({"mode": "AES256"}, ("AES256", None)),
        ({"mode": "aws:kms", "kms_key_id": "alias/dr"}, ("aws:kms", "alias/dr")),
    ],
    ids=["AES256", "KMS"],
)
def test_encryption_by_s3(
    job: Job, s3: S3Lab, tmp_path: Path, sse: dict[str, str], says: tuple[str, str | None]
) -> None:
    bucket = job["target"].split("/")[2]
    assert succeeded(play({"backup": backup(job, server_side_encryption=sse)}, tmp_path)["backup"])["changed"]
    heads = [s3.client().head_object(Bucket=bucket, Key=entry["key"]) for entry in s3.state(bucket)]
    assert {(head["ServerSideEncryption"], head.get("SSEKMSKeyId")) for head in heads} == {says}


def test_progress_is_seen_from_another_terminal(job: Job, s3: S3Lab, source: Path, tmp_path: Path) -> None:
    (source / "large").write_bytes(bytes((at * at) % 251 for at in range(1 << 16)) * 200)
    job.update(progress=True, concurrency=0, compression=False, volume_size=1)
    s3.fault("PutObject", ".vol10.")  # until somebody has looked
    s3.fault("PutObject", kind="latency", seconds=1)
    running = start({"backup": backup(job)}, tmp_path)
    file = Path(job["state_dir"], job["name"], "progress.json")
    on: list[dict[str, Any]] = []
    other: lab_play.Run | None = None
    while running.process.poll() is None:
        record = json.loads(file.read_text()) if file.exists() else {}
        if record.get("running") and record not in on:
            on.append(record)
        if record.get("percent") and not other:
            other = lab_play.start("permafrost.backup.progress", tmp_path, duplicity_jobs=[job])
        if other and other.process.poll() is not None:
            s3.clear_faults()
        time.sleep(0.2)
    assert succeeded(results_of(running.wait())["backup"])["action"] == "full"
    assert other
    shown = [task.result["results"][0]["msg"] for task in other.wait().tasks if task.name == "Show"]
    assert [(one["running"], one["percent"] > 0) for one in shown] == [(True, True)], "in the middle of it"
    assert len(on) >= 3
    percents = [one["percent"] for one in on if one["percent"] is not None]
    assert percents == sorted(percents)
    assert 0 < max(percents) <= 100
    assert [one["volumes"] for one in on] == sorted(one["volumes"] for one in on)
    assert on[-1]["volumes"] >= 2
    assert on[-1]["bytes"] > 0
    left = [one["seconds_left"] for one in on if one["percent"] is not None]
    assert all(isinstance(seconds, int) and 0 <= seconds < 600 for seconds in left)
    assert any(left), "it says that some time is left"
    last = json.loads(file.read_text())
    assert (last["percent"], last["seconds_left"], last["running"], last["finished"]) == (100, 0, False, True)


def test_instant_retrieval_needs_no_thaw(job: Job, s3: S3Lab, source: Path, tmp_path: Path) -> None:
    job["storage_class"] = "GLACIER_IR"
    dest = tmp_path / "dest"
    tasks = {
        "backup": backup(job),
        "plan": Task("glacier_restore_info", {"job": job}),
        "restore": Task("duplicity_restore", {"job": job, "dest": str(dest)}),
    }
    done = play(tasks, tmp_path)
    volumes = {entry["storage_class"] for entry in s3.state(job["target"].split("/")[2]) if "difftar" in entry["key"]}
    assert volumes == {"GLACIER_IR"}
    assert succeeded(done["plan"])["plan"]["ready"]
    assert succeeded(done["restore"])["changed"]
    assert trees.differences(trees.kept(trees.snapshot(source)), trees.kept(trees.snapshot(dest))) == []
    assert not [one for one in s3.requests() if one["operation"] == "RestoreObject"]


def test_async_and_poll(job: Job, s3: S3Lab, playbook: RunPlaybook) -> None:
    s3.fault(operation="PutObject", kind="latency", seconds=1)
    tasks = [
        {
            "name": "Begin",
            "permafrost.backup.duplicity_backup": {"job": job},
            "async": 120,
            "poll": 0,
            "register": "begun",
        },
        {
            "name": "Wait",
            "ansible.builtin.async_status": {"jid": "{{ begun.ansible_job_id }}"},
            "register": "status",
            "until": "status.finished",
            "retries": 60,
            "delay": 1,
        },
        {"name": "Polled", "permafrost.backup.duplicity_backup": {"job": job}, "async": 120, "poll": 1},
    ]
    run = playbook(tasks)
    assert run.code == 0, run.output
    ended = {task.name: task.result for task in run.tasks}
    assert ended["Wait"]["action"] == "full"
    assert ended["Polled"]["action"] == "skipped"
