"""Thaws of very many objects: ours, a loop over boto3, rclone and the AWS command line, on one server in one run."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import contestants
from bench.contestants import Stage
from bench.measure import Usage, process
from lab import aws_cli
from lab.places import COLLECTIONS, LAB
from lab.s3 import rush
from lab.s3.client_api import S3Lab

OURS, LOOP, RCLONE, AWS = "glacier_restore", "a loop over boto3", "rclone backend restore", "aws s3api restore-object"
# Objects of each, as many as make it clear how fast it is.
COUNTS = {OURS: 100_000, LOOP: 5_000, RCLONE: 5_000, AWS: 100}
# What we promise, and what the server must stand for that to mean something.
LEAST_ACCEPTED, MOST_MB, LISTINGS, LEAST_SERVED = 950, 300, 100, 2000
# 1,000 as Amazon, and what is blurred: the log has a request a moment after it was decided upon.
MOST_IN_A_SECOND = 1010
_OBJECT_BYTES = 45_000_000
_CEILING_REQUESTS = 10_000
_LOOP = """
import boto3, botocore.config, sys
patient = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 12})
client = boto3.client("s3", endpoint_url=sys.argv[1], config=patient)
request = {"Days": 3, "GlacierJobParameters": {"Tier": "Bulk"}}
for number in range(int(sys.argv[4])):
    client.restore_object(Bucket=sys.argv[2], Key=f"{sys.argv[3]}{number:06d}", RestoreRequest=request)
"""


@dataclass
class Thaw:
    """What a contestant asked for, by the server's log."""

    usage: Usage
    accepted: int
    refused: int
    per_second: float
    listings: int
    lost: int


@contextmanager
def stage() -> Iterator[Stage]:
    """A server of its own, so that what is seeded goes with it."""
    with S3Lab() as s3, tempfile.TemporaryDirectory(prefix="bench-", dir=LAB / "bench") as scratch:
        s3.client().create_bucket(Bucket="thaws")
        yield Stage(Path(scratch), "thaws", s3, Path(scratch))


# --- the server -----------------------------------------------------------------------------------------------------


def ceiling(s3: S3Lab, bucket: str) -> tuple[float, int, int]:
    """Requests that the server answers in a second; the most that it accepts in one of a rush, and its refusals."""
    s3.seed(bucket, "ceiling-", 2 * _CEILING_REQUESTS, _OBJECT_BYTES)
    before = s3.restore_limit(None)
    free = _rush(s3, bucket, range(_CEILING_REQUESTS))
    s3.restore_limit(before)
    limited = _rush(s3, bucket, range(_CEILING_REQUESTS, 2 * _CEILING_REQUESTS))
    accepted = [one["time"] for one in limited if one["status"] == 202]
    return _rate(free), _most_in_a_second(accepted), len(limited) - len(accepted)


def _rush(s3: S3Lab, bucket: str, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Requests as fast as the server answers; what its log says of them."""
    mark = s3.mark()
    rush.restores(s3, bucket, (f"ceiling-{number:06d}" for number in numbers), "Bulk", 3)
    return s3.requests(mark)


def _rate(entries: list[dict[str, Any]]) -> float:
    """Per second, from the first to the last."""
    times = sorted(one["time"] for one in entries)
    return (len(times) - 1) / (times[-1] - times[0])


def _most_in_a_second(times: list[float]) -> int:
    """The most in any second."""
    ordered, first, most = sorted(times), 0, 0
    for last, time_ in enumerate(ordered):
        while ordered[first] <= time_ - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


# --- contestants ----------------------------------------------------------------------------------------------------


def measure(name: str, stage: Stage) -> Thaw:
    """One contestant on objects of its own, all of them frozen."""
    count, prefix = COUNTS[name], f"{name.split(maxsplit=1)[0]}/"
    stage.s3.seed(stage.bucket, prefix, count, _OBJECT_BYTES)
    time.sleep(1.1)  # the second before is another's
    mark = stage.s3.mark()
    usage = _CONTESTANTS[name](stage, prefix, count)
    entries = stage.s3.requests(mark)
    asked = [one for one in entries if one["operation"] == "RestoreObject"]
    accepted = [one for one in asked if one["status"] == 202]
    states = Counter(entry["state"] for entry in stage.s3.state(stage.bucket, prefix))
    return Thaw(
        usage=usage,
        accepted=len(accepted),
        refused=len(asked) - len(accepted),
        per_second=_rate(accepted),
        listings=sum(one["operation"].startswith("ListObjects") for one in entries),
        lost=count - states["thawing"],
    )


def look_again(stage: Stage) -> tuple[int, int]:
    """The same task once all is thawed: how often it lists, and what it asks for besides."""
    stage.s3.advance(hours=49)
    mark = stage.s3.mark()
    _ours(stage, f"{OURS}/", COUNTS[OURS])
    asked = Counter(one["operation"] for one in stage.s3.requests(mark))
    listings = asked.pop("ListObjectsV2")
    return listings, sum(asked.values())


def _ours(stage: Stage, prefix: str, _count: int) -> Usage:
    arguments = {
        "bucket": stage.bucket,
        "prefix": prefix,
        "tier": "Bulk",
        "days": 3,
        "wait": False,
        "limit": 10,
        "credentials": {"access_key": stage.s3.access_key, "secret_key": stage.s3.secret_key},
        "endpoint_url": stage.s3.endpoint_url,
        "region": stage.s3.region,
    }
    paths = os.pathsep.join([str(COLLECTIONS), os.environ.get("PYTHONPATH", "")])
    argv = [sys.executable, "-m", f"{contestants.MODULES}.glacier_restore"]
    given = json.dumps({"ANSIBLE_MODULE_ARGS": arguments})
    return process(argv, {**os.environ, "PYTHONPATH": paths}, stage.s3, stdin=given)


def _loop(stage: Stage, prefix: str, count: int) -> Usage:
    argv = [sys.executable, "-c", _LOOP, stage.s3.endpoint_url, stage.bucket, prefix, str(count)]
    return process(argv, contestants.environment(stage), stage.s3)


def _rclone(stage: Stage, prefix: str, _count: int) -> Usage:
    where = f"lab:{stage.bucket}/{prefix.rstrip('/')}"
    argv = ["rclone", "backend", "restore", where, "-o", "priority=Bulk", "-o", "lifetime=3"]
    return process(argv, contestants.rclone_environment(stage), stage.s3)


def _aws(stage: Stage, prefix: str, count: int) -> Usage:
    words = ["s3api", "--endpoint-url", stage.s3.endpoint_url, "restore-object", "--bucket", stage.bucket]
    words += ["--restore-request", "Days=3,GlacierJobParameters={Tier=Bulk}", "--key"]
    loop = f'for number in $(seq -f %06.0f 0 {count - 1}); do "$@" "{prefix}$number" || exit 1; done'
    return process(["sh", "-c", loop, "sh", str(aws_cli.AWS), *words], contestants.environment(stage), stage.s3)


_CONTESTANTS = {OURS: _ours, LOOP: _loop, RCLONE: _rclone, AWS: _aws}
