"""glacier_policy_info through main(): what each part may do, and where."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import policies
from ansible_collections.permafrost.backup.plugins.modules import glacier_policy_info
from unit.modules.world import World

TARGET = "s3://acme-dr/web01/data"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0d1c6f6e-9a55-4a0c-8b8a-3f2b8d3c9e11"


def written(world: World, **options: Any) -> dict[str, Any]:
    return world.run(glacier_policy_info, {"targets": [TARGET], **options})


def actions(document: dict[str, Any]) -> set[str]:
    return {action for one in document["Statement"] for action in one["Action"]}


def resources(document: dict[str, Any]) -> set[str]:
    return {resource for one in document["Statement"] for resource in one["Resource"]}


def test_each_part_may_do_its_own_and_no_more(world: World) -> None:
    found = {part: actions(document) for part, document in written(world)["policies"].items()}
    listing = {"s3:ListBucket", "s3:GetObject"}
    older = {"s3:ListBucketVersions", "s3:GetObjectVersion"}
    uploads = {"s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload"}
    assert found == {
        "backup": listing | uploads | {"s3:PutObject"},
        "cleanup": listing | uploads | {"s3:DeleteObject", "s3:GetBucketVersioning",
                                        "s3:GetBucketObjectLockConfiguration"},
        "thaw": listing | older | {"s3:RestoreObject"},
        "restore": listing | older,
    }  # fmt: skip


def test_without_versions(world: World) -> None:
    result = written(world, versions=False, parts=["thaw", "restore"])
    assert set(result["policies"]) == {"thaw", "restore"}
    assert all("Version" not in name for document in result["policies"].values() for name in actions(document))


def test_only_below_the_prefixes(world: World) -> None:
    result = written(world, targets=[TARGET, "s3://acme-dr/web01/www/"])
    assert (result["bucket"], result["prefixes"]) == ("acme-dr", ["web01/data", "web01/www"])
    for document in result["policies"].values():
        places = {one.partition("*")[0] for one in resources(document)}
        assert places == {"arn:aws:s3:::acme-dr", "arn:aws:s3:::acme-dr/web01/data/", "arn:aws:s3:::acme-dr/web01/www/"}
        listing = document["Statement"][0]
        assert listing["Condition"] == {"StringLike": {"s3:prefix": ["web01/data/*", "web01/www/*"]}}


def test_who_needs_no_data_cannot_read_them(world: World) -> None:
    found = written(world)["policies"]
    read = {part: document["Statement"][1]["Resource"] for part, document in found.items()}
    below = "arn:aws:s3:::acme-dr/web01/data"
    assert read == {
        "backup": [f"{below}/*"],
        "cleanup": [f"{below}/*.manifest*"],
        "thaw": [f"{below}/*.manifest*", f"{below}/*.sigtar*"],
        "restore": [f"{below}/*"],
    }


def test_a_prefix_is_no_pattern() -> None:
    assert policies.literally("a*b?c${d}") == "a${*}b${?}c${$}{d}"


def test_with_a_key(world: World) -> None:
    for part, document in written(world, kms_key_arn=KEY)["policies"].items():
        statement = document["Statement"][-1]
        assert (statement["Resource"], statement["Condition"]) == ([KEY], {"StringLike": {"kms:ViaService": "s3.*"}})
        wanted = ["kms:Decrypt", "kms:GenerateDataKey"] if part == "backup" else ["kms:Decrypt"]
        assert statement["Action"] == wanted


@pytest.mark.parametrize(
    ("options", "partition"),
    [
        ({}, "aws"),
        ({"region": "eu-central-1"}, "aws"),
        ({"region": "cn-north-1"}, "aws-cn"),
        ({"region": "us-gov-west-1"}, "aws-us-gov"),
        ({"region": "us-isob-east-1"}, "aws-iso-b"),
        ({"region": "us-iso-east-1"}, "aws-iso"),
        ({"region": "eusc-de-east-1"}, "aws-eusc"),
        ({"partition": "aws-new"}, "aws-new"),
    ],
)
def test_any_partition(world: World, options: dict[str, Any], partition: str) -> None:
    for document in written(world, **options)["policies"].values():
        assert all(one.startswith(f"arn:{partition}:s3:::acme-dr") for one in resources(document))


def test_a_stock_duplicity_may_ask_for_the_bucket(world: World) -> None:
    statement = written(world, stock_duplicity=True)["policies"]["backup"]["Statement"][-1]
    assert (statement["Action"], statement["Condition"]) == (["s3:ListBucket"], {"Null": {"s3:prefix": "true"}})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"targets": []}, "none"),
        ({"targets": [TARGET, "s3://other/web01/data"]}, "acme-dr, other"),
        ({"targets": ["s3://acme-dr"]}, "is no target"),
        ({"partition": "aws:cn"}, "partition"),
        ({"kms_key_arn": "arn:aws:kms:us-east-1:123456789012:alias/backup"}, "aliases"),
        ({"targets": [f"s3://acme-dr/{'x' * 60}{number}" for number in range(60)]}, "fewer targets"),
    ],
)
def test_refused(world: World, options: dict[str, Any], told: str) -> None:
    error = written(world, **options)["error"]
    assert error["cause"] == "bad_input"
    assert told in error["what"]
