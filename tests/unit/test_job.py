"""job.py: what passes, what is refused, and what is made of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import NO_LIMITS, Job, parse_target
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import NO_PREFIXES, FilePrefixes
from unit.stage import job_params

PART = st.text("abcXYZ019-_. ", min_size=1, max_size=8)

RULES: dict[str, Any] = {
    "keep_fulls": 8,
    "older_than": None,
    "keep_incrementals_of": None,
    "orphans": False,
    "orphan_age": "7D",
}
PAIR = {"access_key": "CLEAN", "secret_key": "secret-of-cleanup"}
ON_HOST = {"retention": RULES, "cleanup_on": "host", "cleanup_credentials": PAIR}


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
        ({"source": "/srv/\0"}, "or a NUL"), ({"region": "-x"}, "not the name of a Region"),
        ({"region": "eu\nx = 1"}, "not the name of a Region"), ({"region": ""}, "not the name of a Region"),
        ({"retries": 0}, "1 to"), ({"keep_logs": 0}, "1 to"), ({"full_if_n_inc": 0}, "1 to"),
        ({"compression_level": 0}, "1 to 9"), ({"compression_level": 10}, "1 to 9"),
        ({"extra_args": ["--volsize", "3"]}, "In its place: job.volume_size"),
        ({"file_prefixes": {"archive": "a b"}}, r"job\.file_prefixes\.archive 'a b' holds more than"),
        ({"file_prefixes": {"manifest": "a/"}}, r"job\.file_prefixes\.manifest"),
        ({"file_prefixes": {"signature": "x" * 101}}, r"job\.file_prefixes\.signature"),
        ({"adopt": {"archive_dir": "config", "archive_name": "x"}}, r"job\.adopt\.archive_dir 'config' is not an abs"),
        ({"adopt": {"archive_dir": "/config", "archive_name": "a/b"}}, "is not the name of a directory"),
        ({"adopt": {"archive_dir": "/config", "archive_name": ".."}}, "is not the name of a directory"),
        ({"adopt": {"source_path": "data"}}, r"job\.adopt\.source_path 'data' is not an absolute"),
        ({"adopt": {"source_path": "/"}}, "begin a new chain"), ({"adopt": {"source_path": "/usr"}}, "begin a new"),
        ({"adopt": {"source_path": "/etc/"}}, "begin a new"), ({"adopt": {"source_path": "//opt"}}, "begin a new"),
        ({"limits": {"memory": 1}}, r"job\.limits\.memory is 1"), ({"limits": {"pids": 3}}, r"job\.limits\.pids"),
        ({"limits": {"io_weight": 1001}}, "10 to 1000"), ({"limits": {"upload_rate": 0}}, r"job\.limits\.upload_rate"),
        ({"limits": {"cpus": 0}}, "a number above 0"), ({"limits": {"cpus": -1.0}}, "a number above 0"),
        ({"server_side_encryption": {"mode": "AES256", "kms_key_id": "x"}}, "it would not be used"),
        ({"server_side_encryption": {"mode": "aws:kms", "kms_key_id": ""}}, "is not the ID, ARN or alias"),
        ({"server_side_encryption": {"mode": "aws:kms", "kms_key_id": "-x"}}, "is not the ID, ARN or alias"),
        ({"retention": {**RULES, "keep_fulls": None}}, r"job\.retention: None of keep_fulls"),
        ({"retention": {**RULES, "keep_fulls": 0}}, r"job\.retention\.keep_fulls is 0"),
        ({**ON_HOST, "cleanup_credentials": None}, r"job\.cleanup_credentials is missing"),
        ({**ON_HOST, "scheduler": "container"}, "a keeper do"), ({**ON_HOST, "scheduler": "none"}, "a keeper do"),
        ({"cleanup_credentials": {"access_key": "A", "secret_key": "b c"}}, r"cleanup_credentials\.secret_key is"),
        ({"scheduler": "container", "hooks": {"before": ["x"]}}, r"job\.hooks are commands of the host"),
        ({"scheduler": "container", "hooks": {"after": ["x"]}}, r"job\.hooks are commands of the host"),
        ({"scheduler": "container", "schedule": {"on_failure": ["x.service"]}}, r"schedule\.on_failure names"),
        ({"scheduler": "container", "schedule": {"backup": "*-*-* 03:00:00"}}, r"schedule\.backup is .* five fields"),
        ({"scheduler": "container", "schedule": {"integrity": "never daily"}}, r"schedule\.integrity is"),
        ({"scheduler": "container", "schedule": {"integrity": "quarterly"}}, r"one of daily, hourly, monthly, weekly"),
    ],
)  # fmt: skip
def test_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        job(**changes)


@pytest.mark.parametrize("text", ["never", "Daily", "daily weekly", "30 3 * * MON-FRI"])
def test_what_a_containers_scheduler_knows(text: str) -> None:
    assert job(scheduler="container", schedule={"backup": text, "integrity": text}).scheduler == "container"


def test_who_cleans_up() -> None:
    assert not job().cleans_up
    assert not job(retention=RULES).cleans_up
    assert not job(cleanup_on="host").cleans_up, "a default for all jobs of a group"
    made = job(**ON_HOST)
    assert made.cleans_up
    assert made.retention
    assert made.retention.keep_fulls == 8
    assert "secret-of" not in repr(made)


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


def test_a_chain_of_another_tool_is_taken_as_it_is() -> None:
    made = job(
        source="/srv/data",
        hostname="backupname",
        file_prefixes={"archive": "archive-h-", "manifest": "manifest-h-", "signature": None},
        adopt={
            "archive_dir": "/opt/backup//config/",
            "archive_name": "0f" * 16,
            "source_path": "/mnt/backup/src/data/",
        },
    )
    assert (made.archive_dir, made.archive_name, made.archive) == (
        "/opt/backup/config", "0f" * 16, "/opt/backup/config/" + "0f" * 16,
    )  # fmt: skip
    assert made.source_in_container == "/mnt/backup/src/data"
    assert made.file_prefixes == FilePrefixes("archive-h-", "manifest-h-", "")
    assert made.temp_dir == "/var/lib/permafrost/web01-data/tmp"
    assert job(adopt={"source_path": "/mnt"}).archive_dir == job().archive_dir


@pytest.mark.parametrize("path", ["/mnt", "/etc/nginx", "/usr/share/doc", "/optional", "/run-it", "/home"])
def test_a_source_may_be_seen_where_it_hides_nothing(path: str) -> None:
    assert job(adopt={"source_path": path}).source_in_container == path


def test_without_a_group_nothing_of_it_counts() -> None:
    made = job(file_prefixes={"archive": "", "manifest": None, "signature": None}, limits={"cpus": None})
    assert made.file_prefixes == NO_PREFIXES
    assert made.limits == NO_LIMITS
    assert (made.sse, made.kms_key_id, made.rules, made.extra_args) == (None, None, (), ())


@given(st.integers(-5, 1200), st.sampled_from(["memory", "pids", "io_weight", "upload_rate"]))
def test_a_limit_is_taken_as_given_or_refused_with_its_range(number: int, name: str) -> None:
    try:
        assert getattr(job(limits={name: number}).limits, name) == number
    except BadInput as error:
        low, high = (int(word) for word in re.findall(r"(\d+) to (\d+)", error.what)[0])
        assert not low <= number <= high
