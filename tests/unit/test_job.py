"""job.py: what passes, what is refused, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job, parse_target
from unit.stage import job_params

PART = st.text("abcXYZ019-_. ", min_size=1, max_size=8)


def job(**changes: Any) -> Job:
    return Job.from_params(job_params(**changes))


def test_defaults() -> None:
    made = job()
    assert (made.bucket, made.prefix, made.url) == ("acme-dr", "web01/data", "s3://acme-dr/web01/data")
    assert made.key_prefix == "web01/data/"
    assert made.hostname == "web01-data"
    assert made.archive_dir == "/var/lib/permafrost/web01-data/archive"
    assert made.temp_dir == "/var/lib/permafrost/web01-data/tmp"
    assert not made.encrypted
    assert made.multipart_chunk_size > made.volume_size


@given(st.lists(PART, min_size=1, max_size=4), st.sampled_from(["", "boto3+"]), st.integers(0, 2), st.integers(0, 2))
def test_a_target_is_a_bucket_and_a_prefix_without_outer_slashes(
    parts: list[str], scheme: str, before: int, between: int
) -> None:
    prefix = ("/" * (between + 1)).join(parts)
    assert parse_target(f"{scheme}s3://acme-dr/{'/' * before}{prefix}{'/' * between}") == ("acme-dr", "/".join(parts))


@pytest.mark.parametrize(
    "target",
    ["", "acme-dr/web", "s3://acme-dr", "s3://acme-dr/", "s3://acme-dr//", "s3://Acme/web", "s3://a/web", "http://b/c"],
)
def test_no_target(target: str) -> None:
    with pytest.raises(BadInput, match="is no target"):
        job(target=target)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": ""}, "is not a name"), ({"name": "../x"}, "is not a name"), ({"name": "a" * 64}, "is not a name"),
        ({"name": "a\n"}, "is not a name"),
        ({"source": "srv"}, "is not an absolute path"), ({"source": "/srv/../etc"}, "holds '..'"),
        ({"state_dir": "state"}, "is not an absolute path"), ({"temp_dir": "tmp"}, "is not an absolute path"),
        ({"ca_bundle": "ca.pem"}, "is not an absolute path"),
        ({"volume_size": 0}, "1 to"), ({"volume_size": 6000}, "1 to"), ({"multipart_chunk_size": 4}, "5 to"),
        ({"concurrency": -1}, "0 to"), ({"full_if_older_than": "monthly"}, "is not an interval"),
        ({"encryption": {"mode": "none", "passphrase": "x"}}, "nothing would be encrypted"),
        ({"encryption": {"mode": "symmetric", "passphrase": ""}}, "is empty, has more"),
        ({"encryption": {"mode": "symmetric", "passphrase": "a\nb"}}, "is empty, has more"),
        ({"encryption": {"mode": "symmetric", "passphrase": "a\0b"}}, "holds a NUL"),
        ({"encryption": {"mode": "symmetric", "passphrase": "web01"}}, "anybody could guess"),
        ({"endpoint_url": "http://user:secret@host"}, "is not a plain URL"),
        ({"credentials": {"access_key": "A", "secret_key": "b\nc", "session_token": None}}, "secret_key is empty, or"),
        ({"target": "s3://acme-dr/web?x"}, "holds '\\?'"), ({"target": "s3://acme-dr/a%20b"}, "holds '\\?'"),
        ({"endpoint_url": "s3.example.com"}, "is not a plain URL"),
        ({"docker_host": "tcp://h:1"}, "is not a local engine"),
    ],
)  # fmt: skip
def test_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        job(**changes)


def test_a_refused_passphrase_is_not_told() -> None:
    with pytest.raises(BadInput) as caught:
        job(encryption={"mode": "symmetric", "passphrase": "first-line\nsecond-line"})
    assert "first-line" not in caught.value.message + str(caught.value.facts)


@pytest.mark.parametrize("source", ["/srv/data/", "//srv//data", "/srv/./data"])
def test_one_source_is_written_in_one_way(source: str) -> None:
    assert job(source=source).source == "/srv/data"


def test_own_places_win() -> None:
    made = job(hostname="web", temp_dir="/big", multipart_chunk_size=100, state_dir="/state/")
    assert (made.hostname, made.temp_dir, made.multipart_chunk_size) == ("web", "/big/permafrost-web01-data", 100)
    assert made.archive_dir == "/state/web01-data/archive"
