# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run has around its command line: places, mounts, environment, secret files, and what it is for AWS.

Pure. Secrets are files below ``SECRETS``, never arguments or environment.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from ansible_collections.permafrost.backup.plugins.module_utils import credentials as aws
from ansible_collections.permafrost.backup.plugins.module_utils.job import NO_LIMITS, Job, Limits

# Paths inside the container; the source's is part of the job.
ARCHIVE = "/permafrost/archive"
RUN = "/permafrost/run"
TEMP = "/permafrost/tmp"
RESTORE = "/permafrost/restore"
STAGED = "/permafrost/staged"
SECRETS = "/run/secrets"
AWS_DIR = "/run/aws"
CA_BUNDLE = "/permafrost/ca.pem"
# A tmpfs of the container.
HOME = "/tmp"
# The keyring of a run with secret keys: below the run's secrets on the host, and the only place there to write to.
KEYRING = "/permafrost/keyring"
KEYRING_DIR = "keyring"
PUBLIC_KEYS, SECRET_KEYS = "public-keys", "secret-keys"
_TASK_TOKEN = "task-token"
# gpg-agent protects a key anew when it is first used, and takes seconds to measure how slow it can be. The passphrase
# lies beside this keyring.
_AGENT_CONF = b"s2k-count 65536\n"
# Where secrets lie on the host while a container runs: the first of these whose parent is a tmpfs.
SECRET_HOMES = ("/run/permafrost", "/dev/shm/permafrost")

LABEL_JOB = "permafrost.backup.job"
LABEL_VERB = "permafrost.backup.verb"
LABEL_COMMAND = "permafrost.backup.command"

# With --use-agent duplicity asks nobody, but without any PASSPHRASE it would not open the last manifest either, and an
# incremental with a wrong passphrase would succeed. gpg itself reads the real one from its file. In mode gpg a backup
# may lack the secret key, and its keys are compared before: only a dry run, which copies nothing, reads a manifest.
_PASSPHRASE_MARKER = "in-passphrase-file"
CAPS_READ = ("DAC_READ_SEARCH",)
CAPS_WRITE = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "MKNOD")
_MB = 1024 * 1024


@dataclass(frozen=True)
class Mount:
    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class ContainerSpec:
    """One run. ``argv[0]`` is the program; ``secrets`` maps file names below SECRETS to their content.

    With ``keyring`` the run of ``import_keys`` comes before it. ``same_as`` is the identity of another way to do the
    same work.
    """

    job: str
    verb: str
    image: str
    hostname: str
    network: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    mounts: tuple[Mount, ...]
    capabilities: tuple[str, ...]
    secrets: dict[str, bytes] = field(repr=False)
    limits: Limits = NO_LIMITS
    keyring: bool = False
    same_as: str = ""

    @property
    def name(self) -> str:
        """Fixed, so that the engine itself refuses a second run of the same verb."""
        return f"permafrost-{self.job}-{self.verb}"

    @property
    def identity(self) -> str:
        """Tasks of equal identity do the same work: the later one attaches to the run of the earlier.

        Backups do when they are of the same source to the same target for the same keys, whatever the other options;
        anything else must be the very same command, or another way to the same end.
        """
        if self.same_as:
            return self.same_as
        if self.verb == "backup":
            keys = [key for option, key in zip(self.argv, self.argv[1:]) if option == "--encrypt-key"]
            work = (self.argv[1], self.argv[-2], self.argv[-1], *keys)
            return hashlib.sha256("\0".join(work).encode("utf-8", "surrogateescape")).hexdigest()
        mounts = [f"{mount.source}:{mount.target}" for mount in self.mounts]
        return hashlib.sha256("\0".join((*self.argv, *mounts)).encode("utf-8", "surrogateescape")).hexdigest()


def spec_of(
    job: Job,
    verb: str,
    run_dir: str,
    argv: list[str],
    *,
    program: str = "duplicity",
    mounts: list[Mount] | None = None,
    capabilities: tuple[str, ...] = CAPS_READ,
) -> ContainerSpec:
    """A run of the job with all that it needs; ``mounts`` are what this one needs besides."""
    own = [
        Mount(job.archive_dir, ARCHIVE, read_only=False),
        Mount(job.temp_dir, TEMP, read_only=False),
        Mount(run_dir, RUN, read_only=False),
        *([Mount(job.ca_bundle, CA_BUNDLE)] if job.ca_bundle else []),
        *([Mount(job.credentials.aws_dir, AWS_DIR)] if job.credentials and job.credentials.profile else []),
    ]
    return ContainerSpec(
        job=job.name,
        verb=verb,
        image=job.image,
        hostname=job.hostname,
        network=job.network,
        argv=(program, *argv) if program == "duplicity" else tuple(argv),
        environment=_environment(job, verb),
        mounts=(*own, *(mounts or [])),
        capabilities=capabilities,
        secrets=secrets_of(job),
        limits=job.limits,
        keyring=job.encryption.secret_keys is not None,
    )


def _environment(job: Job, verb: str) -> dict[str, str]:
    environment = {
        "HOME": HOME,
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "12",
        # A name that is not UTF-8 must not make Python drop the line that tells of it.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    if job.compression_level:
        environment["PERMAFROST_COMPRESSION_LEVEL"] = str(job.compression_level)
    if job.limits.upload_rate:
        rate = job.limits.upload_rate * _MB // max(1, job.concurrency)  # each upload is a process of its own
        environment["PERMAFROST_UPLOAD_RATE"] = str(rate)
    if job.ca_bundle:
        environment["AWS_CA_BUNDLE"] = CA_BUNDLE
    if job.encryption.mode == "symmetric" or (verb == "check" and job.encryption.opens_own):
        environment["PASSPHRASE"] = _PASSPHRASE_MARKER
    if job.encryption.secret_keys:
        environment["GNUPGHOME"] = KEYRING
    return {**environment, **_aws_environment(job)}


def _aws_environment(job: Job) -> dict[str, str]:
    given = job.credentials
    if given and given.profile:
        return {
            "AWS_PROFILE": given.profile,
            "AWS_CONFIG_FILE": f"{AWS_DIR}/config",
            "AWS_SHARED_CREDENTIALS_FILE": f"{AWS_DIR}/credentials",
        }
    environment = {}
    if _aws_config(job):
        environment["AWS_CONFIG_FILE"] = f"{SECRETS}/config"
    if given and given.access_key:
        environment["AWS_SHARED_CREDENTIALS_FILE"] = f"{SECRETS}/credentials"
        environment["AWS_EC2_METADATA_DISABLED"] = "true"
    if given and given.sts_endpoint_url:
        environment["AWS_ENDPOINT_URL_STS"] = given.sts_endpoint_url
    return environment


def _aws_config(job: Job, in_task: bool = False) -> str | None:
    plain_http = (job.endpoint_url or "").startswith("http://")
    return aws.config_file(job.credentials, job.region, sign_bodies=not plain_http, in_task=in_task)


def secrets_of(job: Job) -> dict[str, bytes]:
    """File name to content, for the directory that is mounted at SECRETS."""
    given = job.encryption
    texts = {
        "credentials": aws.credentials_file(job.credentials) if job.credentials else None,
        "config": None if job.credentials and job.credentials.profile else _aws_config(job),
        "passphrase": None if given.passphrase is None else given.passphrase + "\n",
    }
    files = {name: None if text is None else text.encode() for name, text in texts.items()}
    files |= {PUBLIC_KEYS: given.public_keys, SECRET_KEYS: given.secret_keys}
    files[f"{KEYRING_DIR}/gpg-agent.conf"] = _AGENT_CONF if given.secret_keys else None
    return {name: content for name, content in files.items() if content is not None}


def with_task_role(spec: ContainerSpec, job: Job, role: aws.TaskRole) -> ContainerSpec:
    """The run as what started it is for AWS, unless the job has a key pair. It is the same work all the same."""
    if job.credentials and job.credentials.access_key:
        return spec
    environment, secrets = {**spec.environment, **role.environment}, dict(spec.secrets)
    if role.token is not None:
        environment[aws.TASK_PROOF_FILE] = f"{SECRETS}/{_TASK_TOKEN}"
        secrets[_TASK_TOKEN] = role.token
    if "config" in secrets:
        secrets["config"] = (_aws_config(job, in_task=True) or "").encode()
    return replace(spec, environment=environment, secrets=secrets)
