"""duplicity_verify with the real duplicity: differences, damage in the bucket, frozen volumes, and killed tasks."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
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


def writes(s3: S3Lab, mark: int) -> set[str]:
    """What was asked of S3 since then that could change something."""
    return {one["operation"] for one in s3.requests(mark) if not one["operation"].startswith(READS)}


def change(source: Path) -> None:
    """One file new, one gone, one with other content and its old mtime."""
    (source / "etc/new").touch()
    (source / "etc/gone").unlink()
    before = (source / "etc/data").stat()
    (source / "etc/data").write_text("DATA")
    os.utime(source / "etc/data", ns=(before.st_atime_ns, before.st_mtime_ns))
    parent = (source / "etc").stat()
    os.utime(source / "etc", ns=(parent.st_atime_ns, 1))


def test_source_and_backup(job: Job, source: Path, s3: S3Lab, tmp_path: Path) -> None:
    unwanted = tmp_path / "unwanted"
    unwanted.write_text("etc/*.bak\ndata 3\n")
    job["storage_class"] = "STANDARD"
    job["selection"] = [{"exclude_list": str(unwanted)}, {"include": "etc/kept"}, {"exclude": "**.tmp"}]
    job["selection"] += [{"exclude": "data 1"}]  # which cannot fit below etc
    kills.succeeded(kills.run("duplicity_backup", job=job))
    mark = s3.mark()
    for path, count in (("", 7), ("etc", 4), ("etc/kept", 1)):
        same = kills.succeeded(verify(job, mode="source", path=path))
        assert (same["changed"], same["differences"], same["compared_count"]) == (False, [], count), path
        assert same["plan"]["ready"]
    change(source)
    differs = verify(job, mode="source")
    assert kills.cause(differs) == "verify_differs"
    assert differs["difference_kinds"] == {"new": 1, "changed": 2, "deleted": 1}
    found = {one["path"]: one["detail"] for one in differs["differences"]}
    assert found.pop("etc").startswith("mtime 1970-01-01T00:00:00Z, in the backup ")
    assert found == {"etc/new": "not in the backup", "etc/gone": "not in the source", "etc/data": "content"}
    since = s3.mark()
    intact = kills.succeeded(verify(job, mode="source", compare_data=False))
    assert "differences" not in intact, "volumes were read, and compared with nothing but their checksums"
    read = {one["key"] for one in s3.requests(since) if one["operation"] == "GetObject" and "difftar" in one["key"]}
    assert read == {one["key"] for one in intact["plan"]["volumes"]}
    unruled = verify({**job, "selection": None}, mode="source", path="etc", on_difference="report")
    assert {one["path"] for one in kills.succeeded(unruled)["differences"]} == {
        "etc", *found, "etc/skipped.tmp", "etc/listed.bak",
    }  # fmt: skip
    assert writes(s3, mark) == set()


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
    assert writes(s3, mark) == set()


@dataclass
class Chain:
    """A full and an incremental, to be damaged object by object."""

    s3: S3Lab
    job: Job
    bucket: str

    def __post_init__(self) -> None:
        self.prefix = self.job["target"].split("/", 3)[3] + "/"
        self.keys = [one["key"] for one in self.s3.state(self.bucket, self.prefix)]

    def key(self, *parts: str) -> str:
        (found,) = [one for one in self.keys if all(part in one for part in parts)]
        return found

    def drop(self, *parts: str) -> str:
        self.s3.client().delete_object(Bucket=self.bucket, Key=self.key(*parts))
        return self.key(*parts)

    def put(self, key: str, content: bytes, **more: str) -> str:
        self.s3.client().put_object(Bucket=self.bucket, Key=key, Body=content, **more)
        return key

    def cut(self, *parts: str) -> str:
        key = self.key(*parts)
        whole = self.s3.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return self.put(key, whole[:-20])


@pytest.fixture(params=["plain", "sealed"])
def chain(request: pytest.FixtureRequest, job: Job, source: Path, s3: S3Lab, bucket: str) -> Chain:
    """Of a job without encryption, and of one with a passphrase."""
    job["storage_class"] = "STANDARD"
    if request.param == "sealed":
        job["encryption"] = {"mode": "symmetric", "passphrase": "of the verify test"}
    kills.succeeded(kills.run("duplicity_backup", job=job))
    time.sleep(1.1)
    (source / "etc/data").write_text("another turn")
    kills.succeeded(kills.run("duplicity_backup", job=job))
    return Chain(s3, job, bucket)


def test_all_damage_is_named(chain: Chain) -> None:
    assert kills.succeeded(verify(chain.job))["findings"] == []
    changed = kills.succeeded(kills.run("duplicity_info", job=chain.job, changes="now"))
    assert changed["changes"] == [{"path": "etc/data", "kind": "changed"}]
    if chain.job["encryption"]["mode"] != "none":
        other = {"mode": "symmetric", "passphrase": "another passphrase"}
        assert kills.cause(verify({**chain.job, "encryption": other})) == "wrong_passphrase"
    lost = [("volume_missing", chain.drop("duplicity-full.", "vol2.")), ("signature_missing", chain.drop("new-sig"))]
    wrong = [
        ("volume_empty", chain.put(chain.key("duplicity-full.", "vol1."), b"")),
        ("manifest_unreadable", chain.cut("duplicity-inc.", "manifest")),
        ("unknown", chain.put(chain.prefix + "notes.txt", b"somebody's")),
        ("upload_pending", chain.prefix + "duplicity-full.x"),
    ]
    chain.put(chain.prefix + "below/other-job", b"not ours")
    chain.s3.client().create_multipart_upload(Bucket=chain.bucket, Key=chain.prefix + "duplicity-full.x")
    chain.s3.advance(hours=1)
    last = chain.put(chain.key("duplicity-inc.", "vol1."), b"another volume", StorageClass="GLACIER_IR")
    result = verify(chain.job)
    assert kills.cause(result) == "integrity_failed"
    assert not result["changed"]
    there = [(one["kind"], one["key"]) for one in result["findings"] if one["key"]]
    assert sorted(there) == sorted([*wrong, ("overwritten", last), ("wrong_class", last)])
    gone = [one["kind"] for one in result["findings"] if not one["key"]]
    assert sorted(gone) == sorted(kind for kind, _key in lost)
    assert len(result["warnings"]) == 3
    lenient = kills.succeeded(verify(chain.job, fail_on=["manifest_missing"]))
    assert lenient["findings"] == result["findings"]


def test_a_killed_task_is_followed_by_one_that_attaches(stored: Job, s3: S3Lab) -> None:
    s3.fault("GetObject", ".vol1.", kind="hold")
    with kills.watched(stored["name"]) as watch:
        task = kills.ModuleProcess("duplicity_verify", job=stored, mode="source")
        watch.wait_running(task, "verify")
        task.kill(signal.SIGKILL)
        task.ended()
        assert kills.cause(kills.run("duplicity_backup", job=stored)) == "busy"
        s3.clear_faults()
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
