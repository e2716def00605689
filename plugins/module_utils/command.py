# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Job and verb become a run: the command lines of duplicity and gpg.

Pure, and the only place that writes a duplicity command line. There is no shell anywhere: argv is a list. What a run
has around it is in surroundings.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils import globs, log, selection
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import NO_LIMITS, Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import path_index
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    ARCHIVE,
    CAPS_READ,
    CAPS_WRITE,
    HOME,
    PUBLIC_KEYS,
    RESTORE,
    RUN,
    SECRET_HOMES,
    SECRET_KEYS,
    SECRETS,
    STAGED,
    TEMP,
    ContainerSpec,
    Mount,
    spec_of,
)
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3

# A staged copy of the bucket is not the bucket: duplicity would take what it lacks out of the job's archive directory.
_STAGED_ARCHIVE = f"{TEMP}/archive"
_GPG = ("gpg", "--batch", "--quiet")
STATUS_FILE = "gpg.status"
_CLASS_FLAG = {
    "GLACIER": ["--s3-use-glacier"],
    "GLACIER_IR": ["--s3-use-glacier-ir"],
    "DEEP_ARCHIVE": ["--s3-use-deep-archive"],
    "STANDARD": [],
}
_SSE_FLAG = {
    None: [],
    "AES256": ["--s3-use-server-side-encryption"],
    "aws:kms": ["--s3-use-server-side-kms-encryption"],
}


def backup(job: Job, run_dir: str, *, full: bool, dry_run: bool) -> ContainerSpec:
    """A full, or what the age of the last full asks for."""
    if job.source is None:
        raise BadInput("job.source is missing: there is nothing to back up.")
    job.encryption.require_for_backup()
    argv = [
        *_kind(job, full),
        *_common(job),
        *_CLASS_FLAG[job.storage_class],
        *_storing(job),
        *(["--skip-if-no-change"] if job.skip_if_no_change else []),
        *(["--progress"] if job.progress and not dry_run else []),
        *_selected(job, job.source),
        *(["--dry-run"] if dry_run else []),
        job.source_in_container,
        job.url,
    ]
    mounts = [Mount(job.source, job.source_in_container)]
    return spec_of(job, "check" if dry_run else "backup", run_dir, argv, mounts=mounts)


def contents(job: Job, source: str) -> list[str]:
    """The part of a backup's command that decides what is stored, and in what form."""
    return [*_encryption(job), *_storing(job), *_selected(job, source), job.source_in_container]


def _kind(job: Job, full: bool) -> list[str]:
    if full:
        return ["full"]
    after = ["--full-if-n-inc", str(job.full_if_n_inc)] if job.full_if_n_inc else []
    return ["backup", "--full-if-older-than", job.full_if_older_than, *after]


def _selected(job: Job, source: str, path: str = "") -> list[str]:
    """What is left out of the source, or of a path in it: our own places first, which no rule brings back."""
    top = f"{job.source_in_container}/{path}" if path else ""
    return [
        *_own_places(job, source.rstrip("/"), top),
        *(["--exclude-other-filesystems"] if job.one_file_system else []),
        *selection.argv(job.rules, source, job.source_in_container, RUN, top),
    ]


def _own_places(job: Job, source: str, top: str) -> list[str]:
    """Exclude what is below the source and must not be in a backup of it: secrets, the archive, the kernel's trees."""
    kernel = ["/proc", "/sys"] if not source else []
    places = [*SECRET_HOMES, job.state_dir, job.archive_dir, job.temp_dir, *kernel]
    inside = dict.fromkeys(place[len(source) :] for place in places if place.startswith(f"{source}/"))
    patterns = [selection.literal(job.source_in_container + place) for place in inside]
    return [word for one in patterns if globs.concerns(one, top) for word in ("--exclude", one)]


def fetch_metadata(job: Job, run_dir: str, *, time: datetime | None = None) -> ContainerSpec:
    """Brings manifests and signatures into the archive directory: those of all chains, or of the chain at ``time``.

    Nothing is thawed. duplicity has no verb for it and collection-status does not do it. Cleanup does, and without
    --force it only lists.
    """
    which = ["partial", "--time", to_w3(time)] if time else ["full"]
    return spec_of(job, "info", run_dir, ["cleanup", "--metadata-sync-mode", *which, *_common(job), job.url])


def list_sets(job: Job, run_dir: str) -> ContainerSpec:
    """Lists the bucket and reads nothing: it tells whether the container can reach it."""
    return spec_of(job, "info", run_dir, ["collection-status", *_common(job), job.url])


def list_files(job: Job, run_dir: str, *, time: datetime) -> ContainerSpec:
    """The files of the backup at ``time``, read from signatures."""
    return spec_of(job, "list", run_dir, ["list-current-files", *_common(job), "--time", to_w3(time), job.url])


def restore_dry_run(job: Job, run_dir: str, *, path: str, time: datetime | None) -> ContainerSpec:
    """Names the volumes that a restore of ``path`` reads. Needs a target that does not exist."""
    argv = ["restore", "--dry-run", *_common(job), *_selection(path, time), job.url, f"{RUN}/nowhere"]
    return spec_of(job, "plan", run_dir, argv)


def restore(job: Job, run_dir: str, *, path: str, time: datetime, into: str) -> ContainerSpec:
    """Restore into ``data`` below the host's directory ``into``."""
    job.encryption.require_for_restore()
    argv = ["restore", *_common(job), *_selection(path, time), job.url, f"{RESTORE}/data"]
    mounts = [Mount(into, RESTORE, read_only=False)]
    return spec_of(job, "restore", run_dir, argv, mounts=mounts, capabilities=CAPS_WRITE)


def restore_staged(job: Job, run_dir: str, *, path: str, time: datetime, into: str, staged: str) -> ContainerSpec:
    """The same from what was fetched to the host's directory ``staged``: without network, without AWS credentials."""
    streamed = restore(job, run_dir, path=path, time=time, into=into)
    offline = replace(job, credentials=None, endpoint_url=None, region=None, ca_bundle=None, network="none")
    argv = [
        "restore",
        *_common(offline, _STAGED_ARCHIVE),
        *_selection(path, time),
        f"file://{STAGED}",
        f"{RESTORE}/data",
    ]
    mounts = [Mount(into, RESTORE, read_only=False), Mount(staged, STAGED)]
    spec = spec_of(offline, "restore", run_dir, argv, mounts=mounts, capabilities=CAPS_WRITE)
    return replace(spec, same_as=streamed.identity)


def prove(job: Job, run_dir: str, *, below: str) -> ContainerSpec:
    """Compare what lies below the host's directory with the signatures of the archive directory, as RUN says."""
    own = (Mount(job.archive_dir, ARCHIVE), Mount(run_dir, RUN, read_only=False), Mount(below, RESTORE))
    return ContainerSpec(
        job=job.name,
        verb="prove",
        image=job.image,
        hostname=job.hostname,
        network="none",
        argv=("permafrost", "prove"),
        environment={"HOME": HOME},
        mounts=own,
        capabilities=CAPS_READ,
        secrets={},
        limits=job.limits,
    )


def verify(job: Job, run_dir: str, *, path: str, time: datetime, compare_data: bool) -> ContainerSpec:
    """Read every volume that ``path`` needs, and with ``compare_data`` compare what they hold with the source."""
    if job.source is None:
        raise BadInput("job.source is missing: there is nothing to compare the backup with.")
    job.encryption.require_for_restore()
    argv = [
        "verify",
        *(["--compare-data"] if compare_data else []),
        *_common(job),
        *_selection(path, time),
        *_selected(job, job.source, path),
        job.url,
        f"{job.source_in_container}/{path}" if path else job.source_in_container,
    ]
    return spec_of(job, "verify", run_dir, argv, mounts=[Mount(job.source, job.source_in_container)])


def open_manifest(job: Job, run_dir: str, manifest: str) -> ContainerSpec:
    """gpg on a copy of a manifest (below ``run_dir``): what the job has opens it, or this run must not start."""
    argv = [*_GPG, *_gpg(job), "--output", "/dev/null", "--decrypt", f"{RUN}/{manifest}"]
    return spec_of(job, "passphrase", run_dir, argv, program="gpg")


def open_manifests(job: Job, run_dir: str, manifests: list[str]) -> ContainerSpec:
    """gpg on copies of manifests (``X.gpg`` below ``run_dir``): leaves ``X`` for each, and says in STATUS_FILE how."""
    argv = ["--status-file", f"{RUN}/{STATUS_FILE}", "--multifile", "--decrypt", *(f"{RUN}/{one}" for one in manifests)]
    return spec_of(job, "manifests", run_dir, [*_GPG, *_gpg(job), *argv], program="gpg")


def import_keys(spec: ContainerSpec) -> ContainerSpec:
    """What makes the keyring of a run, among the secrets of that run. It needs no network and no data.

    The archive directory is there only to tell whose container it is.
    """
    mounts = tuple(one for one in spec.mounts if one.target == ARCHIVE)
    files = [f"{SECRETS}/{name}" for name in (PUBLIC_KEYS, SECRET_KEYS) if name in spec.secrets]
    argv = (*_GPG, "--import", *files)
    return replace(spec, verb="keys", argv=argv, network="none", mounts=mounts, capabilities=(), limits=NO_LIMITS)


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


def _common(job: Job, archive_dir: str = ARCHIVE) -> list[str]:
    return [
        "--archive-dir",
        archive_dir,
        "--name",
        job.archive_name,
        "--tempdir",
        TEMP,
        "--log-file",
        f"{RUN}/{log.FILE_NAME}",
        "--verbosity",
        job.verbosity,
        "--numeric-owner",
        # boto's own retries come first (AWS_MAX_ATTEMPTS); these stand for a service that is away for a moment.
        "--num-retries",
        str(job.retries),
        "--backend-retry-delay",
        "5",
        "--volsize",
        str(job.volume_size),
        "--concurrency",
        str(job.concurrency),
        *(["--s3-endpoint-url", job.endpoint_url] if job.endpoint_url else []),
        *(["--s3-region-name", job.region] if job.region else []),
        *_file_prefixes(job),
        *_encryption(job),
        *job.extra_args,
    ]


def _file_prefixes(job: Job) -> list[str]:
    prefixes = job.file_prefixes
    given = {"archive": prefixes.volume, "manifest": prefixes.manifest, "signature": prefixes.signature}
    return [f"--file-prefix-{kind}={value}" for kind, value in given.items() if value]  # it may begin with a dash


def _storing(job: Job) -> list[str]:
    return [
        "--s3-multipart-chunk-size",
        str(job.multipart_chunk_size),
        *([] if job.compression or job.encrypted else ["--no-compression"]),
        *_SSE_FLAG[job.sse],
        *(["--s3-kms-key-id", job.kms_key_id] if job.kms_key_id else []),
    ]


def _encryption(job: Job) -> list[str]:
    if not job.encrypted:
        return ["--no-encryption"]
    keys = [word for key in job.encryption.encrypt_keys for word in ("--encrypt-key", key)]
    signer = ["--sign-key", job.encryption.sign_key] if job.encryption.sign_key else []
    options = " ".join([*_gpg(job), *_gpg_compression(job)])
    return [*keys, *signer, "--use-agent", f"--gpg-options={options}"]


def _gpg_compression(job: Job) -> list[str]:
    """gpg's own default is slower than its compression at level 1, and makes more of it."""
    if not job.compression:
        return ["--compress-algo=none"]
    return ["--compress-algo=zlib", f"--compress-level={job.compression_level or 1}"]


def _gpg(job: Job) -> list[str]:
    """Where gpg finds passphrase and keys, as its options."""
    given = job.encryption
    passphrase = [] if given.passphrase is None else [f"--passphrase-file={SECRETS}/passphrase"]
    options = ["--pinentry-mode=loopback", *passphrase]
    if given.mode == "gpg":
        options.append("--trust-model=always")
    if given.public_keys and not given.secret_keys:
        options += ["--no-default-keyring", f"--keyring={SECRETS}/{PUBLIC_KEYS}"]
    if given.sign_key:
        # Exactly this one, or gpg may take a signing subkey of it, and duplicity would refuse that on a restore.
        options.append(f"--local-user={given.sign_key}!")
    return options
