"""The drill: a taken host overwrites all of a backup with noise, and the runbook brings the data back."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from integration.errors.playing import Task, play, refused, succeeded

from ansible_collections.permafrost.backup.plugins.module_utils import policies
from lab import kills, trees
from lab.s3.client_api import S3Lab

from .conftest import Job, RunPlaybook


@pytest.fixture
def pairs(s3: S3Lab, bucket: str) -> dict[str, dict[str, str]]:
    """The credentials of each part, with nothing but its policy, in a bucket that keeps versions."""
    s3.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    found = {}
    for part in policies.PARTS:
        found[part] = {"access_key": f"LABDRILL{part}".upper(), "secret_key": "secret"}
        s3.add_key(found[part]["access_key"], "secret")
        s3.set_policy(found[part]["access_key"], policies.policy(part, bucket, ["web01/data"], partition="aws"))
    return found


def attack(s3: S3Lab, bucket: str, pair: dict[str, str]) -> list[str]:
    """What somebody does who has taken the host; the names of what was overwritten."""
    client = s3.client(aws_access_key_id=pair["access_key"], aws_secret_access_key=pair["secret_key"])
    found = client.list_objects_v2(Bucket=bucket, Prefix="web01/data/")["Contents"]
    for one in found:
        noise = random.Random(one["Key"]).randbytes(one["Size"])
        client.put_object(Bucket=bucket, Key=one["Key"], Body=noise, StorageClass=one["StorageClass"])
    return sorted(one["Key"].rpartition("/")[2] for one in found)


def test_a_locked_volume_survives_a_cleanup(job: Job, s3: S3Lab, tmp_path: Path) -> None:
    client, locked = s3.client(), "locked"
    client.create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=configuration)
    Path(job["source"]).mkdir()
    (Path(job["source"]) / "file").write_text("content")
    job["target"] = f"s3://{locked}/web01/data"
    rules = {"older_than": "now", "delete_last_chain": True, "early_delete": "allow"}
    done = play({
        "full": Task("duplicity_backup", {"job": job}),
        "cleanup": Task("duplicity_cleanup", {"job": job, **rules}),
    }, tmp_path)  # fmt: skip
    succeeded(done["full"])
    cleaned = succeeded(done["cleanup"])
    assert (cleaned["versioned"], cleaned["object_count"], len(cleaned["locked"])) == (True, 3, 3)
    assert "3 of 3 objects are locked" in str(cleaned["warnings"])
    assert s3.state(locked) == []
    kept = client.list_object_versions(Bucket=locked)["Versions"]
    assert sorted(one["Key"] for one in kept) == sorted(one["key"] for one in cleaned["locked"])
    for one in kept:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=locked, Key=one["Key"], VersionId=one["VersionId"])


@pytest.mark.parametrize("mode", ["none", "symmetric"])
def test_the_drill(
    mode: str, job: Job, pairs: dict[str, dict[str, str]], s3: S3Lab, bucket: str, playbook: RunPlaybook, tmp_path: Path
) -> None:
    encryption = {"mode": mode} if mode == "none" else {"mode": mode, "passphrase": "of the drill"}
    job.update(storage_class="GLACIER", encryption=encryption, credentials=pairs["backup"])
    tree = back_up(job, tmp_path)
    s3.advance(hours=24 * 100)
    names = attack(s3, bucket, pairs["backup"])
    volumes = [name for name in names if ".difftar" in name]
    # A new host, with what restores may do; the old one may not see older versions.
    lost = {**job, "state_dir": str(tmp_path / "new"), "credentials": pairs["restore"]}
    look(job, lost, names, tmp_path)

    variables: dict[str, Any] = {"duplicity_jobs": [lost], "thaw_credentials": pairs["thaw"], "wait": False,
                                 "dest": str(tmp_path / "restored"), "confirm": True}  # fmt: skip
    mark = s3.mark()
    asked = playbook("permafrost.backup.restore", **variables)
    assert asked.code == 0, asked.output
    thaws = [one for one in s3.requests(mark) if one["operation"] == "RestoreObject"]
    assert sorted((one["key"].rpartition("/")[2], one["status"]) for one in thaws) == [(one, 202) for one in volumes]
    assert {one["state"] for one in s3.state(bucket) if ".difftar" in one["key"]} == {"frozen"}, "the noise stays cold"
    s3.advance(hours=13)
    restored = playbook("permafrost.backup.restore", **variables)
    assert restored.code == 0, restored.output
    kills.same(tree, tmp_path / "restored")
    result = restored.results("duplicity_restore")[-1]
    assert result["proof"]["proven"] is True
    assert "overwritten after their sets were complete" in str(result["warnings"])


def back_up(job: Job, work: Path) -> dict[bytes, trees.Entry]:
    """A full of several volumes and an incremental; the tree that a restore has to bring."""
    source = Path(job["source"])
    source.mkdir()
    for number in range(3):
        (source / f"{number}.bin").write_bytes(random.Random(number).randbytes(700_000))
    succeeded(play({"full": Task("duplicity_backup", {"job": job})}, work)["full"])
    trees.next_second()
    (source / "0.bin").write_bytes(b"changed")
    succeeded(play({"incremental": Task("duplicity_backup", {"job": job})}, work)["incremental"])
    return trees.snapshot(source)


def look(job: Job, lost: Job, names: list[str], work: Path) -> None:
    """Integrity names all of it, a plan is of the older versions, and what cannot work is refused."""
    done = play({
        "looked": Task("duplicity_verify", {"job": lost}),
        "on the host": Task("duplicity_verify", {"job": job}),
        "path": Task("glacier_restore_info", {"job": lost, "path": "1.bin"}),
        "no such path": Task("glacier_restore_info", {"job": lost, "path": "3.bin"}),
        "streamed": Task("duplicity_restore", {"job": lost, "dest": str(work / "streamed"), "fetch": "streamed"}),
    }, work)  # fmt: skip
    looked = refused(done["looked"], "integrity_failed", "overwritten")
    assert sorted(one["name"] for one in looked["findings"] if one["kind"] == "overwritten") == names
    assert looked["finding_counts"] == {"overwritten": len(names)}
    assert "manifest_unreadable" in refused(done["on the host"], "integrity_failed")["finding_counts"]
    plan = succeeded(done["path"])["plan"]
    assert 0 < plan["volume_count"] < len([name for name in names if ".difftar" in name])
    assert all(one["version_id"] and one["state"] == "frozen" for one in plan["volumes"])
    refused(done["no such path"], "path_not_in_backup")
    refused(done["streamed"], "bad_input", "streamed")
