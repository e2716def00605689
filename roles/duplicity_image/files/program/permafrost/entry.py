"""A command line of the guide as an entry of duplicity_jobs, as far as its options have a place in a job. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.extra_args import SUCCESSORS
from permafrost.options import Item, Line

_TEXTS = {
    "--full-if-older-than": "full_if_older_than",
    "--s3-region-name": "region",
    "--s3-endpoint-url": "endpoint_url",
}
_NUMBERS = {
    "--concurrency": "concurrency",
    "--full-if-n-inc": "full_if_n_inc",
    "--num-retries": "retries",
    "--s3-multipart-chunk-size": "multipart_chunk_size",
    "--volsize": "volume_size",
}
_SWITCHES: dict[str, tuple[str, Any]] = {
    "--compression": ("compression", True),
    "--exclude-other-filesystems": ("one_file_system", True),
    "--no-compression": ("compression", False),
    "--progress": ("progress", True),
    "--s3-use-deep-archive": ("storage_class", "DEEP_ARCHIVE"),
    "--s3-use-glacier": ("storage_class", "GLACIER"),
    "--s3-use-glacier-ir": ("storage_class", "GLACIER_IR"),
    "--skip-if-no-change": ("skip_if_no_change", True),
}
_RULES = {
    "--exclude": "exclude",
    "--exclude-filelist": "exclude_list",
    "--exclude-if-present": "exclude_if_present",
    "--exclude-older-than": "exclude_older_than",
    "--exclude-regexp": "exclude_regexp",
    "--include": "include",
    "--include-filelist": "include_list",
    "--include-regexp": "include_regexp",
}
_VERBOSITY = {"0": "notice", "1": "notice", "2": "notice", "3": "notice", "4": "notice", "9": "debug"}
_LETTERS = {"e": "notice", "w": "notice", "n": "notice", "i": "info", "d": "debug"}
_KINDS = ("archive", "manifest", "signature")
# Read together, below.
_TOGETHER = {
    "", "--archive-dir", "--encrypt-key", "--encrypt-sign-key", "--file-prefix", "--hidden-encrypt-key", "--name",
    "--no-encryption", "--s3-kms-key-id", "--s3-use-server-side-encryption", "--s3-use-server-side-kms-encryption",
    "--sign-key", "--verbosity", *(f"--file-prefix-{kind}" for kind in _KINDS),
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A job's options, and what is said of those of duplicity that have no place in it."""

    job: dict[str, Any]
    remarks: tuple[str, ...]


def entry(line: Line, hostname: str, environment: Mapping[str, str]) -> Entry:
    """The job that goes on with what this command line works on."""
    job: dict[str, Any] = {"name": re.sub(r"[^A-Za-z0-9_.-]", "-", hostname).lstrip("-_.")[:63] or "backup"}
    remarks: list[str] = []
    _add_places(job, line, hostname, remarks)
    job["storage_class"] = "STANDARD"
    for item in line.items:
        if item.name not in _TOGETHER:
            _add(job, item, remarks)
    _add_verbosity(job, line)
    job["encryption"] = _encryption(line)
    if job["encryption"]["mode"] == "gpg":
        remarks.append("encryption: encrypt_keys are whole fingerprints here; public_keys: docs/encryption.md")
    _add_server_side_encryption(job, line)
    for name, option in (("AWS_ENDPOINT_URL_S3", "endpoint_url"), ("AWS_DEFAULT_REGION", "region")):
        if environment.get(name):
            job.setdefault(option, environment[name])
    if environment.get("AWS_ACCESS_KEY_ID"):
        remarks.append("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: job.credentials")
    return Entry(job, tuple(dict.fromkeys(remarks)))


def _add_places(job: dict[str, Any], line: Line, hostname: str, remarks: list[str]) -> None:
    """Source and target, and what a chain that was made with this command line is called by."""
    adopt: dict[str, str] = {}
    if line.source is not None:
        job["source"] = adopt["source_path"] = line.source
        remarks.append(f"source: name the directory of the host that is mounted at {line.source}")
    job["target"] = line.url or "s3://BUCKET/PREFIX"
    job["hostname"] = hostname
    before = line.value("--file-prefix") or ""
    prefixes = {kind: before + (line.value(f"--file-prefix-{kind}") or "") for kind in _KINDS}
    if any(prefixes.values()):
        job["file_prefixes"] = {kind: prefix for kind, prefix in prefixes.items() if prefix}
    archive = line.value("--archive-dir")
    if archive is not None and line.url is not None:
        adopt["archive_dir"] = archive
        # What duplicity takes where no --name is given.
        adopt["archive_name"] = (
            line.value("--name") or hashlib.md5(line.url.encode(), usedforsecurity=False).hexdigest()
        )
        remarks.append(f"adopt.archive_dir: name the directory of the host that is mounted at {archive}")
    if adopt:
        job["adopt"] = adopt


def _add(job: dict[str, Any], item: Item, remarks: list[str]) -> None:
    """One option that needs no other."""
    if item.name in _NUMBERS and item.value.isdigit():
        job[_NUMBERS[item.name]] = int(item.value)
    elif item.name in _TEXTS:
        job[_TEXTS[item.name]] = item.value
    elif item.name in _SWITCHES:
        option, value = _SWITCHES[item.name]
        job[option] = value
    elif item.name in _RULES:
        job.setdefault("selection", []).append({_RULES[item.name]: item.value})
    elif item.name in SUCCESSORS:
        remarks.append(f"{item.name}: {SUCCESSORS[item.name]}")
    else:
        job.setdefault("extra_args", []).extend(item.words)
    if item.name == "--s3-multipart-chunk-size":
        remarks.append("multipart_chunk_size: leave it out, and each volume is one PUT")


def _add_verbosity(job: dict[str, Any], line: Line) -> None:
    given = line.value("--verbosity")
    if given:
        job["verbosity"] = _LETTERS.get(given[0].lower()) or _VERBOSITY.get(given, "info")


def _encryption(line: Line) -> dict[str, Any]:
    """duplicity's own default is a passphrase."""
    keys = [
        item.value
        for item in line.items
        if item.name in ("--encrypt-key", "--encrypt-sign-key", "--hidden-encrypt-key")
    ]
    signer = line.value("--sign-key") or line.value("--encrypt-sign-key")
    if line.has("--no-encryption"):
        return {"mode": "none"}
    if not keys:
        return {"mode": "symmetric", "passphrase": "{{ vault_passphrase }}"}
    return {"mode": "gpg", "encrypt_keys": keys, **({"sign_key": signer} if signer else {})}


def _add_server_side_encryption(job: dict[str, Any], line: Line) -> None:
    if line.has("--s3-use-server-side-kms-encryption"):
        job["server_side_encryption"] = {"mode": "aws:kms", "kms_key_id": line.value("--s3-kms-key-id") or ""}
    elif line.has("--s3-use-server-side-encryption"):
        job["server_side_encryption"] = {"mode": "AES256"}
