"""Identity policies: action, resource, the prefix of a listing, a thaw, and many deletions in one request."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from lab_s3.helpers import frozen, refused, thaw

from lab.places import LabError
from lab.s3.client_api import S3Lab

NUMBERS = itertools.count(1)
Somebody = Callable[..., Any]


@pytest.fixture
def somebody(lab: S3Lab) -> Somebody:
    """A client of a new key that has a policy of these statements."""

    def client(*statements: dict[str, Any]) -> Any:
        key = f"LABPOLICY{next(NUMBERS):011d}"
        lab.add_key(key, "secret")
        lab.set_policy(key, {"Version": "2012-10-17", "Statement": list(statements)})
        return lab.client(aws_access_key_id=key, aws_secret_access_key="secret")

    return client


def allow(actions: list[str] | str, *resources: str, effect: str = "Allow", **conditions: Any) -> dict[str, Any]:
    found = {"Effect": effect, "Action": actions, "Resource": [f"arn:aws:s3:::{one}" for one in resources]}
    return {**found, "Condition": conditions} if conditions else found


def denied(call: Callable[..., Any], **arguments: Any) -> bool:
    return refused(call, **arguments)[:2] == (403, "AccessDenied")


def test_action_and_resource(somebody: Somebody, s3: Any, bucket: str) -> None:
    for key in ("web01/a", "web01x/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    reader = somebody(allow("s3:GetObject", f"{bucket}/web01/*"))
    assert reader.get_object(Bucket=bucket, Key="web01/a")["Body"].read() == b"x"
    assert reader.head_object(Bucket=bucket, Key="web01/a")["ContentLength"] == 1
    assert denied(reader.get_object, Bucket=bucket, Key="web01x/a")
    assert denied(reader.put_object, Bucket=bucket, Key="web01/a", Body=b"y" * 1_000_000)
    assert denied(reader.delete_object, Bucket=bucket, Key="web01/a")
    assert denied(reader.list_objects_v2, Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="web01/a")["Body"].read() == b"x"


def test_the_prefix_of_a_listing(somebody: Somebody, s3: Any, bucket: str) -> None:
    for key in ("web01/a", "web02/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    mine = {"StringLike": {"s3:prefix": ["web01/*"]}}
    client = somebody(allow(["s3:ListBucket", "s3:ListBucketVersions"], bucket, **mine))
    for call in (client.list_objects_v2, client.list_objects, client.list_object_versions):
        assert call(Bucket=bucket, Prefix="web01/").get("KeyCount", 1) == 1
        assert denied(call, Bucket=bucket, Prefix="web02/")
        assert denied(call, Bucket=bucket, Prefix="web")
        assert denied(call, Bucket=bucket)
    # A HEAD of the bucket is a listing without a prefix, and its error has no body.
    assert refused(client.head_bucket, Bucket=bucket)[0] == 403
    whole = somebody(allow("s3:ListBucket", bucket, Null={"s3:prefix": "true"}))
    whole.head_bucket(Bucket=bucket)
    assert denied(whole.list_objects_v2, Bucket=bucket, Prefix="web01/")


def test_a_thaw_is_a_right_of_its_own(somebody: Somebody, s3: Any, bucket: str, lab: S3Lab) -> None:
    frozen(s3, bucket, "web01/volume")
    writer = somebody(allow(["s3:PutObject", "s3:GetObject"], f"{bucket}/*"))
    assert denied(writer.restore_object, Bucket=bucket, Key="web01/volume", RestoreRequest={"Days": 1})
    assert lab.state(bucket)[0]["state"] == "frozen"
    thawer = somebody(allow("s3:RestoreObject", f"{bucket}/web01/*"))
    assert thaw(thawer, bucket, "web01/volume") == 202
    assert denied(thawer.get_object, Bucket=bucket, Key="web01/volume")


def test_an_older_version_is_a_right_of_its_own(somebody: Somebody, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    one = {"Bucket": bucket, "Key": "k", "VersionId": version}
    plain = somebody(allow(["s3:GetObject", "s3:DeleteObject"], f"{bucket}/*"))
    assert denied(plain.get_object, **one)
    assert denied(plain.delete_object, **one)
    older = somebody(allow(["s3:GetObjectVersion"], f"{bucket}/*"))
    assert older.get_object(**one)["Body"].read() == b"x"
    assert denied(older.get_object, Bucket=bucket, Key="k")


def test_an_upload_in_parts_is_a_put(somebody: Somebody, bucket: str) -> None:
    writer = somebody(allow(["s3:PutObject", "s3:AbortMultipartUpload"], f"{bucket}/web01/*"))
    upload = writer.create_multipart_upload(Bucket=bucket, Key="web01/k")["UploadId"]
    part = {"Bucket": bucket, "Key": "web01/k", "UploadId": upload}
    writer.upload_part(**part, PartNumber=1, Body=b"x")
    assert denied(writer.list_parts, **part)
    writer.abort_multipart_upload(**part)
    assert denied(writer.create_multipart_upload, Bucket=bucket, Key="web02/k")


def test_a_copy_reads_too(somebody: Somebody, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="web02/k", Body=b"x")
    writer = somebody(allow(["s3:PutObject", "s3:GetObject"], f"{bucket}/web01/*"))
    assert denied(writer.copy_object, Bucket=bucket, Key="web01/k", CopySource=f"{bucket}/web02/k")


def test_deletions_in_one_request_are_judged_one_by_one(somebody: Somebody, s3: Any, bucket: str, lab: S3Lab) -> None:
    for key in ("a/1", "a/2", "b/1"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    cleaner = somebody(allow("s3:DeleteObject", f"{bucket}/a/*"))
    wanted = {"Objects": [{"Key": key} for key in ("a/1", "b/1", "a/2")]}
    reply = cleaner.delete_objects(Bucket=bucket, Delete=wanted)
    assert sorted(one["Key"] for one in reply["Deleted"]) == ["a/1", "a/2"]
    assert [(one["Key"], one["Code"]) for one in reply["Errors"]] == [("b/1", "AccessDenied")]
    nobody = somebody(allow("s3:GetObject", f"{bucket}/*"))
    reply = nobody.delete_objects(Bucket=bucket, Delete=wanted)
    assert (len(reply["Errors"]), "Deleted" in reply) == (3, False)
    assert [one["key"] for one in lab.state(bucket)] == ["b/1"]


def test_a_denial_wins(somebody: Somebody, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/secret", Body=b"x")
    client = somebody(allow("s3:*", f"{bucket}/*"), allow("s3:GetObject", f"{bucket}/a/*", effect="Deny"))
    client.put_object(Bucket=bucket, Key="a/other", Body=b"x")
    assert denied(client.get_object, Bucket=bucket, Key="a/secret")


def test_patterns_and_what_is_none(somebody: Somebody, bucket: str) -> None:
    client = somebody(allow("S3:put*", f"{bucket}/a?b/${{*}}x/*"))
    client.put_object(Bucket=bucket, Key="a-b/*x/k", Body=b"x")
    assert denied(client.put_object, Bucket=bucket, Key="a-b/xx/k", Body=b"x")
    assert denied(client.put_object, Bucket=bucket, Key="ab/*x/k", Body=b"x")


def test_without_a_policy_all_is_allowed_again(lab: S3Lab, bucket: str) -> None:
    lab.add_key("LABFREE", "secret")
    client = lab.client(aws_access_key_id="LABFREE", aws_secret_access_key="secret")
    lab.set_policy("LABFREE", {"Version": "2012-10-17", "Statement": []})
    assert denied(client.list_objects_v2, Bucket=bucket)
    lab.set_policy("LABFREE", None)
    client.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    "change",
    [
        {"NotAction": "s3:GetObject"},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Condition": {"StringLike": {"s3:x-amz-acl": "private"}}},
        {"Effect": "Perhaps"},
    ],
)
def test_what_is_not_known_is_not_passed_over(lab: S3Lab, change: dict[str, Any]) -> None:
    statement = {**allow("s3:GetObject", "b/*"), **change}
    with pytest.raises(LabError, match="does not know"):
        lab.set_policy("ANY", {"Version": "2012-10-17", "Statement": [statement]})
