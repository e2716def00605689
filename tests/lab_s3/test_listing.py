"""ListObjects and ListObjectsV2."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from lab_s3.helpers import frozen, refused, thaw

from lab.s3.client_api import S3Lab


def keys_of(s3: Any, operation: str = "list_objects_v2", **arguments: Any) -> list[str]:
    """All keys, page by page."""
    pages = s3.get_paginator(operation).paginate(**arguments)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def test_restore_status_is_listed_only_on_request(lab: S3Lab, s3: Any, bucket: str) -> None:
    for key in ("a-thawed", "b-thawing", "c-frozen"):
        frozen(s3, bucket, key, "GLACIER")
    thaw(s3, bucket, "a-thawed", "Expedited", days=2)
    lab.advance(seconds=301)
    thaw(s3, bucket, "b-thawing", "Bulk")
    plain = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert not any("RestoreStatus" in item for item in plain)
    for operation in (s3.list_objects_v2, s3.list_objects):
        items = operation(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])["Contents"]
        assert [item["StorageClass"] for item in items] == ["GLACIER"] * 3
        thawed, thawing, cold = (item.get("RestoreStatus") for item in items)
        assert thawed["IsRestoreInProgress"] is False
        assert thawed["RestoreExpiryDate"].timestamp() == lab.state(bucket)[0]["expires_at"]
        assert thawing == {"IsRestoreInProgress": True}
        assert cold is None


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_pages_cover_each_key_once_in_order(lab: S3Lab, s3: Any, bucket: str, operation: str) -> None:
    lab.seed(bucket, "b/", 2500, 1)
    lab.seed(bucket, "a", 3, 1)
    lab.seed(bucket, "c", 3, 1)
    keys = keys_of(s3, operation, Bucket=bucket, Prefix="b/")
    assert keys == [f"b/{number:06d}" for number in range(2500)]
    assert keys_of(s3, operation, Bucket=bucket, PaginationConfig={"PageSize": 7})[:4] == [
        "a000000", "a000001", "a000002", "b/000000",
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
def test_common_prefixes_survive_paging(s3: Any, bucket: str, operation: str) -> None:
    for key in ("a/1", "a/2", "b", "c/1", "c/d/2", "d"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}))
    found = [
        *(prefix["Prefix"] for page in pages for prefix in page.get("CommonPrefixes", [])),
        *(item["Key"] for page in pages for item in page.get("Contents", [])),
    ]
    assert found == ["a/", "c/", "b", "d"]
    inner = s3.list_objects_v2(Bucket=bucket, Prefix="c/", Delimiter="/")
    assert [item["Key"] for item in inner["Contents"]] == ["c/1"]
    assert [item["Prefix"] for item in inner["CommonPrefixes"]] == ["c/d/"]
    assert inner["KeyCount"] == 2


def test_listing_starts_after_a_key_and_ends_at_the_limit(s3: Any, bucket: str) -> None:
    for key in "abcd":
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="b", MaxKeys=1)
    assert ([item["Key"] for item in page["Contents"]], page["IsTruncated"]) == (["c"], True)
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["IsTruncated"] is False
    assert refused(s3.list_objects_v2, Bucket="nowhere")[:2] == (404, "NoSuchBucket")


def test_deleted_keys_leave_the_listing(s3: Any, bucket: str) -> None:
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}]})
    assert keys_of(s3, Bucket=bucket) == ["c"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=bucket, Key="c")
    assert keys_of(s3, Bucket=bucket) == []
    versions = s3.list_object_versions(Bucket=bucket)
    assert [marker["IsLatest"] for marker in versions["DeleteMarkers"]] == [True]
    assert [version["IsLatest"] for version in versions["Versions"]] == [False]
    s3.delete_object(Bucket=bucket, Key="c", VersionId=versions["DeleteMarkers"][0]["VersionId"])
    assert keys_of(s3, Bucket=bucket) == ["c"]


def test_a_hundred_thousand_keys_are_seeded_and_listed(lab: S3Lab, s3: Any, bucket: str) -> None:
    first, last = lab.seed(bucket, "vol/", 100_000, 1 << 30, "DEEP_ARCHIVE")
    assert (first, last) == ("vol/000000", "vol/099999")
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="vol/098999")
    assert len(page["Contents"]) == 1000
    assert {(item["Size"], item["StorageClass"]) for item in page["Contents"]} == {(1 << 30, "DEEP_ARCHIVE")}
    assert page["IsTruncated"] is False
    assert len(lab.state(bucket)) == 100_000


def test_the_listing_is_the_same_for_the_resource_interface(lab: S3Lab, bucket: str) -> None:
    lab.seed(bucket, "x", 3, 5, "GLACIER")
    options = {"endpoint_url": lab.endpoint_url, "region_name": lab.region}
    resource = boto3.resource("s3", aws_access_key_id=lab.access_key, aws_secret_access_key=lab.secret_key, **options)
    assert [item.storage_class for item in resource.Bucket(bucket).objects.all()] == ["GLACIER"] * 3


def test_versions_by_key_and_the_newest_first(lab: S3Lab, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    newer = s3.put_object(Bucket=bucket, Key="a", Body=b"now", StorageClass="GLACIER")["VersionId"]
    older = s3.put_object(Bucket=bucket, Key="b/x y", Body=b"1", StorageClass="GLACIER")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="b/x y")
    s3.put_object(Bucket=bucket, Key="c", Body=b"")
    s3.restore_object(Bucket=bucket, Key="b/x y", VersionId=older, RestoreRequest={"Days": 1})
    reply = s3.list_object_versions(Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])
    assert [(one["Key"], one["VersionId"], one["IsLatest"], one["Size"]) for one in reply["Versions"]][:3] == [
        ("a", newer, True, 3), ("a", "null", False, 6), ("b/x y", older, False, 1),
    ]  # fmt: skip
    assert [(one["Key"], one["IsLatest"]) for one in reply["DeleteMarkers"]] == [("b/x y", True)]
    assert reply["Versions"][2]["RestoreStatus"] == {"IsRestoreInProgress": True}
    assert "RestoreStatus" not in reply["Versions"][0]
    lab.advance(hours=5)
    assert s3.get_object(Bucket=bucket, Key="b/x y", VersionId=older)["Body"].read() == b"1"
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix="", PaginationConfig={"PageSize": 1}
    )
    assert [one["Key"] for page in pages for one in page.get("Versions", [])] == ["a", "a", "b/x y", "c"]
