# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job and verb become a container: argv, environment, mounts, capabilities, secret files.

Pure, and the only place that writes a duplicity command line. There is no shell anywhere: argv is a list. Secrets are
files below ``SECRETS``, never arguments or environment.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import path_index
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

# Paths inside the container.
SOURCE = "/source"
ARCHIVE = "/permafrost/archive"
RUN = "/permafrost/run"
TEMP = "/permafrost/tmp"
RESTORE = "/permafrost/restore"
SECRETS = "/run/secrets"
CA_BUNDLE = "/permafrost/ca.pem"
LOG_FILE = "duplicity.log"
# Where secrets lie on the host while a container runs: the first of these whose parent is a tmpfs.
SECRET_HOMES = ("/run/permafrost", "/dev/shm/permafrost")

LABEL_JOB = "permafrost.backup.job"
LABEL_VERB = "permafrost.backup.verb"
LABEL_COMMAND = "permafrost.backup.command"

# With --use-agent duplicity asks nobody, but without any PASSPHRASE it would not open the last manifest either, and an
# incremental with a wrong passphrase would succeed. gpg itself reads the real one from its file.
_PASSPHRASE_MARKER = "in-passphrase-file"
_CAPS_READ = ("DAC_READ_SEARCH",)
_CAPS_WRITE = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "MKNOD")
_CLASS_FLAG = {
    "GLACIER": ["--s3-use-glacier"],
    "GLACIER_IR": ["--s3-use-glacier-ir"],
    "DEEP_ARCHIVE": ["--s3-use-deep-archive"],
    "STANDARD": [],
}


@dataclass(frozen=True)
class Mount:
    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class ContainerSpec:
    """One run. ``argv[0]`` is the program; ``secrets`` maps file names below SECRETS to their content."""

    job: str
    verb: str
    image: str
    hostname: str
    network: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    mounts: tuple[Mount, ...]
    capabilities: tuple[str, ...]
    secrets: dict[str, str] = field(repr=False)

    @property
    def name(self) -> str:
        """Fixed, so that the engine itself refuses a second run of the same verb."""
        return f"permafrost-{self.job}-{self.verb}"

    @property
    def identity(self) -> str:
        """Tasks of equal identity do the same work: the later one attaches to the run of the earlier.

        Backups do when they are of the same source to the same target, whatever the other options; anything else must
        be the very same command.
        """
        if self.verb == "backup":
            kind, source, url = self.argv[1], self.argv[-2], self.argv[-1]
            return hashlib.sha256("\0".join((kind, source, url)).encode("utf-8", "surrogateescape")).hexdigest()
        mounts = [f"{mount.source}:{mount.target}" for mount in self.mounts]
        return hashlib.sha256("\0".join((*self.argv, *mounts)).encode("utf-8", "surrogateescape")).hexdigest()


def backup(job: Job, run_dir: str, *, full: bool, dry_run: bool) -> ContainerSpec:
    """A full, or what the age of the last full asks for."""
    if job.source is None:
        raise BadInput("job.source is missing: there is nothing to back up.")
    # The host's path is part of the container's, so that duplicity itself notices when the source is another one.
    source = SOURCE + job.source.rstrip("/")
    argv = [
        *(["full"] if full else ["backup", "--full-if-older-than", job.full_if_older_than]),
        *_common(job),
        *_CLASS_FLAG[job.storage_class],
        *_storing(job),
        *(["--skip-if-no-change"] if job.skip_if_no_change else []),
        *_own_places(job, job.source.rstrip("/")),
        *(["--dry-run"] if dry_run else []),
        source,
        job.url,
    ]
    return _spec(job, "check" if dry_run else "backup", run_dir, argv, mounts=[Mount(job.source, source)])


def _own_places(job: Job, source: str) -> list[str]:
    """Exclude what is below the source and must not be in a backup of it: secrets, the archive, the kernel's trees."""
    kernel = ["/proc", "/sys"] if not source else []
    places = [*SECRET_HOMES, job.state_dir, job.temp_dir, *kernel]
    inside = [place for place in places if place.startswith(f"{source}/")]
    # duplicity takes a shell pattern.
    return [word for place in inside for word in ("--exclude", SOURCE + re.sub(r"([*?\[])", r"[\1]", place))]


def fetch_metadata(job: Job, run_dir: str) -> ContainerSpec:
    """Brings manifests and signatures of all chains into the archive directory; nothing is thawed.

    duplicity has no verb for it and collection-status does not do it. Cleanup does, and without --force it only lists.
    """
    return _spec(job, "info", run_dir, ["cleanup", "--metadata-sync-mode", "full", *_common(job), job.url])


def list_files(job: Job, run_dir: str, *, time: datetime) -> ContainerSpec:
    """The files of the backup at ``time``, read from signatures."""
    return _spec(job, "list", run_dir, ["list-current-files", *_common(job), "--time", to_w3(time), job.url])


def restore_dry_run(job: Job, run_dir: str, *, path: str, time: datetime | None) -> ContainerSpec:
    """Names the volumes that a restore of ``path`` reads. Needs a target that does not exist."""
    argv = ["restore", "--dry-run", *_common(job), *_selection(path, time), job.url, f"{RUN}/nowhere"]
    return _spec(job, "plan", run_dir, argv)


def restore(job: Job, run_dir: str, *, path: str, time: datetime, into: str) -> ContainerSpec:
    """Restore into ``data`` below the host's directory ``into``."""
    argv = ["restore", *_common(job), *_selection(path, time), job.url, f"{RESTORE}/data"]
    mounts = [Mount(into, RESTORE, read_only=False)]
    return _spec(job, "restore", run_dir, argv, mounts=mounts, capabilities=_CAPS_WRITE)


def open_manifest(job: Job, run_dir: str, manifest: str) -> ContainerSpec:
    """gpg on a copy of the newest manifest (below ``run_dir``): the passphrase opens it, or this run must not start."""
    argv = [*_gpg(), "--output", "/dev/null", "--decrypt", f"{RUN}/{manifest}"]
    return _spec(job, "passphrase", run_dir, argv, program="gpg")


def normal_path(path: str | None) -> str:
    """A path inside a backup without outer slashes, ``""`` for the whole tree.

    A trailing slash would make duplicity list too few volumes. Raises BadInput for what an argv cannot carry.
    """
    text = path or ""
    try:
        parts = [part.decode() for part in path_index(text.encode("utf-8", "surrogateescape"))]
    except UnicodeDecodeError:
        raise BadInput(
            f"The path {text!r} is not valid UTF-8, which the engine's interface cannot carry: name a parent directory."
        ) from None
    if parts == ["."]:
        return ""
    if "\0" in text or any(part in ("", ".", "..") for part in parts):
        raise BadInput(f"The path '{text}' holds an empty part, '.' or '..': give it as duplicity_info lists it.")
    return "/".join(parts)


def _selection(path: str, time: datetime | None) -> list[str]:
    return [
        *([f"--path-to-restore={path}"] if path else []),  # one element: a path may begin with a dash
        *(["--time", to_w3(time)] if time else []),
    ]


def _common(job: Job) -> list[str]:
    return [
        "--archive-dir",
        ARCHIVE,
        "--name",
        job.name,
        "--tempdir",
        TEMP,
        "--log-file",
        f"{RUN}/{LOG_FILE}",
        "--verbosity",
        "notice",
        "--numeric-owner",
        # boto's own retries come first (AWS_MAX_ATTEMPTS); these stand for a service that is away for a moment.
        "--num-retries",
        "3",
        "--backend-retry-delay",
        "5",
        "--volsize",
        str(job.volume_size),
        "--concurrency",
        str(job.concurrency),
        *(["--s3-endpoint-url", job.endpoint_url] if job.endpoint_url else []),
        *(["--s3-region-name", job.region] if job.region else []),
        *_encryption(job),
    ]


def _storing(job: Job) -> list[str]:
    return [
        "--s3-multipart-chunk-size",
        str(job.multipart_chunk_size),
        *([] if job.compression or job.encrypted else ["--no-compression"]),
    ]


def _encryption(job: Job) -> list[str]:
    if not job.encrypted:
        return ["--no-encryption"]
    options = " ".join(_gpg()[1:3])
    compress = "" if job.compression else " --compress-algo=none"
    return ["--use-agent", f"--gpg-options={options}{compress}"]


def _gpg() -> list[str]:
    return ["gpg", "--pinentry-mode=loopback", f"--passphrase-file={SECRETS}/passphrase", "--batch", "--quiet"]


def _environment(job: Job) -> dict[str, str]:
    environment = {
        "HOME": "/tmp",
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "12",
        # A name that is not UTF-8 must not make Python drop the line that tells of it.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    if _plain_http(job):
        environment["AWS_CONFIG_FILE"] = f"{SECRETS}/config"
    if job.credentials:
        environment["AWS_SHARED_CREDENTIALS_FILE"] = f"{SECRETS}/credentials"
        environment["AWS_EC2_METADATA_DISABLED"] = "true"
    if job.ca_bundle:
        environment["AWS_CA_BUNDLE"] = CA_BUNDLE
    if job.encrypted:
        environment["PASSPHRASE"] = _PASSPHRASE_MARKER
    return environment


def _plain_http(job: Job) -> bool:
    return (job.endpoint_url or "").startswith("http://")


def secret_files(job: Job) -> dict[str, str]:
    """File name to content, for the directory that is mounted at SECRETS."""
    files = {}
    if job.credentials:
        lines = [
            "[default]",
            f"aws_access_key_id = {job.credentials.access_key}",
            f"aws_secret_access_key = {job.credentials.secret_key}",
        ]
        if job.credentials.session_token:
            lines.append(f"aws_session_token = {job.credentials.session_token}")
        files["credentials"] = "\n".join(lines) + "\n"
    if _plain_http(job):
        # Over HTTPS boto never hashes a body for its signature. Over HTTP it would read each volume once more for that,
        # though the checksum header, which is signed, protects the body already.
        files["config"] = "[default]\ns3 =\n    payload_signing_enabled = false\n"
    if job.passphrase is not None:
        files["passphrase"] = job.passphrase + "\n"
    return files


def _spec(
    job: Job,
    verb: str,
    run_dir: str,
    argv: list[str],
    *,
    program: str = "duplicity",
    mounts: list[Mount] | None = None,
    capabilities: tuple[str, ...] = _CAPS_READ,
) -> ContainerSpec:
    own = [
        Mount(job.archive_dir, ARCHIVE, read_only=False),
        Mount(job.temp_dir, TEMP, read_only=False),
        Mount(run_dir, RUN, read_only=False),
        *([Mount(job.ca_bundle, CA_BUNDLE)] if job.ca_bundle else []),
    ]
    return ContainerSpec(
        job=job.name,
        verb=verb,
        image=job.image,
        hostname=job.hostname,
        network=job.network,
        argv=(program, *argv) if program == "duplicity" else tuple(argv),
        environment=_environment(job),
        mounts=(*own, *(mounts or [])),
        capabilities=capabilities,
        secrets=secret_files(job),
    )
