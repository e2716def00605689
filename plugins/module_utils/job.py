# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job: one source tree of one host, going to one key prefix of one bucket.

Pure. schema.py has the options; here they are checked and become a value that cannot be wrong any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import checks, extra_args, selection
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import Credentials, checked_credentials
from ansible_collections.permafrost.backup.plugins.module_utils.encryption import Encryption, checked_encryption
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import NO_PREFIXES, FilePrefixes
from ansible_collections.permafrost.backup.plugins.module_utils.policy import NO_RULE, Policy, checked_policy
from ansible_collections.permafrost.backup.plugins.module_utils.reporting import Reports, checked_reports

# What a source must not hide from the container: the program and its libraries, the kernel's trees, our own places.
_CONTAINER_PLACES = (
    "/bin", "/dev", "/etc", "/lib", "/lib64", "/opt/duplicity", "/permafrost", "/proc", "/run", "/sbin", "/sys", "/tmp",
    "/usr/bin", "/usr/lib", "/usr/local", "/usr/sbin",
)  # fmt: skip
# Where containers see the source: the host's path below it, so that duplicity notices when it is another one.
SOURCE = "/source"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
# Amazon S3 User Guide, "General purpose bucket naming rules".
_TARGET = re.compile(r"(?:boto3\+)?s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>.*[^/].*)\Z")
# duplicity puts a prefix into regular expressions as it is, and into names.
_FILE_PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,100}\Z")
# A volume may outgrow volume_size by a file's last block and by compression of what does not compress.
CHUNK_MARGIN_MB = 64
# Amazon S3 User Guide, "Amazon S3 multipart upload limits": a part, and a single PUT, has at most 5 GiB.
_MAX_CHUNK_MB = 5120


@dataclass(frozen=True)
class Limits:
    """What a container may take: CPUs, MB of memory, processes, weight of disk I/O (10 to 1000), MB/s of upload."""

    cpus: float | None = None
    memory: int | None = None
    pids: int | None = None
    io_weight: int | None = None
    upload_rate: int | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Job:
    """A checked job. Sizes in MB as duplicity counts them (1024 * 1024 bytes)."""

    name: str
    source: str | None
    source_in_container: str
    rules: tuple[selection.Rule, ...]
    one_file_system: bool
    bucket: str
    prefix: str
    hostname: str
    file_prefixes: FilePrefixes
    archive_dir: str
    archive_name: str
    storage_class: str
    volume_size: int
    multipart_chunk_size: int
    concurrency: int
    compression: bool
    compression_level: int | None
    full_if_older_than: str
    full_if_n_inc: int | None
    skip_if_no_change: bool
    on_unreadable: str
    encryption: Encryption
    sse: str | None
    kms_key_id: str | None
    credentials: Credentials | None
    endpoint_url: str | None
    region: str | None
    ca_bundle: str | None
    retention: Policy | None
    cleanup_on: str
    cleanup_credentials: Credentials | None
    scheduler: str
    retries: int
    limits: Limits
    reports: Reports
    verbosity: str
    keep_logs: int
    progress: bool
    extra_args: tuple[str, ...]
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
    def cleans_up(self) -> bool:
        """Whether the host itself deletes what is old."""
        return self.cleanup_on == "host" and self.retention is not None

    @property
    def encrypted(self) -> bool:
        return self.encryption.mode != "none"

    @property
    def has_credentials(self) -> bool:
        """Whether the job says itself who it is for S3. Else the role of the instance or task is to count."""
        return self.credentials is not None and self.credentials.of_its_own

    @property
    def archive(self) -> str:
        """The directory with the job's plain manifests and signatures."""
        return f"{self.archive_dir}/{self.archive_name}"

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Job:
        """Check what an argument spec cannot. Raises BadInput; ``params`` has passed the argument spec."""
        name = params["name"]
        if not _NAME.match(name):
            raise BadInput(f"job.name '{name}' is not a name: letters, digits, dot, dash and underscore, at most 63.")
        source = checks.absolute(params, "source") if params["source"] else None
        return cls(
            name=name,
            source=source,
            rules=selection.checked_rules(params["selection"], source),
            one_file_system=params["one_file_system"],
            hostname=params["hostname"] or name,
            storage_class=params["storage_class"],
            skip_if_no_change=params["skip_if_no_change"],
            on_unreadable=params["on_unreadable"],
            region=_region(params["region"]),
            reports=checked_reports(params["reports"]),
            verbosity=params["verbosity"],
            progress=params["progress"],
            image=params["image"],
            network=params["network"],
            docker_host=_docker_host(params["docker_host"]),
            **_places(params, source),
            **_volumes(params),
            **_storing(params),
            **_connecting(params),
            **_scheduling(params),
            **_cleaning(params),
        )


def _places(params: Mapping[str, Any], source: str | None) -> dict[str, Any]:
    """Directories, with those of a chain that was made without this collection in the place of our own."""
    adopt = params["adopt"] or {}
    state_dir = checks.absolute(params, "state_dir").rstrip("/") + f"/{params['name']}"
    archive_name = adopt.get("archive_name") or params["name"]
    if not _NAME.match(archive_name):
        raise BadInput(f"job.adopt.archive_name '{archive_name}' is not the name of a directory.")
    return {
        "source_in_container": _seen_at(adopt, source),
        "archive_dir": _adopted(adopt, "archive_dir") if adopt.get("archive_dir") else f"{state_dir}/archive",
        "archive_name": archive_name,
        "state_dir": state_dir,
        # A directory of its own also below a shared one: what a killed run leaves there is removed by the next.
        "temp_dir": (
            f"{checks.absolute(params, 'temp_dir')}/permafrost-{params['name']}"
            if params["temp_dir"]
            else f"{state_dir}/tmp"
        ),
    }


def _seen_at(adopt: Mapping[str, Any], source: str | None) -> str:
    if not adopt.get("source_path"):
        return SOURCE + (source or "").rstrip("/")
    path = _adopted(adopt, "source_path")
    if any(f"{place}/".startswith(f"{path}/".replace("//", "/")) for place in _CONTAINER_PLACES):
        raise BadInput(f"job.adopt.source_path '{path}' holds what the container itself needs: begin a new chain.")
    return path


def _adopted(adopt: Mapping[str, Any], option: str) -> str:
    return checks.absolute(adopt, option, "job.adopt")


def _volumes(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "volume_size": checks.between(params, "volume_size", 1, _MAX_CHUNK_MB - CHUNK_MARGIN_MB),
        "multipart_chunk_size": _chunk(params),
        "concurrency": checks.between(params, "concurrency", 0, 64),
        "compression": params["compression"],
        "compression_level": _optional(params, "compression_level", 1, 9),
        "full_if_older_than": checks.age(params, "full_if_older_than"),
        "full_if_n_inc": _optional(params, "full_if_n_inc", 1, 10000),
        "limits": _limits(params["limits"] or {}),
        "keep_logs": checks.between(params, "keep_logs", 1, 10000),
        "extra_args": extra_args.checked_extra_args(params["extra_args"] or ()),
    }


def _storing(params: Mapping[str, Any]) -> dict[str, Any]:
    bucket, prefix = parse_target(params["target"])
    open_words = (params["name"], params["source"] or "", params["target"])
    sse = params["server_side_encryption"] or {}
    return {
        "bucket": bucket,
        "prefix": prefix,
        "file_prefixes": checked_file_prefixes(params["file_prefixes"]),
        "encryption": checked_encryption(params["encryption"], open_words),
        "sse": sse.get("mode"),
        "kms_key_id": _kms_key(sse),
    }


def _connecting(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "credentials": checked_credentials(params["credentials"]),
        "endpoint_url": checks.endpoint(params["endpoint_url"]),
        "ca_bundle": checks.absolute(params, "ca_bundle") if params["ca_bundle"] else None,
        "retries": checks.between(params, "retries", 1, 100),
    }


def _scheduling(params: Mapping[str, Any]) -> dict[str, Any]:
    """A container's own scheduler cannot reach the host, so what the host would do must not be left out unseen."""
    if params["scheduler"] == "container":
        hooks, schedule = params["hooks"] or {}, params["schedule"] or {}
        if hooks.get("before") or hooks.get("after"):
            raise BadInput("job.hooks are commands of the host, and with job.scheduler container nothing runs them.")
        if schedule.get("on_failure"):
            raise BadInput("job.schedule.on_failure names units, and with job.scheduler container nothing starts them.")
        for option in ("backup", "integrity"):
            checks.container_schedule(f"job.schedule.{option}", schedule.get(option) or "daily")
    return {"scheduler": params["scheduler"]}


def _cleaning(params: Mapping[str, Any]) -> dict[str, Any]:
    retention = checked_policy(params["retention"], "job.retention.") if params["retention"] else None
    if params["retention"] and retention is None:
        raise BadInput(f"job.retention: {NO_RULE}.")
    credentials = checked_credentials(params["cleanup_credentials"], "cleanup_credentials")
    if retention and params["cleanup_on"] == "host":
        if params["scheduler"] != "systemd":
            raise BadInput(
                "job.cleanup_on is host, which needs the units of job.scheduler systemd: let a keeper do it."
            )
        if credentials is None:
            raise BadInput("job.cleanup_on is host, and job.cleanup_credentials is missing: a backup's do not count.")
    return {"retention": retention, "cleanup_on": params["cleanup_on"], "cleanup_credentials": credentials}


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


def _chunk(params: Mapping[str, Any]) -> int:
    """A little above the volume, so that a volume is one PUT: each part of a multipart upload is billed."""
    if params["multipart_chunk_size"] is None:
        return int(params["volume_size"]) + CHUNK_MARGIN_MB
    return checks.between(params, "multipart_chunk_size", 5, _MAX_CHUNK_MB)


def _optional(params: Mapping[str, Any], option: str, low: int, high: int) -> int | None:
    return None if params[option] is None else checks.between(params, option, low, high)


def _limits(options: Mapping[str, Any]) -> Limits:
    # The least that the engine takes, and what one machine can have.
    bounds = {"memory": (16, 1 << 24), "pids": (16, 1 << 22), "io_weight": (10, 1000), "upload_rate": (1, 100_000)}
    given = {name: value for name, value in options.items() if value is not None}
    for name, (low, high) in bounds.items():
        if not low <= given.get(name, low) <= high:
            raise BadInput(f"job.limits.{name} is {given[name]}: {low} to {high} is wanted.")
    if given.get("cpus", 1) <= 0:
        raise BadInput(f"job.limits.cpus is {given['cpus']}: a number above 0 is wanted, such as 0.5.")
    return Limits(**given)


def _kms_key(sse: Mapping[str, Any]) -> str | None:
    key: str | None = sse.get("kms_key_id")
    if key is None:
        return None
    if sse["mode"] != "aws:kms":
        raise BadInput(f"job.server_side_encryption has a kms_key_id, but mode {sse['mode']}: it would not be used.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9:/_-]*", key):
        raise BadInput(f"job.server_side_encryption.kms_key_id '{key}' is not the ID, ARN or alias of a key.")
    return key


def checked_file_prefixes(options: Mapping[str, Any] | None) -> FilePrefixes:
    """The file_prefixes option."""
    given = {name: value for name, value in (options or {}).items() if value}
    for name, value in given.items():
        if not _FILE_PREFIX.match(value):
            raise BadInput(
                f"job.file_prefixes.{name} '{value}' holds more than letters, digits, dots, dashes and underscores."
            )
    if not given:
        return NO_PREFIXES
    return FilePrefixes(given.get("archive", ""), given.get("manifest", ""), given.get("signature", ""))


def _region(name: str | None) -> str | None:
    """It becomes a word of the command line and a line of a file."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise BadInput(f"job.region '{name}' is not the name of a Region such as eu-central-1.")
    return name


def _docker_host(url: str) -> str:
    if not url.startswith("unix:///"):
        raise BadInput(f"job.docker_host '{url}' is not a local engine: mounts would name paths of another machine.")
    return url
