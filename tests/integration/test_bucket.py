"""The role glacier_bucket against the lab's S3 and IAM: from nothing, again, changed by hand, with what others set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import play
from lab.iam import IamLab
from lab.s3.client_api import S3Lab

NAME = "acme-dr"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0d1c6f6e-9a55-4a0c-8b8a-3f2b8d3c9e11"


@pytest.fixture(scope="module")
def iam() -> Iterator[IamLab]:
    with IamLab() as found:
        yield found


class Role:
    """Runs the role with variables that stay the same from run to run."""

    def __init__(self, s3: S3Lab, iam: IamLab, work: Path) -> None:
        self.s3, self._work = s3, work
        self.variables: dict[str, Any] = {
            "glacier_bucket_name": NAME,
            "glacier_bucket_region": s3.region,
            "glacier_bucket_credentials": {"access_key": s3.access_key, "secret_key": s3.secret_key},
            "glacier_bucket_endpoint_url": s3.endpoint_url,
            "glacier_bucket_iam_endpoint_url": iam.endpoint_url,
        }

    def run(self, *options: str, **variables: Any) -> play.Run:
        self.variables.update({f"glacier_bucket_{name}": value for name, value in variables.items()})
        task = {"name": "The role", "ansible.builtin.include_role": {"name": "permafrost.backup.glacier_bucket"}}
        shown = {"name": "Its fact", "ansible.builtin.debug": {"var": "glacier_bucket_policies"}}
        return play.run([task, shown], self._work, *options, **self.variables)


@pytest.fixture
def role(iam: IamLab, tmp_path: Path) -> Iterator[Role]:
    with S3Lab(tmp_path / "s3") as s3:
        yield Role(s3, iam, tmp_path)


def changed(run: play.Run) -> list[str]:
    """The actions that changed something, of a run that went well."""
    assert run.code == 0, run.output
    return [task.action for task in run.tasks if task.result.get("changed")]


def lifecycle(client: Any) -> dict[str, dict[str, Any]]:
    rules = client.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"]
    return {rule["ID"]: rule for rule in rules}


def test_from_nothing_and_again_and_put_back(role: Role) -> None:
    client = role.s3.client()
    wanted: dict[str, Any] = {
        "object_lock": {"mode": "GOVERNANCE", "days": 30},
        "encryption": {"mode": "aws:kms", "kms_key_id": KEY},
        "kms_key_arn": KEY,
        "transitions": [{"prefix": "web01/data", "archive": "archive-", "manifest": "manifest-",
                         "signature": "signature-", "storage_class": "DEEP_ARCHIVE", "days": 7}],
        "hosts": [{"name": "web01", "targets": [f"s3://{NAME}/web01/data"], "parts": ["backup", "restore"]}],
        "iam": True,
    }  # fmt: skip

    checked = role.run("--check", "--diff", **wanted)
    assert "glacier_bucket" in changed(checked)
    assert "versioning: Enabled" in checked.output
    assert client.list_buckets()["Buckets"] == []

    made = role.run()
    assert changed(made) == ["glacier_bucket", "amazon.aws.iam_managed_policy"]
    assert made.result("glacier_bucket")["created"] is True
    assert client.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"
    assert set(client.get_public_access_block(Bucket=NAME)["PublicAccessBlockConfiguration"].values()) == {True}
    encryption = client.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    lock = client.get_object_lock_configuration(Bucket=NAME)["ObjectLockConfiguration"]
    assert {"Mode": "GOVERNANCE", "Days": 30}.items() <= lock["Rule"]["DefaultRetention"].items()
    statement = json.loads(client.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    rules = lifecycle(client)
    assert rules["permafrost-abort-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rules["permafrost-old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 180
    volumes = rules["permafrost-volumes-web01/data/archive-"]
    assert volumes["Filter"] == {"Prefix": "web01/data/archive-"}
    assert volumes["Transitions"] == [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}]

    assert changed(role.run()) == []

    client.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Suspended"})
    found = role.run("--diff")
    assert (changed(found), found.result("glacier_bucket")["settings"]) == (["glacier_bucket"], ["versioning"])
    assert client.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"


def test_what_others_set_stays(role: Role) -> None:
    client = role.s3.client()
    client.create_bucket(Bucket=NAME)
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
              "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{NAME}/*"}  # fmt: skip
    client.put_bucket_policy(Bucket=NAME, Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    client.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [rule]})

    made = role.run(object_lock={"mode": "COMPLIANCE", "days": 1})
    assert (changed(made), made.result("glacier_bucket")["created"]) == (["glacier_bucket"], False)
    sids = [one["Sid"] for one in json.loads(client.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"]]
    assert sids == ["Theirs", "PermafrostTlsOnly"]
    assert set(lifecycle(client)) == {"logs", "permafrost-abort-uploads", "permafrost-old-versions"}

    kept = role.run(object_lock={}, tls_only=False, old_versions_days=0)
    assert kept.result("glacier_bucket")["settings"] == ["policy", "lifecycle"]
    assert kept.result("glacier_bucket")["state"]["object_lock"] == {"mode": "COMPLIANCE", "days": 1}
    assert set(lifecycle(client)) == {"logs", "permafrost-abort-uploads"}
    assert changed(role.run()) == []


def test_refused(role: Role) -> None:
    same = {"prefix": "web01/data", "archive": "duplicity-", "storage_class": "GLACIER"}
    run = role.run(transitions=[same])
    assert "no backup could build on this one without a thaw" in run.output
    run = role.run(transitions=[], credentials={"access_key": role.s3.access_key, "secret_key": "wrong"})
    assert run.result("glacier_bucket")["error"]["cause"] == "access_refused"
