"""The lab's own API: log, faults, clock, state, and the life of the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from lab_s3.helpers import frozen, refused, thaw

from lab import kills, warm
from lab.places import LabError
from lab.s3.client_api import S3Lab

TESTS = Path(__file__).resolve().parents[1]


def test_the_log_holds_each_s3_request_and_nothing_else(lab: S3Lab, s3: Any, bucket: str) -> None:
    mark = lab.mark()
    frozen(s3, bucket, "k", "GLACIER")
    s3.head_object(Bucket=bucket, Key="k")
    thaw(s3, bucket, "k", "Bulk")
    refused(s3.get_object, Bucket=bucket, Key="k")
    s3.list_objects_v2(Bucket=bucket)
    s3.list_objects(Bucket=bucket)
    s3.get_bucket_location(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    s3.list_buckets()
    lab.state(bucket)
    entries = lab.requests(mark)
    assert [(entry["operation"], entry["status"]) for entry in entries] == [
        ("PutObject", 200), ("HeadObject", 200), ("RestoreObject", 202), ("GetObject", 403), ("ListObjectsV2", 200),
        ("ListObjects", 200), ("GetBucketLocation", 200), ("PutBucketVersioning", 200), ("DeleteObjects", 200),
        ("ListBuckets", 200),
    ]  # fmt: skip
    assert [entry["seq"] for entry in entries] == list(range(mark, mark + 10))
    put, _, restore, get = entries[:4]
    assert (put["bytes_in"], put["storage_class"], put["billed_class"]) == (3, "GLACIER", "GLACIER")
    assert (put["access_key"], put["method"], put["bucket"], put["key"]) == (lab.access_key, "PUT", bucket, "k")
    assert (restore["tier"], restore["storage_class"]) == ("Bulk", "GLACIER")
    assert get["bytes_out"] > 0


def test_bytes_out_are_those_of_the_range(lab: S3Lab, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 1_000_000)
    mark = lab.mark()
    s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-9")["Body"].read()
    assert [entry["bytes_out"] for entry in lab.requests(mark)] == [10]


@pytest.mark.parametrize(("kind", "status", "code"), [("503", 503, "SlowDown"), ("500", 500, "InternalError")])
def test_an_error_strikes_what_it_is_meant_for_as_often_as_told(
    lab: S3Lab, s3: Any, bucket: str, kind: str, status: int, code: str
) -> None:
    lab.fault("PutObject", "vol", kind, count=2)
    s3.put_object(Bucket=bucket, Key="manifest", Body=b"x")
    s3.list_objects_v2(Bucket=bucket)
    for body in (b"x", b"x" * 2_000_000):
        assert refused(s3.put_object, Bucket=bucket, Key="vol1", Body=body)[:2] == (status, code)
    s3.put_object(Bucket=bucket, Key="vol1", Body=b"x")
    states = [entry["status"] for entry in lab.requests() if entry["bucket"] == bucket and entry["key"] == "vol1"]
    assert states == [status, status, 200]


def test_a_reset_drops_the_connection(lab: S3Lab, s3: Any, bucket: str) -> None:
    lab.fault("GetObject", kind="reset", count=1)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        s3.get_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    states = [entry["status"] for entry in lab.requests() if entry["bucket"] == bucket]
    assert states == [200, 200, 0, 200]


def test_latency_delays_and_then_serves(lab: S3Lab, s3: Any, bucket: str) -> None:
    lab.fault("ListObjectsV2", kind="latency", seconds=0.4, count=1)
    begun = time.monotonic()
    s3.list_objects_v2(Bucket=bucket)
    assert time.monotonic() - begun >= 0.4


def test_a_request_is_held_until_the_faults_are_cleared(lab: S3Lab, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    lab.fault("GetObject", kind="hold")
    with ThreadPoolExecutor() as pool:
        got = pool.submit(s3.get_object, Bucket=bucket, Key="k")
        assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1
        assert wait([got], 0.2).not_done
        lab.clear_faults()
        assert got.result()["Body"].read() == b"x"


def test_a_late_answer_is_to_what_was_done_at_once(lab: S3Lab, s3: Any, bucket: str) -> None:
    lab.fault("PutObject", kind="late", seconds=3600)
    hasty = lab.client(config=Config(read_timeout=1, retries={"total_max_attempts": 1}))
    mark = lab.mark()
    with pytest.raises(ReadTimeoutError):
        hasty.put_object(Bucket=bucket, Key="k", Body=b"x")
    kills.until(lambda: lab.state(bucket), "the object is stored")
    kills.until(lambda: lab.requests(mark), "the request is in the log")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_probability_strikes_some(lab: S3Lab, s3: Any, bucket: str) -> None:
    lab.fault("HeadBucket", kind="503", probability=0.5)
    mark = lab.mark()
    for _ in range(60):
        try:
            s3.head_bucket(Bucket=bucket)
        except s3.exceptions.ClientError:
            continue
    assert {entry["status"] for entry in lab.requests(mark)} == {200, 503}
    lab.clear_faults()
    mark = lab.mark()
    for _ in range(20):
        s3.head_bucket(Bucket=bucket)
    assert {entry["status"] for entry in lab.requests(mark)} == {200}


def test_a_retrying_client_rides_out_faults(lab: S3Lab, bucket: str) -> None:
    client = lab.client(config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 4}))
    lab.fault("PutObject", kind="503", count=2)
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert [entry["key"] for entry in lab.state(bucket)] == ["k"]


def test_the_clock_only_goes_forward_and_dates_objects(lab: S3Lab, s3: Any, bucket: str) -> None:
    before = lab.now()
    assert lab.advance(hours=24, seconds=1) == pytest.approx(before + 86401, abs=60)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="k")["LastModified"].timestamp() == pytest.approx(lab.now(), abs=60)
    with pytest.raises(LabError, match="backwards"):
        lab.advance(seconds=-1)


def test_the_state_tells_what_changed(lab: S3Lab, s3: Any, bucket: str) -> None:
    frozen(s3, bucket, "a/vol", "GLACIER")
    s3.put_object(Bucket=bucket, Key="b/manifest", Body=b"x")
    before = lab.state(bucket)
    assert [(entry["key"], entry["size"], entry["state"]) for entry in before] == [
        ("a/vol", 3, "frozen"), ("b/manifest", 1, "readable"),
    ]  # fmt: skip
    s3.head_object(Bucket=bucket, Key="a/vol")
    s3.list_objects_v2(Bucket=bucket)
    assert lab.state(bucket) == before
    thaw(s3, bucket, "a/vol", "Expedited")
    assert [entry["key"] for entry in lab.state(bucket, "a/")] == ["a/vol"]
    assert lab.state(bucket, "a/")[0]["state"] == "thawing"
    s3.put_object(Bucket=bucket, Key="b/manifest", Body=b"y")
    assert lab.state(bucket, "b/")[0]["etag"] != before[1]["etag"]


def test_a_wrong_control_request_says_why(lab: S3Lab) -> None:
    with pytest.raises(LabError, match="unknown kind of fault"):
        lab.fault(kind="flood")
    with pytest.raises(LabError, match="NoSuchBucket"):
        lab.state("nowhere")


def test_the_server_runs_in_the_foreground_and_cleans_up(tmp_path: Path) -> None:
    ready, data = tmp_path / "ready", tmp_path / "data"
    data.mkdir()
    command = [sys.executable, "-m", "lab.s3", "--port", "0", "--ready-file", str(ready), "--data-dir", str(data)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(TESTS)})
    try:
        kills.until(ready.exists, "the server is ready")
        told = json.loads(ready.read_text())
        assert told["pid"] == process.pid
        assert told["endpoint_url"].startswith("http://127.0.0.1:")
        assert len(list(data.iterdir())) == 1
    finally:
        process.terminate()
        process.wait(60)
    assert list(data.iterdir()) == []


def test_another_default_pair_is_no_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    start = warm.start
    monkeypatch.setattr(warm, "start", lambda *all_of_it: given.extend(all_of_it) or start(*all_of_it))
    with S3Lab(tmp_path, secret_key="a-secret-for-this-test") as lab:
        lab.client().create_bucket(Bucket="some")
        assert refused(lab.client(aws_secret_access_key="other").list_buckets)[1] == "SignatureDoesNotMatch"
    _modules, arguments, _streams, environment = given
    assert "--access-key" in arguments
    assert "a-secret-for-this-test" not in " ".join(arguments)
    assert "a-secret-for-this-test" in environment.values()


def test_a_killed_test_leaves_no_server(tmp_path: Path) -> None:
    code = "from lab.s3.client_api import S3Lab; import sys, time; lab = S3Lab.start(sys.argv[1]); print(lab.pid)"
    command = [sys.executable, "-c", f"{code}; sys.stdout.flush(); time.sleep(60)", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        process.kill()
    kills.until(lambda: not running(server), "the end of the server")


def running(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
