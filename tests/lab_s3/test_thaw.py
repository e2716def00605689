"""RestoreObject and what can be read when: the rules of S3 Glacier."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from lab_s3.helpers import frozen, refused, thaw

from lab.s3.client_api import S3Lab

TIMES = [
    ("GLACIER", "Expedited", 300),
    ("GLACIER", "Standard", 5 * 3600),
    ("GLACIER", "Bulk", 12 * 3600),
    ("DEEP_ARCHIVE", "Standard", 12 * 3600),
    ("DEEP_ARCHIVE", "Bulk", 48 * 3600),
]


def test_only_archive_classes_need_a_thaw(s3: Any, bucket: str) -> None:
    for storage_class in ("STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"):
        key = frozen(s3, bucket, storage_class, storage_class)
        if storage_class in ("GLACIER", "DEEP_ARCHIVE"):
            status, code, error = refused(s3.get_object, Bucket=bucket, Key=key)
            assert (status, code, error["StorageClass"]) == (403, "InvalidObjectState", storage_class)
        else:
            assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"ice"


@pytest.mark.parametrize(("storage_class", "tier", "seconds"), TIMES)
def test_a_thaw_takes_the_time_of_class_and_tier(
    lab: S3Lab, s3: Any, bucket: str, storage_class: str, tier: str, seconds: int
) -> None:
    key = frozen(s3, bucket, storage_class=storage_class)
    assert thaw(s3, bucket, key, tier) == 202
    lab.advance(seconds=seconds - 60)
    assert refused(s3.get_object, Bucket=bucket, Key=key)[:2] == (403, "InvalidObjectState")
    lab.advance(seconds=61)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"ice"


def test_standard_is_the_tier_of_a_request_without_one(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket)
    s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": 1})
    assert lab.state(bucket)[0]["tier"] == "Standard"


def test_the_restore_header_has_three_forms(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket)
    assert "Restore" not in s3.head_object(Bucket=bucket, Key=key)
    thaw(s3, bucket, key)
    assert s3.head_object(Bucket=bucket, Key=key)["Restore"] == 'ongoing-request="true"'
    lab.advance(hours=12, seconds=1)
    head = s3.head_object(Bucket=bucket, Key=key)
    assert head["Restore"].startswith('ongoing-request="false", expiry-date="')
    assert head["StorageClass"] == "DEEP_ARCHIVE"
    lab.advance(hours=72)
    assert "Restore" not in s3.head_object(Bucket=bucket, Key=key)


def test_the_copy_ends_at_midnight_utc_after_the_thaws_end_plus_days(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket)
    thaw(s3, bucket, key, days=3)
    ready = datetime.fromtimestamp(lab.state(bucket)[0]["ready_at"], timezone.utc)
    lab.advance(hours=12, seconds=1)
    header = s3.head_object(Bucket=bucket, Key=key)["Restore"]
    expiry = parsedate_to_datetime(header.split('expiry-date="')[1].rstrip('"'))
    assert expiry == datetime(ready.year, ready.month, ready.day, tzinfo=timezone.utc) + timedelta(days=4)
    lab.advance(seconds=expiry.timestamp() - lab.now() - 30)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"ice"
    lab.advance(seconds=31)
    assert refused(s3.get_object, Bucket=bucket, Key=key)[:2] == (403, "InvalidObjectState")
    assert thaw(s3, bucket, key) == 202


def test_a_second_request_is_refused_unless_it_is_faster(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket, storage_class="GLACIER")
    restore = {"Bucket": bucket, "Key": key}
    assert thaw(s3, bucket, key, "Bulk") == 202
    bulk = lab.state(bucket)[0]["ready_at"]
    request = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}
    assert refused(s3.restore_object, RestoreRequest=request, **restore)[:2] == (409, "RestoreAlreadyInProgress")
    assert thaw(s3, bucket, key, "Standard") == 202
    assert lab.state(bucket)[0]["ready_at"] == pytest.approx(bulk - 7 * 3600, abs=300)
    assert refused(s3.restore_object, RestoreRequest=request, **restore)[:2] == (409, "RestoreAlreadyInProgress")
    assert thaw(s3, bucket, key, "Expedited") == 202
    lab.advance(seconds=301)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"ice"


def test_an_upgrade_must_not_change_the_days(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket)
    thaw(s3, bucket, key, "Bulk", days=3)
    before = lab.state(bucket)
    request = {"Days": 4, "GlacierJobParameters": {"Tier": "Standard"}}
    answer = refused(s3.restore_object, Bucket=bucket, Key=key, RestoreRequest=request)
    assert answer[:2] == (409, "RestoreAlreadyInProgress")
    assert lab.state(bucket) == before
    assert thaw(s3, bucket, key, "Standard", days=3) == 202


def test_an_upgrade_never_makes_a_thaw_later(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket, storage_class="GLACIER")
    thaw(s3, bucket, key, "Bulk")
    lab.advance(hours=11)
    before = lab.state(bucket)[0]["ready_at"]
    assert thaw(s3, bucket, key, "Standard") == 202
    assert lab.state(bucket)[0]["ready_at"] == before


def test_a_request_for_a_thawed_object_moves_its_expiry(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket)
    thaw(s3, bucket, key, days=1)
    lab.advance(hours=13)
    before = lab.state(bucket)[0]
    assert thaw(s3, bucket, key, "Bulk", days=10) == 200
    after = lab.state(bucket)[0]
    assert after["expires_at"] == pytest.approx(lab.now() + 10 * 86400, abs=86400 + 60)
    assert (after["state"], after["ready_at"], after["tier"]) == ("thawed", before["ready_at"], "Standard")


def test_expedited_is_not_for_deep_archive(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket)
    request = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    status, code, _ = refused(s3.restore_object, Bucket=bucket, Key=key, RestoreRequest=request)
    assert (status, code) == (400, "InvalidArgument")
    assert lab.state(bucket)[0]["state"] == "frozen"


def test_expedited_can_be_out_of_capacity(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket, storage_class="GLACIER")
    lab.fault(kind="expedited", count=1)
    assert thaw(s3, bucket, frozen(s3, bucket, "other", "GLACIER"), "Standard") == 202
    request = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    status, code, _ = refused(s3.restore_object, Bucket=bucket, Key=key, RestoreRequest=request)
    assert (status, code) == (503, "GlacierExpeditedRetrievalNotAvailable")
    assert thaw(s3, bucket, key, "Expedited") == 202


@pytest.mark.parametrize("storage_class", ["STANDARD", "STANDARD_IA", "GLACIER_IR"])
def test_what_is_not_archived_cannot_be_restored(s3: Any, bucket: str, storage_class: str) -> None:
    key = frozen(s3, bucket, storage_class=storage_class)
    status, code, error = refused(s3.restore_object, Bucket=bucket, Key=key, RestoreRequest={"Days": 1})
    assert (status, code, error["StorageClass"]) == (403, "InvalidObjectState", storage_class)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "MalformedXML"),
        ({"GlacierJobParameters": {"Tier": "Bulk"}}, "MalformedXML"),
        ({"Days": 0}, "InvalidArgument"),
        ({"Days": -1}, "InvalidArgument"),
        ({"Days": 1, "GlacierJobParameters": {"Tier": "Overnight"}}, "MalformedXML"),
    ],
)
def test_a_request_without_sense_is_refused(
    lab: S3Lab, s3: Any, bucket: str, request_: dict[str, Any], code: str
) -> None:
    key = frozen(s3, bucket)
    assert refused(s3.restore_object, Bucket=bucket, Key=key, RestoreRequest=request_)[:2] == (400, code)
    assert lab.state(bucket)[0]["state"] == "frozen"


def test_nothing_there_is_404(s3: Any, bucket: str) -> None:
    days = {"Days": 1}
    assert refused(s3.restore_object, Bucket=bucket, Key="no", RestoreRequest=days)[:2] == (404, "NoSuchKey")
    assert refused(s3.restore_object, Bucket="nowhere", Key="no", RestoreRequest=days)[:2] == (404, "NoSuchBucket")


def test_a_new_version_is_frozen_again(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket, storage_class="GLACIER")
    thaw(s3, bucket, key, "Expedited", days=30)
    lab.advance(seconds=301)
    assert lab.state(bucket)[0]["state"] == "thawed"
    frozen(s3, bucket, storage_class="GLACIER")
    assert lab.state(bucket)[0]["state"] == "frozen"
    assert refused(s3.get_object, Bucket=bucket, Key=key)[1] == "InvalidObjectState"


def test_old_versions_thaw_by_themselves(lab: S3Lab, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="volume", Body=b"old", StorageClass="GLACIER")["VersionId"]
    s3.put_object(Bucket=bucket, Key="volume", Body=b"new", StorageClass="GLACIER")
    request = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    s3.restore_object(Bucket=bucket, Key="volume", VersionId=old, RestoreRequest=request)
    lab.advance(seconds=301)
    assert s3.get_object(Bucket=bucket, Key="volume", VersionId=old)["Body"].read() == b"old"
    assert refused(s3.get_object, Bucket=bucket, Key="volume")[1] == "InvalidObjectState"


def test_a_copy_needs_a_thawed_source(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket, storage_class="GLACIER")
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": key}, "StorageClass": "STANDARD"}
    assert refused(s3.copy_object, **copy)[:2] == (403, "ObjectNotInActiveTierError")
    thaw(s3, bucket, key, "Expedited")
    assert refused(s3.copy_object, **copy)[:2] == (403, "ObjectNotInActiveTierError")
    lab.advance(seconds=301)
    s3.copy_object(**copy)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"ice"


def test_a_copy_by_parts_needs_a_thawed_source_too(lab: S3Lab, s3: Any, bucket: str) -> None:
    key = frozen(s3, bucket, storage_class="GLACIER")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="copy")["UploadId"]
    part = {"Bucket": bucket, "Key": "copy", "UploadId": upload, "PartNumber": 1}
    part["CopySource"] = {"Bucket": bucket, "Key": key}
    assert refused(s3.upload_part_copy, **part)[:2] == (403, "ObjectNotInActiveTierError")
    thaw(s3, bucket, key, "Expedited")
    lab.advance(seconds=301)
    etag = s3.upload_part_copy(**part)["CopyPartResult"]["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="copy", UploadId=upload, MultipartUpload=parts)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"ice"


def test_more_restores_a_second_than_the_limit_are_slowed_down(lab: S3Lab, s3: Any, bucket: str) -> None:
    lab.seed(bucket, "v", 40, 10, "DEEP_ARCHIVE")
    lab.advance(seconds=1)
    default = lab.restore_limit(3)
    try:
        assert default == 1000
        answers = []
        for number in range(40):
            try:
                answers.append(thaw(s3, bucket, f"v{number:06d}"))
            except s3.exceptions.ClientError as error:
                answers.append(error.response["Error"]["Code"])
        assert answers[:3] == [202] * 3
        assert "SlowDown" in answers
        lab.restore_limit(None)
        assert thaw(s3, bucket, f"v{answers.index('SlowDown'):06d}") == 202
    finally:
        lab.restore_limit(default)
