"""duplicity_verify with the real duplicity: differences, damage in the bucket, frozen volumes, and killed tasks."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job, RunPlaybook

from lab import kills
from lab.s3.client_api import S3Lab

READS = ("Get", "List", "Head")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A few volumes, and files to change."""
    place = tmp_path / "source"
    (place / "etc").mkdir(parents=True)
    chance = random.Random(3)
    for number in range(4):
        (place / f"data {number}").write_bytes(chance.randbytes(700_000))
    for name in ("kept", "data", "gone", "skipped.tmp", "listed.bak"):
        (place / "etc" / name).write_text(name)
    return place


@pytest.fixture
def stored(job: Job, source: Path) -> Job:
    """Its backup, in STANDARD."""
    job["storage_class"] = "STANDARD"
    kills.succeeded(kills.run("duplicity_backup", job=job))
    return job


def verify(job: Job, **options: Any) -> dict[str, Any]:
    """One task."""
    return kills.run("duplicity_verify", job=job, **options)


def change(source: Path) -> None:
    """One file new, one gone, one with other content and its old mtime."""
    (source / "etc/new").touch()
    (source / "etc/gone").unlink()
    before = (source / "etc/data").stat()
    (source / "etc/data").write_text("DATA")
    os.utime(source / "etc/data", ns=(before.st_atime_ns, before.st_mtime_ns))
    parent = (source / "etc").stat()
    os.utime(source / "etc", ns=(parent.st_atime_ns, 1))


def test_source_and_backup(stored: Job, source: Path, s3: S3Lab) -> None:
    mark = s3.mark()
    same = kills.succeeded(verify(stored, mode="source"))
    assert (same["changed"], same["difference_count"], same["differences"]) == (False, 0, [])
    assert same["compared_count"] == 11
    assert same["plan"]["ready"]
    change(source)
    differs = verify(stored, mode="source")
    assert kills.cause(differs) == "verify_differs"
    found = {one["path"]: (one["kind"], one["detail"]) for one in differs["differences"]}
    assert found["etc/new"] == ("new", "not in the backup")
    assert found["etc/gone"] == ("deleted", "not in the source")
    assert found["etc/data"] == ("changed", "content")
    assert found["etc"][1].startswith("mtime 1970-01-01T00:00:00Z, in the backup ")
    assert differs["difference_kinds"] == {"new": 1, "changed": 2, "deleted": 1}
    part = kills.succeeded(verify(stored, mode="source", path="etc/", on_difference="report"))
    assert {one["path"]: (one["kind"], one["detail"]) for one in part["differences"]} == found
    blind = kills.succeeded(verify(stored, mode="source", compare_data=False))
    assert "difference_count" not in blind
    shutil.rmtree(source / "etc")
    gone = verify(stored, mode="source", path="etc")
    assert gone["difference_kinds"] == {"new": 0, "changed": 0, "deleted": 6}
    assert kills.cause(verify(stored, mode="source", path="no/such")) == "path_not_in_backup"
    assert {one["operation"] for one in s3.requests(mark) if not one["operation"].startswith(READS)} == set()


def test_what_the_selection_excludes_is_no_difference(job: Job, source: Path, tmp_path: Path) -> None:
    unwanted = tmp_path / "unwanted"
    unwanted.write_text("etc/*.bak\ndata 3\n")
    job["storage_class"] = "STANDARD"
    job["selection"] = [
        {"exclude": "data 2"},
        {"exclude_list": str(unwanted)},
        {"include": "etc/kept"},
        {"exclude": "**.tmp"},
        {"exclude": "data 1"},
    ]
    kills.succeeded(kills.run("duplicity_backup", job=job))
    for path in ("", "etc", "etc/kept", "data 0"):
        assert kills.succeeded(verify(job, mode="source", path=path))["difference_count"] == 0, path
    without = {**job, "selection": None}
    result = kills.succeeded(verify(without, mode="source", on_difference="report"))
    assert {one["path"] for one in result["differences"]} == {
        "data 1", "data 2", "data 3", "etc/skipped.tmp", "etc/listed.bak",
    }  # fmt: skip


def test_frozen_volumes(job: Job, source: Path, s3: S3Lab) -> None:
    kills.succeeded(kills.run("duplicity_backup", job=job))
    mark = s3.mark()
    refused = verify(job, mode="source")
    assert kills.cause(refused) == "volumes_frozen"
    assert "that this verify reads" in refused["msg"]
    planned = kills.succeeded(verify(job, mode="source", _ansible_check_mode=True))
    assert planned["thaw"]["volumes"] == planned["plan"]["volume_count"] == 3
    assert planned["thaw"]["hours"] == {"Standard": 12.0, "Bulk": 48.0}
    assert kills.succeeded(verify(job))["findings"] == []
    assert not [one for one in s3.requests(mark) if one["operation"] == "GetObject" and "difftar" in one["key"]]
    assert {one["operation"] for one in s3.requests(mark) if not one["operation"].startswith(READS)} == set()


@pytest.mark.parametrize("sealed", [False, True])
def test_all_damage_is_named(stored: Job, source: Path, s3: S3Lab, bucket: str, sealed: bool, tmp_path: Path) -> None:
    if sealed:
        stored["encryption"] = {"mode": "symmetric", "passphrase": "of the verify test"}
        stored["target"] += "-sealed"
        stored["state_dir"] += "-sealed"
        kills.succeeded(kills.run("duplicity_backup", job=stored))
    for turn in range(2):
        time.sleep(1.1)
        (source / "etc/data").write_text(f"turn {turn}")
        kills.succeeded(kills.run("duplicity_backup", job=stored))
    assert kills.succeeded(verify(stored))["finding_counts"] == {}
    prefix = stored["target"].split("/", 3)[3] + "/"
    keys = sorted(one["key"] for one in s3.state(bucket, prefix))
    client = s3.client()

    def key(*parts: str) -> str:
        return next(one for one in keys if all(part in one for part in parts))

    def spoil(name: str, content: bytes, **more: str) -> None:
        client.put_object(Bucket=bucket, Key=name, Body=content, **more)

    client.delete_object(Bucket=bucket, Key=key("full.", "vol2."))
    spoil(key("full.", "vol1."), b"")
    inc = sorted(one for one in keys if "duplicity-inc" in one and "manifest" in one)
    whole = client.get_object(Bucket=bucket, Key=inc[0])["Body"].read()
    spoil(inc[0], whole[: len(whole) - 20])
    client.delete_object(Bucket=bucket, Key=key("new-signatures", inc[1].split(".")[-2 - sealed]))
    spoil(prefix + "notes.txt", b"somebody's")
    spoil(prefix + "below/other-job", b"not ours")
    client.create_multipart_upload(Bucket=bucket, Key=prefix + "duplicity-full.x")
    last = key("inc.", inc[1].split(".")[-2 - sealed], "vol1.")
    s3.advance(hours=1)
    spoil(last, b"another volume", StorageClass="GLACIER_IR")
    result = verify(stored)
    assert kills.cause(result) == "integrity_failed"
    assert not result["changed"]
    found = sorted((one["kind"], one["key"]) for one in result["findings"] if one["key"])
    assert found == sorted(
        [
            ("volume_empty", key("full.", "vol1.")), ("manifest_unreadable", inc[0]), ("overwritten", last),
            ("wrong_class", last), ("unknown", prefix + "notes.txt"), ("upload_pending", prefix + "duplicity-full.x"),
        ]
    )  # fmt: skip
    missing = [(one["kind"], one["name"][-11:]) for one in result["findings"] if not one["key"]]
    assert sorted(kind for kind, _name in missing) == ["signature_missing", "volume_missing"]
    assert any(name.endswith(".vol2") for _kind, name in missing)
    assert len(result["warnings"]) == 3
    lenient = kills.succeeded(verify(stored, fail_on=["manifest_missing"]))
    assert lenient["findings"] == result["findings"]


def test_a_wrong_passphrase_is_no_damage(stored: Job, source: Path) -> None:
    stored["encryption"] = {"mode": "symmetric", "passphrase": "of the verify test"}
    stored["target"] += "-sealed"
    stored["state_dir"] += "-sealed"
    kills.succeeded(kills.run("duplicity_backup", job=stored))
    stored["encryption"]["passphrase"] = "another passphrase"
    assert kills.cause(verify(stored)) == "wrong_passphrase"


def test_a_killed_task_is_followed_by_one_that_attaches(stored: Job, s3: S3Lab) -> None:
    s3.fault(operation="GetObject", key_contains="difftar", kind="latency", seconds=0.6)
    with kills.watched(stored["name"]) as watch:
        task = kills.ModuleProcess("duplicity_verify", job=stored, mode="source")
        watch.wait_running(task, "verify")
        task.kill(signal.SIGKILL)
        task.ended()
        assert kills.cause(kills.run("duplicity_backup", job=stored)) == "busy"
        result = kills.succeeded(verify(stored, mode="source"))
        assert result["attached"]
        assert result["difference_count"] == 0
        assert sum(run["verb"] == "verify" for run in watch.runs) == 1


def test_the_playbook(stored: Job, playbook: RunPlaybook, s3: S3Lab, bucket: str) -> None:
    well = playbook("permafrost.backup.verify", duplicity_jobs=[stored])
    assert well.code == 0, well.output
    assert well.result("duplicity_verify")["findings"] == []
    volume = next(one["key"] for one in s3.state(bucket) if "vol1." in one["key"])
    s3.client().delete_object(Bucket=bucket, Key=volume)
    damaged = playbook("permafrost.backup.verify", duplicity_jobs=[stored])
    assert damaged.code
    assert "integrity_failed" in damaged.output
    assert "volume_missing" in damaged.output
