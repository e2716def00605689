"""glacier_bucket through main()."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import AccessRefused
from ansible_collections.permafrost.backup.plugins.modules import glacier_bucket
from unit.modules.world import World

ALL = ["public_access_block", "ownership", "versioning", "encryption", "object_lock", "policy", "lifecycle"]
WITHOUT_LOCK = [name for name in ALL if name != "object_lock"]


def made(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    return world.run(glacier_bucket, {"name": "acme-dr", **options}, check=check)


def writes(world: World) -> list[str]:
    return [name for name, _params in world.bucket_asked if name.startswith(("put_", "create_", "delete_"))]


def settle(world: World) -> None:
    """What was put is what is got from now on."""
    replies: dict[str, Any] = {"head_bucket": {}}
    for name, params in world.bucket_asked:
        if name == "put_bucket_versioning":
            replies["get_bucket_versioning"] = params["VersioningConfiguration"]
        elif name == "put_bucket_lifecycle_configuration":
            replies["get_bucket_lifecycle_configuration"] = params["LifecycleConfiguration"]
        elif name.startswith("put_"):
            replies[name.replace("put_", "get_", 1)] = params
    world.bucket_replies, world.bucket_asked = replies, []


def test_a_bucket_from_nothing_and_again(world: World) -> None:
    options = {"region": "eu-central-1", "object_lock": {"mode": "GOVERNANCE", "days": 30}}
    checked = made(world, check=True, **options)
    assert (checked["changed"], checked["created"], checked["settings"], writes(world)) == (True, True, ALL, [])
    assert checked["diff"]["before"] == {}
    assert checked["diff"]["after"]["versioning"] == "Enabled"
    result = made(world, **options)
    assert {name: result[name] for name in ("created", "settings", "diff")} == {
        name: checked[name] for name in ("created", "settings", "diff")
    }
    create = dict(world.bucket_asked)["create_bucket"]
    assert create == {
        "ObjectLockEnabledForBucket": True,
        "CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"},
    }
    settle(world)
    again = made(world, **options)
    assert (again["changed"], again["created"], again["settings"], writes(world)) == (False, False, [], [])


def test_the_first_region_is_not_named(world: World) -> None:
    made(world, region="us-east-1")
    assert dict(world.bucket_asked)["create_bucket"] == {}


def test_a_bucket_that_is_there_gets_what_it_lacks(world: World) -> None:
    world.bucket_replies = {"head_bucket": {}}
    result = made(world, region="us-gov-west-1")
    assert (result["created"], result["settings"]) == (False, WITHOUT_LOCK)
    policy = json.loads(dict(world.bucket_asked)["put_bucket_policy"]["Policy"])
    assert policy["Statement"][0]["Resource"] == ["arn:aws-us-gov:s3:::acme-dr", "arn:aws-us-gov:s3:::acme-dr/*"]


def test_what_others_set_stays_and_is_compared_as_it_is(world: World) -> None:
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "*"}
    rule = {"ID": "logs", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 30}}
    world.bucket_replies = {
        "head_bucket": {},
        "get_bucket_policy": {"Policy": json.dumps({"Version": "2012-10-17", "Statement": theirs})},
        "get_bucket_lifecycle_configuration": {"Rules": [rule]},
        "get_object_lock_configuration": {
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}},
            }
        },
    }
    result = made(world)
    assert result["settings"] == WITHOUT_LOCK
    assert result["state"]["object_lock"] == {"mode": "COMPLIANCE", "days": 365}
    assert [one["Sid"] for one in result["state"]["policy"]["Statement"]] == ["Theirs", "PermafrostTlsOnly"]
    assert [one["ID"] for one in result["state"]["lifecycle"]] == [
        "logs",
        "permafrost-abort-uploads",
        "permafrost-old-versions",
    ]
    settle(world)
    without = made(world, tls_only=False)
    assert (without["settings"], [one["Sid"] for one in without["state"]["policy"]["Statement"]]) == (
        ["policy"],
        ["Theirs"],
    )


def test_the_last_statement_takes_the_policy_with_it(world: World) -> None:
    made(world)
    settle(world)
    assert (made(world, tls_only=False)["settings"], writes(world)) == (["policy"], ["delete_bucket_policy"])


def test_encryption_by_a_key(world: World) -> None:
    made(world, encryption={"mode": "aws:kms", "kms_key_id": "the-key"})
    rule = dict(world.bucket_asked)["put_bucket_encryption"]["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "the-key"}
    settle(world)
    assert made(world, encryption={"mode": "aws:kms", "kms_key_id": "the-key"})["changed"] is False
    assert made(world, encryption={"mode": "aws:kms", "kms_key_id": "other"})["settings"] == ["encryption"]


def test_what_was_done_is_told_when_s3_refuses(world: World) -> None:
    world.fails["put_bucket_encryption"] = AccessRefused("S3 refused to put bucket encryption in bucket acme-dr.")
    result = made(world)
    assert (result["failed"], result["changed"], result["error"]["cause"]) == (True, True, "access_refused")
    assert result["done"] == ["bucket", "public_access_block", "ownership", "versioning"]


VOLUMES = {"prefix": "/web01/data/", "archive": "archive-web01-", "storage_class": "DEEP_ARCHIVE"}
OTHERS = {"manifest": "manifest-web01-", "signature": "signature-web01-"}


def test_volumes_move_by_the_begin_of_their_names(world: World) -> None:
    rules = made(world, transitions=[{**VOLUMES, **OTHERS, "days": 7}])["state"]["lifecycle"]
    assert rules[-1] == {
        "ID": "permafrost-volumes-web01/data/archive-web01-",
        "Status": "Enabled",
        "Filter": {"Prefix": "web01/data/archive-web01-"},
        "Transitions": [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}],
    }
    # Without prefixes of their own manifests are named duplicity-…, which is another begin.
    assert not made(world, transitions=[VOLUMES]).get("failed")


@pytest.mark.parametrize(
    "options",
    [
        {"name": "Acme"},
        {"encryption": {"kms_key_id": "key"}},
        {"object_lock": {"mode": "GOVERNANCE", "days": 0}},
        {"abort_uploads_days": 0},
        {"old_versions_days": -1},
        {"transitions": [{**VOLUMES, **OTHERS, "archive": ""}]},
        {"transitions": [{**VOLUMES, "archive": "dup"}]},
        {"transitions": [{**VOLUMES, **OTHERS, "manifest": "archive-web01-manifest-"}]},
        {"transitions": [{**VOLUMES, **OTHERS, "signature": "archive-web01-"}]},
        {"transitions": [{**VOLUMES, **OTHERS, "prefix": "/"}]},
        {"transitions": [{**VOLUMES, **OTHERS, "days": -1}]},
    ],
    ids=str,
)
def test_what_would_harm_is_refused(world: World, options: dict[str, Any]) -> None:
    result = made(world, **options)
    assert (result["error"]["cause"], world.bucket_asked) == ("bad_input", [])


def test_tls_only_without_tls_is_told(world: World) -> None:
    assert "refuses everybody" in str(made(world, endpoint_url="http://minio:9000")["warnings"])
    assert "warnings" not in made(world, endpoint_url="https://minio:9000")
