"""call.py, entry.py and explain.py: the guide's commands as a whole, and the job that explain makes of them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from permafrost import call, explain
from permafrost.words import Values
from unit.stage import job_params

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
URL = "boto3+s3://bucketname/backup-folder"
OPTIONS = (
    "--full-if-older-than 4W --s3-use-deep-archive --no-compression --no-encryption --progress "
    "--archive-dir /mnt/backup/src/config --s3-use-multiprocessing --volsize 1024 --verbosity i "
    '--log-file /logfiles/log-$(date "+%Y%m%d-%H%M%S").log'
)
OPTIONS_EXTRA = (
    "--asynchronous-upload --s3-european-buckets --s3-multipart-chunk-size 10 --s3-use-new-style "
    "--metadata-sync-mode partial --file-prefix-archive archive-$(hostname -f)- "
    "--file-prefix-manifest manifest-$(hostname -f)- --file-prefix-signature signature-$(hostname -f)-"
)


def surroundings(**environment: str) -> Values:
    given = {"OPTIONS": OPTIONS, "OPTIONS_EXTRA": OPTIONS_EXTRA, **environment}
    return call.prepare(Values(given, lambda text: "NOW", lambda full: "backupname"))


def explained(*words: str, name: str = "dup", **environment: str) -> str:
    values = surroundings(**environment)
    return explain.text(call.command(name, words, values), values)


def job_of(text: str) -> dict[str, Any]:
    """What explain says as YAML; it must be a job."""
    (job,) = yaml.safe_load(text[text.index("duplicity_jobs:") :])["duplicity_jobs"]
    Job.from_params(job_params(**{**job, "selection": None}))
    return job


def test_the_guides_backup() -> None:
    words = call.command("dup", ["/mnt/backup/src/data", URL], surroundings()).argv
    assert words == (
        "duplicity", "--full-if-older-than", "4W", "--s3-use-deep-archive", "--no-compression", "--no-encryption",
        "--progress", "--archive-dir", "/mnt/backup/src/config", "--volsize", "1024", "--verbosity", "i", "--log-file",
        "/logfiles/log-NOW.log", "--concurrency", "1", "--s3-multipart-chunk-size", "10", "--metadata-sync-mode",
        "partial", "--file-prefix-archive", "archive-backupname-", "--file-prefix-manifest", "manifest-backupname-",
        "--file-prefix-signature", "signature-backupname-", "/mnt/backup/src/data", URL,
    )  # fmt: skip


def test_words_of_the_command_line_are_used_as_they_are() -> None:
    given = ["restore", "--path-to-restore", "$(a) `b` $C 'd", URL, "/mnt/x y"]
    assert call.command("dup", given, surroundings(OPTIONS="", OPTIONS_EXTRA="")).argv == ("duplicity", *given)


def test_backup_and_restore_take_source_and_target_from_the_environment() -> None:
    values = surroundings(OPTIONS="", OPTIONS_EXTRA="", DST="s3://b/$(hostname)")
    assert call.command("backup", ["-v9"], values).argv == ("duplicity", "/mnt/backup/src", "s3://b/backupname", "-v9")
    assert call.command("restore", [], values).argv == ("duplicity", "restore", "s3://b/backupname", "/mnt/backup/src")
    elsewhere = surroundings(OPTIONS="", OPTIONS_EXTRA="", DST="s3://b/c", SRC="/srv/my data")
    assert call.command("backup", [], elsewhere).argv == ("duplicity", "/srv/my data", "s3://b/c")
    with pytest.raises(BadInput, match="DST is not set"):
        call.command("backup", [], surroundings())


def test_explain_tells_argv_warnings_and_a_job_that_adopts_the_chain() -> None:
    text = explained("/mnt/backup/src/data", URL)
    assert "\n--volsize\n1024\n" in text
    assert "warning: --s3-european-buckets is left out" in text
    assert job_of(text) == {
        "name": "backupname",
        "source": "/mnt/backup/src/data",
        "target": URL,
        "hostname": "backupname",
        "file_prefixes": {kind: f"{kind}-backupname-" for kind in ("archive", "manifest", "signature")},
        "adopt": {
            "source_path": "/mnt/backup/src/data",
            "archive_dir": "/mnt/backup/src/config",
            "archive_name": hashlib.md5(URL.encode()).hexdigest(),
        },
        "storage_class": "DEEP_ARCHIVE",
        "full_if_older_than": "4W",
        "compression": False,
        "progress": True,
        "volume_size": 1024,
        "concurrency": 1,
        "multipart_chunk_size": 10,
        "verbosity": "info",
        "encryption": {"mode": "none"},
    }
    assert "# --log-file: job.keep_logs" in text


def test_what_has_no_place_is_told_or_goes_to_extra_args() -> None:
    options = (
        "--copy-links --timeout 30 --tempdir /tmp/x --exclude '/src/a b' --include-regexp '\\.c$' --s3-use-ia "
        f"--volsize many --encrypt-key {KEY} --sign-key {KEY} --file-prefix p- --s3-use-server-side-encryption -v9"
    )
    text = explained("full", "/src", "s3://bucket/x", OPTIONS=options, OPTIONS_EXTRA="")
    job = job_of(text)
    assert job["extra_args"] == ["--copy-links", "--timeout", "30"]
    assert job["selection"] == [{"exclude": "/src/a b"}, {"include_regexp": "\\.c$"}]
    assert job["encryption"] == {"mode": "gpg", "encrypt_keys": [KEY], "sign_key": KEY}
    assert job["file_prefixes"] == dict.fromkeys(("archive", "manifest", "signature"), "p-")
    assert (job["server_side_encryption"], job["verbosity"]) == ({"mode": "AES256"}, "debug")
    assert job["storage_class"] == "STANDARD"
    for remark in ("# --tempdir: job.temp_dir", "# --s3-use-ia: job.storage_class", "# --volsize: job.volume_size"):
        assert remark in text


def test_explain_shows_no_secret_and_every_word_on_a_line() -> None:
    text = explained(
        "collection-status", "s3://key:geheim123@host/b", "--gpg-options=--passphrase wort", "a\nb", "",
        "x-canary-value",
        PASSPHRASE="canary-value", AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="another-canary",
    )  # fmt: skip
    for secret in ("canary", "geheim123", "wort"):
        assert secret not in text
    assert '\n"a\\nb"\n""\nx-********\n' in text
    assert "job.credentials" in text
