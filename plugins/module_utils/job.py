# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job: one source tree of one host, going to one key prefix of one bucket.

Pure. ``JOB_OPTIONS`` is the one schema; doc_fragments/job.py documents it and a guard test keeps the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, BadTime
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import STORAGE_CLASSES
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval

JOB_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "source": {"type": "path"},
    "target": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "storage_class": {"type": "str", "choices": list(STORAGE_CLASSES), "default": "DEEP_ARCHIVE"},
    "volume_size": {"type": "int", "default": 256},
    "multipart_chunk_size": {"type": "int"},
    "concurrency": {"type": "int", "default": 2},
    "compression": {"type": "bool", "default": True},
    "full_if_older_than": {"type": "str", "default": "4W"},
    "skip_if_no_change": {"type": "bool", "default": True},
    "on_unreadable": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    "encryption": {
        "type": "dict",
        "required": True,
        "options": {
            "mode": {"type": "str", "choices": ["none", "symmetric"], "required": True},
            "passphrase": {"type": "str", "no_log": True},
        },
        "required_if": [["mode", "symmetric", ["passphrase"]]],
    },
    "credentials": {
        "type": "dict",
        "options": {
            "access_key": {"type": "str", "required": True, "no_log": False},
            "secret_key": {"type": "str", "required": True, "no_log": True},
            "session_token": {"type": "str", "no_log": True},
        },
    },
    "endpoint_url": {"type": "str"},
    "region": {"type": "str"},
    "ca_bundle": {"type": "path"},
    "image": {"type": "str", "default": "permafrost/duplicity:latest"},
    "network": {"type": "str", "default": "host"},
    "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"},
    "state_dir": {"type": "path", "default": "/var/lib/permafrost"},
    "temp_dir": {"type": "path"},
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
# Amazon S3 User Guide, "General purpose bucket naming rules".
_TARGET = re.compile(r"(?:boto3\+)?s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>.*[^/].*)\Z")
# A volume may outgrow volume_size by a file's last block and by compression of what does not compress.
_CHUNK_MARGIN_MB = 64
# Amazon S3 User Guide, "Amazon S3 multipart upload limits": a part, and a single PUT, has at most 5 GiB.
_MAX_CHUNK_MB = 5120


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret_key: str
    session_token: str | None = None


@dataclass(frozen=True)
class Job:
    """A checked job. Sizes in MB as duplicity counts them (1024 * 1024 bytes)."""

    name: str
    source: str | None
    bucket: str
    prefix: str
    hostname: str
    storage_class: str
    volume_size: int
    multipart_chunk_size: int
    concurrency: int
    compression: bool
    full_if_older_than: str
    skip_if_no_change: bool
    on_unreadable: str
    passphrase: str | None
    credentials: Credentials | None
    endpoint_url: str | None
    region: str | None
    ca_bundle: str | None
    image: str
    network: str
    docker_host: str
    state_dir: str
    temp_dir: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def key_prefix(self) -> str:
        """What every key of this job begins with."""
        return f"{self.prefix}/"

    @property
    def encrypted(self) -> bool:
        return self.passphrase is not None

    @property
    def archive_dir(self) -> str:
        return f"{self.state_dir}/archive"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Job:
        """Check what an argument spec cannot. Raises BadInput; ``params`` has passed the argument spec."""
        name = params["name"]
        if not _NAME.match(name):
            raise BadInput(f"job.name '{name}' is not a name: letters, digits, dot, dash and underscore, at most 63.")
        bucket, prefix = parse_target(params["target"])
        state_dir = _absolute(params, "state_dir").rstrip("/") + f"/{name}"
        return cls(
            name=name,
            source=_absolute(params, "source") if params["source"] else None,
            bucket=bucket,
            prefix=prefix,
            hostname=params["hostname"] or name,
            storage_class=params["storage_class"],
            volume_size=_between(params, "volume_size", 1, _MAX_CHUNK_MB - _CHUNK_MARGIN_MB),
            multipart_chunk_size=_chunk(params),
            concurrency=_between(params, "concurrency", 0, 64),
            compression=params["compression"],
            full_if_older_than=_interval(params),
            skip_if_no_change=params["skip_if_no_change"],
            on_unreadable=params["on_unreadable"],
            passphrase=_passphrase(params),
            credentials=checked_credentials(params["credentials"]),
            endpoint_url=checked_endpoint(params["endpoint_url"]),
            region=params["region"],
            ca_bundle=_absolute(params, "ca_bundle") if params["ca_bundle"] else None,
            image=params["image"],
            network=params["network"],
            docker_host=_docker_host(params["docker_host"]),
            state_dir=state_dir,
            # A directory of its own also below a shared one: what a killed run leaves there is removed by the next.
            temp_dir=f"{_absolute(params, 'temp_dir')}/permafrost-{name}" if params["temp_dir"] else f"{state_dir}/tmp",
        )


def parse_target(target: str) -> tuple[str, str]:
    """Bucket and key prefix (without outer slashes) of ``s3://bucket/prefix``; ``boto3+s3://`` means the same."""
    match = _TARGET.match(target)
    if not match:
        raise BadInput(
            f"'{target}' is no target: s3://bucket/prefix is wanted, with a key prefix, so that no two jobs share one."
        )
    # duplicity takes its target apart as a URL, and would store under another prefix.
    if re.search(r"[?#%\x00-\x1f\x7f]", target):
        raise BadInput(f"The target '{target}' holds '?', '#', '%' or a control character: choose another prefix.")
    parts = [part for part in match["prefix"].split("/") if part]
    return match["bucket"], "/".join(parts)


def _absolute(params: Mapping[str, Any], option: str) -> str:
    value: str = params[option]
    if not value.startswith("/"):
        raise BadInput(f"job.{option} '{value}' is not an absolute path.")
    if ".." in value.split("/"):
        raise BadInput(f"job.{option} '{value}' holds '..'.")
    return "/" + "/".join(part for part in value.split("/") if part not in ("", "."))


def _between(params: Mapping[str, Any], option: str, low: int, high: int) -> int:
    value: int = params[option]
    if not low <= value <= high:
        raise BadInput(f"job.{option} is {value}: {low} to {high} is wanted.")
    return value


def _chunk(params: Mapping[str, Any]) -> int:
    """A little above the volume, so that a volume is one PUT: each part of a multipart upload is billed."""
    if params["multipart_chunk_size"] is None:
        return int(params["volume_size"]) + _CHUNK_MARGIN_MB
    return _between(params, "multipart_chunk_size", 5, _MAX_CHUNK_MB)


def _interval(params: Mapping[str, Any]) -> str:
    text: str = params["full_if_older_than"]
    try:
        interval(text)
    except BadTime:
        raise BadInput(f"job.full_if_older_than '{text}' is not an interval such as 4W, 30D or 1M.") from None
    return text


def _passphrase(params: Mapping[str, Any]) -> str | None:
    encryption = params["encryption"]
    if encryption["mode"] == "none":
        if encryption["passphrase"]:
            raise BadInput("job.encryption has a passphrase, but mode none: nothing would be encrypted.")
        return None
    passphrase: str = encryption["passphrase"]
    # gpg --passphrase-file reads the first line only: a longer passphrase would silently be cut there.
    if not passphrase or re.search(r"[\n\r\0]", passphrase):
        raise BadInput("job.encryption.passphrase is empty, has more than one line or holds a NUL.")
    # Ansible masks it wherever it occurs in a result: keys of a plan would be unusable.
    if any(passphrase in str(params[option]) for option in ("name", "source", "target")):
        raise BadInput(
            "job.encryption.passphrase is part of the job's name, source or target, so anybody could guess it."
        )
    return passphrase


def checked_endpoint(url: str | None) -> str | None:
    """The endpoint_url option. A user part would be a secret in an argv, so the message does not repeat it either."""
    if url and not re.match(r"https?://[^/\s@?#]+/?\Z", url):
        raise BadInput("endpoint_url is not a plain URL such as https://s3.example.com, without user, path or query.")
    return url


def checked_credentials(options: Mapping[str, Any] | None) -> Credentials | None:
    """The credentials option: nothing that would begin a new line in a credentials file or a header."""
    if not options:
        return None
    for name, value in options.items():
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value):
            raise BadInput(f"credentials.{name} is empty, or holds a blank, a line break or a character beyond ASCII.")
    return Credentials(**options)


def _docker_host(url: str) -> str:
    if not url.startswith("unix:///"):
        raise BadInput(f"job.docker_host '{url}' is not a local engine: mounts would name paths of another machine.")
    return url
