"""Who may ask: known pairs, right secrets, intact requests."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore import UNSIGNED, auth
from botocore.config import Config
from lab_s3.helpers import refused

from lab.s3.client_api import S3Lab


def test_an_unknown_access_key_is_refused(lab: S3Lab, bucket: str) -> None:
    stranger = lab.client(aws_access_key_id="AKIANOBODYKNOWSME000")
    assert refused(stranger.list_objects_v2, Bucket=bucket)[:2] == (403, "InvalidAccessKeyId")
    assert refused(stranger.put_object, Bucket=bucket, Key="k", Body=b"x" * 1_000_000)[0] == 403
    assert refused(stranger.head_bucket, Bucket=bucket)[0] == 403


def test_a_wrong_secret_is_refused(lab: S3Lab, bucket: str) -> None:
    forger = lab.client(aws_secret_access_key="wrong")
    assert refused(forger.list_objects_v2, Bucket=bucket)[:2] == (403, "SignatureDoesNotMatch")
    assert refused(forger.put_object, Bucket=bucket, Key="k", Body=b"x")[:2] == (403, "SignatureDoesNotMatch")
    assert lab.state(bucket) == []


def test_further_pairs_can_be_made_known(lab: S3Lab, bucket: str) -> None:
    pair = {"aws_access_key_id": "LABBACKUPONLY0000001", "aws_secret_access_key": "another secret / with + signs="}
    assert refused(lab.client(**pair).list_objects_v2, Bucket=bucket)[1] == "InvalidAccessKeyId"
    lab.add_key(pair["aws_access_key_id"], pair["aws_secret_access_key"])
    mark = lab.mark()
    lab.client(**pair).put_object(Bucket=bucket, Key="k", Body=b"x")
    assert [entry["access_key"] for entry in lab.requests(mark)] == [pair["aws_access_key_id"]]


def test_nobody_is_refused(lab: S3Lab, bucket: str) -> None:
    nobody = lab.client(config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}))
    assert refused(nobody.list_objects_v2, Bucket=bucket)[:2] == (403, "AccessDenied")


def test_a_presigned_url_is_good_only_as_it_is(lab: S3Lab, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x")
    client = lab.client(config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"})
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"x"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("a%20b", "other"))
    assert (caught.value.code, b"SignatureDoesNotMatch" in caught.value.read()) == (403, True)


def test_a_changed_header_breaks_the_signature(lab: S3Lab, bucket: str) -> None:
    client = lab.client()

    def cheaper(request: Any, **_: Any) -> None:
        request.headers["x-amz-storage-class"] = "DEEP_ARCHIVE"

    client.meta.events.register("before-send.s3.PutObject", cheaper)
    arguments = {"Bucket": bucket, "Key": "k", "Body": b"x", "StorageClass": "STANDARD_IA"}
    assert refused(client.put_object, **arguments)[:2] == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_signature_of_another_time_is_refused(
    lab: S3Lab, bucket: str, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = lab.client()
    lab.fault(kind="skew", seconds=minutes * 60)
    status, code, error = refused(client.put_object, Bucket=bucket, Key="k", Body=b"x")
    assert (status, code) == (403, "RequestTimeTooSkewed")
    times = (
        datetime.strptime(error["RequestTime"], "%Y%m%dT%H%M%SZ"),
        datetime.fromisoformat(error["ServerTime"][:-1]),
    )
    assert (times[1] - times[0]).total_seconds() == pytest.approx(minutes * 60, abs=60)
    lab.clear_faults()
    lab.fault(kind="skew", seconds=minutes * 60 / 2)
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    lab.clear_faults()
    wrong = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(minutes=minutes)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: wrong)
    assert refused(client.list_objects_v2, Bucket=bucket)[:2] == (403, "RequestTimeTooSkewed"), "the clock of a client"


def test_a_missing_bucket_is_told_to_those_with_credentials(s3: Any) -> None:
    assert refused(s3.get_object, Bucket="nowhere", Key="k")[:2] == (404, "NoSuchBucket")
    assert refused(s3.put_object, Bucket="nowhere", Key="k", Body=b"x")[:2] == (404, "NoSuchBucket")
    assert refused(s3.head_bucket, Bucket="nowhere")[0] == 404
