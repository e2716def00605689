"""Where unit.scenarios act: a bucket, a source tree, a state directory; runs of the image leave transcripts."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import command
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.log import FILE_NAME
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    ARCHIVE,
    RUN,
    SECRETS,
    TEMP,
    ContainerSpec,
)
from lab import image
from lab.s3.client_api import S3Lab

TRANSCRIPTS = Path(__file__).with_name("transcripts")
IMAGE = os.environ.get("PERMAFROST_IMAGE", image.NAME)


def job_params(**changes: Any) -> dict[str, Any]:
    """The options of a job as AnsibleModule hands them over, with every default in place."""
    params = {name: option.get("default") for name, option in JOB_OPTIONS.items()}
    params.update(name="web01-data", source="/srv/data", target="s3://acme-dr/web01/data")
    params["encryption"] = {"mode": "none", "passphrase": None}
    return {**params, **changes}


@dataclass
class Stage:
    """One bucket, one source tree and one state directory, in which a scenario acts."""

    name: str
    lab: S3Lab
    directory: Path
    options: dict[str, Any] = field(default_factory=dict)
    engine_options: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        return self.directory / "source"

    def job(self, **changes: Any) -> Job:
        """The job, with small volumes in STANDARD unless the scenario says otherwise."""
        defaults = {
            "source": str(self.source),
            "target": f"s3://{self.name}/web01/data",
            "storage_class": "STANDARD",
            "volume_size": 1,
            "credentials": {
                "access_key": self.lab.access_key,
                "secret_key": self.lab.secret_key,
                "session_token": None,
            },
            "endpoint_url": self.lab.endpoint_url,
            "region": self.lab.region,
            "image": IMAGE,
            "docker_host": os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"),
            "state_dir": str(self.directory / "state"),
        }
        return Job.from_params(job_params(**{**defaults, **self.options, **changes}))

    def forget(self) -> None:
        """The host is lost: no archive directory any more."""
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    @property
    def run_dir(self) -> str:
        return str(self.directory / "run")

    def run_apart(self, job: Job, spec: ContainerSpec, number: int) -> Ran:
        """Run beside others: with a name, directories and a copy of the archive directory of its own."""
        place = self.directory / f"apart-{number}"
        shutil.copytree(job.archive_dir, place / "archive")
        (place / "tmp").mkdir()
        (place / "run").mkdir()
        own = {ARCHIVE: place / "archive", TEMP: place / "tmp", RUN: place / "run"}
        mounts = tuple(
            dataclasses.replace(one, source=str(own.get(one.target, Path(one.source)))) for one in spec.mounts
        )
        return self._run(dataclasses.replace(spec, job=f"{spec.job}-{number}", mounts=mounts), place / "run")

    def run(self, job: Job, spec: ContainerSpec, record_as: str | None = None, **changes: Any) -> Ran:
        """Run to the end and keep the transcript under that name."""
        for path in (self.run_dir, job.temp_dir, job.archive_dir):
            Path(path).mkdir(parents=True, exist_ok=True)
        ran = self._run(dataclasses.replace(spec, **changes), Path(self.run_dir))
        if record_as:
            write(record_as, ran)
        return ran

    def _run(self, spec: ContainerSpec, run_dir: Path) -> Ran:
        log = run_dir / FILE_NAME
        log.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as secrets:
            for name, content in spec.secrets.items():
                Path(secrets, name).write_bytes(content)
            started = datetime.now(timezone.utc)
            argv = _docker(spec, secrets, self.engine_options)
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        content = log.read_bytes() if log.exists() else b""
        return Ran(spec.verb, done.returncode, done.stdout, content, started, datetime.now(timezone.utc))

    def backup(self, record_as: str | None = None, *, full: bool = False, dry_run: bool = False, **changes: Any) -> Ran:
        job = self.job(**changes)
        return self.run(job, command.backup(job, self.run_dir, full=full, dry_run=dry_run), record_as)

    def manifests(self, record_as: str) -> None:
        """Keep the plain manifests of the archive directory."""
        job = self.job()
        target = TRANSCRIPTS / record_as
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path in Path(job.archive_dir, job.name).glob("*.manifest"):
            (target / path.name).write_bytes(_neutral(path.read_bytes()))

    def listing(self, record_as: str) -> dict[str, S3Object]:
        """Keep what S3 lists."""
        job = self.job()
        bucket = Bucket(job.bucket, credentials=job.credentials, endpoint_url=job.endpoint_url, region=job.region)
        found = bucket.list(job.key_prefix)
        rows = [dataclasses.asdict(one) for one in found.values()]
        (TRANSCRIPTS / f"{record_as}.listing.json").write_text(json.dumps(rows, indent=1, default=str) + "\n")
        return found


@dataclass(frozen=True)
class Ran:
    """A run that ended."""

    verb: str
    exit_code: int
    output: bytes
    log: bytes
    started: datetime
    finished: datetime


def _docker(spec: ContainerSpec, secrets: str, options: tuple[str, ...]) -> list[str]:
    """The container as the collection's engine makes it, by the client that every engine has."""
    argv = ["docker", "run", "--rm", "--init", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp:mode=0700"]
    argv += options
    argv += ["--name", spec.name, "--hostname", spec.hostname, "--network", spec.network, "--entrypoint", spec.argv[0]]
    argv += [word for name in spec.capabilities for word in ("--cap-add", name)]
    argv += [word for pair in spec.environment.items() for word in ("--env", "=".join(pair))]
    mounts = [f"{one.source}:{one.target}:{'ro' if one.read_only else 'rw'}" for one in spec.mounts]
    argv += [word for mount in (*mounts, f"{secrets}:{SECRETS}:ro") for word in ("--volume", mount)]
    return [*argv, spec.image, *spec.argv[1:]]


@cache
def _version() -> str:
    """Of the duplicity that is recorded."""
    argv = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "duplicity", IMAGE, "--version"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]


def write(name: str, ran: Ran) -> None:
    """The machine log as it is, and beside it what the engine said."""
    (TRANSCRIPTS / f"{name}.log").write_bytes(_neutral(ran.log))
    facts = {
        "verb": ran.verb,
        "duplicity": _version(),
        "exit_code": ran.exit_code,
        "output": "\n".join(_neutral(ran.output).decode("utf-8", "replace").split("\n")[-60:]),
        "started": ran.started.isoformat(timespec="seconds"),
        "finished": ran.finished.isoformat(timespec="seconds"),
    }
    (TRANSCRIPTS / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{name}: exit code {ran.exit_code}", flush=True)


REPLACED: dict[bytes, bytes] = {}


def _neutral(content: bytes) -> bytes:
    """Without the temporary names of the machine that recorded."""
    for found, instead in REPLACED.items():
        content = content.replace(found, instead)
    return content


@contextlib.contextmanager
def stage(lab: S3Lab, bucket: str, **options: Any) -> Iterator[Stage]:
    """A fresh stage; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix="permafrost-record-") as directory:
        REPLACED.clear()
        REPLACED[directory.encode()] = b"/srv/stage"
        REPLACED[lab.endpoint_url.encode()] = b"http://s3.example.com"
        REPLACED[f"127.0.0.1:{lab.port}".encode()] = b"s3.example.com"
        lab.client().create_bucket(Bucket=bucket)
        made = Stage(bucket, lab, Path(directory), options)
        made.source.mkdir()
        yield made
