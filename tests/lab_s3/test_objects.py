"""Bodies: large, small, ranged, chunked, multipart, damaged; and keys with odd characters."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from lab_s3.helpers import refused, stream_sha256

from lab.s3.client_api import S3Lab

ODD_KEYS = [
    "plain", "a b", "a+b", "100%", "50%25", "ü/ñ/日本", "q?x=1&y=2", "h#ash", "tilde~'()*!", "//double//slash",
    "trailing/", "../up/./dot", "<xml>&\"quote\"", "semi;colon:at@", "back\\slash", "emoji-\U0001f9ca", "[brackets]{}",
]  # fmt: skip
MIB = 1 << 20


def test_odd_keys_come_back_as_they_went(lab: S3Lab, s3: Any, bucket: str) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), StorageClass="GLACIER_IR")
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
        assert [item["Key"] for page in pages for item in page["Contents"]] == sorted(ODD_KEYS)
    assert [entry["key"] for entry in lab.state(bucket)] == sorted(ODD_KEYS)
    logged = [entry for entry in lab.requests() if entry["bucket"] == bucket and entry["operation"] == "PutObject"]
    assert [entry["key"] for entry in logged] == ODD_KEYS


def test_odd_keys_thaw_too(lab: S3Lab, s3: Any, bucket: str) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"", StorageClass="DEEP_ARCHIVE")
        s3.restore_object(Bucket=bucket, Key=key, RestoreRequest={"Days": 1})
    assert {entry["state"] for entry in lab.state(bucket)} == {"thawing"}


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB])
def test_bodies_of_all_sizes_and_their_ranges(s3: Any, bucket: str, size: int) -> None:
    body = os.urandom(size)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=body)["ETag"]
    assert etag == f'"{hashlib.md5(body).hexdigest()}"'
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == size
    if size > 1:
        for header, piece in (("bytes=1-", body[1:]), ("bytes=0-0", body[:1]), ("bytes=-9", body[-9:])):
            answer = s3.get_object(Bucket=bucket, Key="k", Range=header)
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert answer["Body"].read() == piece
    assert refused(s3.get_object, Bucket=bucket, Key="k", Range=f"bytes={size + 5}-")[:2] == (416, "InvalidRange")


def test_a_large_body_is_stored_in_bounded_memory(lab: S3Lab, s3: Any, bucket: str, tmp_path: Path) -> None:
    size = 512 * MIB
    path = tmp_path / "large"
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(4, "big") + block[4:])
    before = peak_kib(lab)
    with path.open("rb") as file:
        s3.put_object(Bucket=bucket, Key="large", Body=file, StorageClass="DEEP_ARCHIVE")
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == size
    s3.restore_object(Bucket=bucket, Key="large", RestoreRequest={"Days": 1})
    lab.advance(hours=13)
    part = s3.get_object(Bucket=bucket, Key="large", Range=f"bytes={300 * MIB}-{300 * MIB + 3}")["Body"].read()
    assert part == (300).to_bytes(4, "big")
    got = stream_sha256(s3.get_object(Bucket=bucket, Key="large")["Body"])
    with path.open("rb") as file:
        assert got == stream_sha256(file)
    assert peak_kib(lab) - before < 64 * 1024


def peak_kib(lab: S3Lab) -> int:
    """The most memory that the server ever held."""
    status = Path(f"/proc/{lab.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def test_a_multipart_upload_keeps_its_class_and_its_bytes(lab: S3Lab, s3: Any, bucket: str) -> None:
    body = os.urandom(13 * MIB)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    mark = lab.mark()
    s3.upload_fileobj(io.BytesIO(body), bucket, "v", ExtraArgs={"StorageClass": "DEEP_ARCHIVE"}, Config=config)
    entries = lab.requests(mark)
    assert sorted(entry["operation"] for entry in entries) == [
        "CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart", "UploadPart", "UploadPart",
    ]  # fmt: skip
    assert {entry["storage_class"] for entry in entries} == {"DEEP_ARCHIVE"}
    billed = {entry["operation"]: entry["billed_class"] for entry in entries}
    assert billed == {
        "CreateMultipartUpload": "STANDARD", "UploadPart": "STANDARD", "CompleteMultipartUpload": "DEEP_ARCHIVE",
    }  # fmt: skip
    assert lab.state(bucket)[0]["storage_class"] == "DEEP_ARCHIVE"
    assert refused(s3.get_object, Bucket=bucket, Key="v")[1] == "InvalidObjectState"
    s3.restore_object(Bucket=bucket, Key="v", RestoreRequest={"Days": 1})
    lab.advance(hours=13)
    assert s3.get_object(Bucket=bucket, Key="v")["Body"].read() == body
    low, high = 5 * MIB - 3, 10 * MIB + 3
    assert s3.get_object(Bucket=bucket, Key="v", Range=f"bytes={low}-{high}")["Body"].read() == body[low : high + 1]


def test_uploads_can_be_aborted_and_unknown_ones_are_404(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    part = {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **part)[:2] == (404, "NoSuchUpload")


def test_a_copy_of_a_large_object_and_its_source_are_independent(s3: Any, bucket: str) -> None:
    body = os.urandom(MIB)
    s3.put_object(Bucket=bucket, Key="a", Body=body, Metadata={"job": "web01"})
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    s3.put_object(Bucket=bucket, Key="a", Body=b"other")
    copy = s3.get_object(Bucket=bucket, Key="b")
    assert (copy["Body"].read(), copy["Metadata"]) == (body, {"job": "web01"})


def test_metadata_and_tags_are_kept(s3: Any, bucket: str) -> None:
    metadata = {"job": "web01", "with_underscore": "1"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata=metadata, Tagging="a=1", ContentType="text/plain")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["Metadata"], head["ContentType"]) == (metadata, "text/plain")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="other")["Metadata"] == {}


def test_damage_on_the_way_is_noticed(s3: Any, bucket: str) -> None:
    wrong = base64.b64encode(b"0" * 16).decode()
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", ContentMD5=wrong)[:2] == (400, "BadDigest")
    wrong = base64.b64encode(b"0" * 4).decode()
    for body in (b"x", b"x" * MIB):
        arguments = {"Bucket": bucket, "Key": "k", "Body": body, "ChecksumCRC32": wrong}
        assert refused(s3.put_object, **arguments)[:2] == (400, "BadDigest")
    assert refused(s3.head_object, Bucket=bucket, Key="k")[0] == 404


def signed_put(lab: S3Lab, bucket: str, key: str, headers: dict[str, str], payload: str) -> AWSRequest:
    """A PUT signed by botocore with a given kind of payload."""
    request = AWSRequest("PUT", f"{lab.endpoint_url}/{bucket}/{key}", headers=headers)
    signer = S3SigV4Auth(Credentials(lab.access_key, lab.secret_key), "s3", lab.region)
    signer.payload = lambda _request: payload
    signer.add_auth(request)
    return request


@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_aws_chunked_with_a_trailing_checksum_in_http_chunks(lab: S3Lab, s3: Any, bucket: str, size: int) -> None:
    # What boto3 sends over https: aws-chunked inside of chunked, and the checksum in the trailer.
    body = os.urandom(size)
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    headers = {"x-amz-trailer": "x-amz-checksum-crc32", "content-encoding": "aws-chunked"}
    headers |= {"x-amz-decoded-content-length": str(size), "x-amz-sdk-checksum-algorithm": "CRC32"}
    request = signed_put(lab, bucket, "chunked", headers, payload)
    wrapper = AwsChunkedWrapper(io.BytesIO(body), Crc32Checksum, "x-amz-checksum-crc32", chunk_size=64 * 1024)
    connection = http.client.HTTPConnection(urlsplit(lab.endpoint_url).netloc)
    sent = dict(request.headers.items()) | {"Transfer-Encoding": "chunked"}
    connection.request("PUT", f"/{bucket}/chunked", iter(wrapper), sent, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    answer = s3.get_object(Bucket=bucket, Key="chunked", ChecksumMode="ENABLED")
    assert answer["Body"].read() == body
    assert answer["ChecksumCRC32"] == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    assert "ContentEncoding" not in answer


def test_a_wrong_trailing_checksum_is_noticed(lab: S3Lab, s3: Any, bucket: str) -> None:
    framed = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    headers = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": "3"}
    request = signed_put(lab, bucket, "k", headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    connection = http.client.HTTPConnection(urlsplit(lab.endpoint_url).netloc)
    connection.request("PUT", f"/{bucket}/k", framed, dict(request.headers.items()))
    response = connection.getresponse()
    assert (response.status, b"BadDigest" in response.read()) == (400, True)
    connection.close()
    assert lab.state(bucket) == []


def test_signed_chunks_are_unpacked(lab: S3Lab, s3: Any, bucket: str) -> None:
    # What minio-go and the Go SDK of rclone send over http.
    signature = "0" * 64
    framed = f"5;chunk-signature={signature}\r\nhello\r\n0;chunk-signature={signature}\r\n\r\n".encode()
    headers = {"x-amz-decoded-content-length": "5", "content-encoding": "aws-chunked"}
    request = signed_put(lab, bucket, "k", headers, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    connection = http.client.HTTPConnection(urlsplit(lab.endpoint_url).netloc)
    connection.request("PUT", f"/{bucket}/k", framed, dict(request.headers.items()))
    assert connection.getresponse().status == 200
    connection.close()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_one_connection_carries_many_requests(lab: S3Lab) -> None:
    connection = http.client.HTTPConnection(urlsplit(lab.endpoint_url).netloc)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("GET", "/", headers={"Host": "lab"})
        response = connection.getresponse()
        response.read()
        assert (response.version, response.status, connection.sock is first) == (11, 403, True)
    connection.close()


def test_damage_at_rest_reaches_the_reader(lab: S3Lab, s3: Any, bucket: str) -> None:
    for key, size in (("small", 100), ("large", MIB)):
        body = os.urandom(size)
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        s3.copy_object(Bucket=bucket, Key=f"{key}-copy", CopySource={"Bucket": bucket, "Key": key})
        before = {entry["key"]: entry for entry in lab.state(bucket)}[key]
        offset = lab.corrupt(bucket, key)
        after = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert len(after) == size
        assert [index for index in range(size) if after[index] != body[index]] == list(range(offset, offset + 16))
        assert {entry["key"]: entry for entry in lab.state(bucket)}[key] == before
        assert s3.get_object(Bucket=bucket, Key=f"{key}-copy")["Body"].read() == body


def test_seeded_objects_read_as_zeros_of_their_size(lab: S3Lab, s3: Any, bucket: str) -> None:
    lab.seed(bucket, "z", 1, 3 * MIB, "STANDARD")
    assert s3.get_object(Bucket=bucket, Key="z000000")["Body"].read() == bytes(3 * MIB)


def test_a_seeded_object_is_read_as_any_other_is(lab: S3Lab, s3: Any, bucket: str) -> None:
    (key, _last) = lab.seed(bucket, "z", 1, 1000, "STANDARD")
    short = s3.get_object(Bucket=bucket, Key=key)
    checked = s3.get_object(Bucket=bucket, Key=key, IfMatch=short["ETag"])  # by the long way
    told = [reply.pop("ResponseMetadata")["HTTPHeaders"] for reply in (short, checked)]
    assert short.pop("Body").read() == checked.pop("Body").read() == bytes(1000)
    assert short == checked
    own = {"date", "x-amz-request-id", "x-amz-id-2", "x-amzn-requestid"}
    assert told[0].keys() - own == told[1].keys() - own
    assert {name: told[0][name] for name in told[0].keys() - own} == {
        name: told[1][name] for name in told[1].keys() - own
    }


def test_a_client_may_hold_back_its_body(lab: S3Lab, bucket: str) -> None:
    # With Expect: 100-continue a refusal must come before the body does.
    connection = http.client.HTTPConnection(urlsplit(lab.endpoint_url).netloc, timeout=60)
    connection.putrequest("PUT", f"/{bucket}/k")
    connection.putheader("Content-Length", str(1 << 40))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.getresponse().status == 403
    connection.close()


def test_an_unsigned_payload_is_accepted(lab: S3Lab, bucket: str) -> None:
    client = lab.client(config=Config(s3={"addressing_style": "path", "payload_signing_enabled": False}))
    client.put_object(Bucket=bucket, Key="k", Body=b"x" * MIB)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x" * MIB
