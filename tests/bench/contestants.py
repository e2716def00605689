"""Who is measured: ours, bare duplicity, restic, rclone and aws s3 sync, each as its users would call it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from ansible_collections.permafrost.backup.plugins.module_utils import command
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import SECRETS
from bench.measure import Usage, container_pids, process
from lab import aws_cli, image, packages
from lab.places import COLLECTIONS, LAB
from lab.s3.client_api import S3Lab
from unit.stage import job_params

STOCK_IMAGE = "permafrost-lab/duplicity:bench-stock"
MODULES = "ansible_collections.permafrost.backup.plugins.modules"
# Linux, admin-guide/sysctl/vm.rst: 3 drops the clean pages, directory entries and inodes of the whole machine.
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True)
class Stage:
    """What a contestant gets: the data, a fresh bucket, a scratch directory."""

    source: Path
    bucket: str
    s3: S3Lab
    scratch: Path


# As a user of the guide hands them over.
_KEYS = ["-e", "AWS_ACCESS_KEY_ID", "-e", "AWS_SECRET_ACCESS_KEY", "-e", "HOME=/tmp"]

Contestant = Callable[[Stage], Usage]


def prepare() -> None:
    """Install the rivals (Debian's restic and rclone, PyPI's awscli) and build both images."""
    packages.ensure({"restic": "restic", "rclone": "rclone"})
    aws_cli.ensure()
    image.ensure()
    engine = docker.from_env()
    engine.images.build(
        path=str(image.BUILD_DIR), tag=STOCK_IMAGE, target="stock", buildargs={"BASE": os.environ["LAB_BASE_IMAGE"]}
    )


def environment(stage: Stage, **more: str) -> dict[str, str]:
    # rclone 1.60 refuses to start with a CA bundle in the environment, and the lab speaks HTTP.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": stage.s3.access_key, "AWS_SECRET_ACCESS_KEY": stage.s3.secret_key}
    return {**kept, **keys, "AWS_DEFAULT_REGION": stage.s3.region, "HOME": str(stage.scratch), **more}


def job_of(stage: Stage) -> dict[str, Any]:
    """The job that ours runs: compression, the default volume size."""
    return {
        "name": f"bench-{stage.bucket}",
        "source": str(stage.source),
        "target": f"s3://{stage.bucket}/bench",
        "encryption": {"mode": "none"},
        "credentials": {"access_key": stage.s3.access_key, "secret_key": stage.s3.secret_key},
        "endpoint_url": stage.s3.endpoint_url,
        "region": stage.s3.region,
        "image": image.NAME,
        "docker_host": os.environ["DOCKER_HOST"],
        "state_dir": str(stage.scratch / "state"),
    }


def ours(stage: Stage) -> Usage:
    """The module from its start to its end, with its container."""
    return module(stage, "duplicity_backup", job_of(stage))


def module(stage: Stage, name: str, job: dict[str, Any], *, containers: bool = True, **options: Any) -> Usage:
    """A module from its start to its end, with its container unless told otherwise."""
    paths = os.pathsep.join([str(COLLECTIONS), os.environ.get("PYTHONPATH", "")])
    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"])
    return process(
        [sys.executable, "-m", f"{MODULES}.{name}"],
        {**os.environ, "PYTHONPATH": paths},
        stage.s3,
        stdin=json.dumps({"ANSIBLE_MODULE_ARGS": {"job": job, **options}}),
        also=container_pids(client, f"permafrost.backup.job={job['name']}") if containers else None,
    )


def same_image(stage: Stage) -> Usage:
    """duplicity in our image with arguments and settings of our module, without the module: what the module adds."""
    job = Job.from_params(job_params(**job_of(stage)))
    spec = command.backup(job, str(stage.scratch), full=True, dry_run=False)
    secrets = stage.scratch / "secrets"
    secrets.mkdir(mode=0o700)
    for name, content in spec.secrets.items():
        (secrets / name).write_bytes(content)
    settings = [word for pair in spec.environment.items() for word in ("-e", "=".join(pair))]
    settings += ["-v", f"{secrets}:{SECRETS}:ro"]
    options = ["--volsize", "256", "--s3-multipart-chunk-size", "320", "--concurrency", "2", "--skip-if-no-change"]
    return _container(stage, image.NAME, settings, [*options, "--s3-use-deep-archive", "--numeric-owner"])


def bare_duplicity(stage: Stage) -> Usage:
    """Stock duplicity with its own gzip and the guide's volume size."""
    return _container(stage, STOCK_IMAGE, _KEYS, ["--s3-use-deep-archive", "--volsize", "1024"])


def bare_restore(stage: Stage, name: str, dest: str) -> Usage:
    """duplicity restore in an image, with an archive directory that is empty."""
    archive = ["--no-encryption", "--archive-dir", f"/scratch/archive of {dest}", "--tempdir", "/scratch"]
    target = ["--s3-endpoint-url", stage.s3.endpoint_url, f"s3://{stage.bucket}/bench", f"/scratch/{dest}"]
    return _docker(stage, name, _KEYS, ["restore", *archive, *target])


def _container(stage: Stage, name: str, settings: list[str], options: list[str]) -> Usage:
    common = ["--no-encryption", "--archive-dir", "/scratch/archive", "--tempdir", "/scratch"]
    target = ["--s3-endpoint-url", stage.s3.endpoint_url, "/source", f"s3://{stage.bucket}/bench"]
    return _docker(stage, name, settings, ["full", *common, *options, *target])


def _docker(stage: Stage, name: str, settings: list[str], words: list[str]) -> Usage:
    label = f"permafrost.bench={stage.bucket}"
    mounts = ["-v", f"{stage.source}:/source:ro", "-v", f"{stage.scratch}:/scratch", "--tmpfs", "/tmp"]
    run = ["docker", "run", "--rm", "--init", "--network", "host", "--label", label, *mounts, *settings, name]
    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"])
    variables = environment(stage, DOCKER_HOST=os.environ["DOCKER_HOST"])
    return process([*run, "duplicity", *words], variables, stage.s3, also=container_pids(client, label))


def restic(stage: Stage) -> Usage:
    """restic into STANDARD: it cannot work in an archive class."""
    variables = environment(
        stage,
        RESTIC_REPOSITORY=f"s3:{stage.s3.endpoint_url}/{stage.bucket}/bench",
        RESTIC_PASSWORD="bench",
        RESTIC_CACHE_DIR=str(stage.scratch / "cache"),
    )
    subprocess.run(["restic", "init", "--quiet"], env=variables, check=True, stdout=subprocess.DEVNULL)
    return process(["restic", "backup", "--quiet", str(stage.source)], variables, stage.s3)


def rclone(stage: Stage) -> Usage:
    """rclone copy, file by file."""
    return process(
        ["rclone", "copy", str(stage.source), f"lab:{stage.bucket}/bench"], rclone_environment(stage), stage.s3
    )


def rclone_environment(stage: Stage) -> dict[str, str]:
    """With the remote "lab"."""
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENV_AUTH": "true",
        "ENDPOINT": stage.s3.endpoint_url,
        "REGION": stage.s3.region,
        "STORAGE_CLASS": "DEEP_ARCHIVE",
    }
    return environment(stage, **{f"RCLONE_CONFIG_LAB_{key}": value for key, value in remote.items()})


def aws_sync(stage: Stage, prefix: str = "bench") -> Usage:
    """aws s3 sync, file by file."""
    to = f"s3://{stage.bucket}/{prefix}"
    return _sync(stage, "--storage-class", "DEEP_ARCHIVE", str(stage.source), to)


def aws_sync_back(stage: Stage, prefix: str, dest: Path) -> Usage:
    """aws s3 sync of what it has stored and somebody has thawed."""
    return _sync(stage, "--force-glacier-transfer", f"s3://{stage.bucket}/{prefix}", str(dest))


def _sync(stage: Stage, *words: str) -> Usage:
    argv = [str(aws_cli.AWS), "s3", "sync", "--only-show-errors", "--endpoint-url", stage.s3.endpoint_url]
    return process([*argv, *words], environment(stage), stage.s3)


CONTESTANTS: dict[str, Contestant] = {
    "permafrost.backup": ours,
    "its container alone": same_image,
    "bare duplicity, gzip": bare_duplicity,
    "restic": restic,
    "rclone copy": rclone,
    "aws s3 sync": aws_sync,
}


# What the module adds to its container does not need the rivals.
ALONE = ("permafrost.backup", "its container alone", "bare duplicity, gzip")


def listing(source: Path, s3: S3Lab, bucket: str) -> Usage:
    """duplicity_info with a pattern that fits little of a large backup: the module alone, without containers."""
    with stage(source, s3, bucket) as made:
        job = job_of(made)
        module(made, "duplicity_backup", job)
        return module(made, "duplicity_info", job, containers=False, files=True, pattern="*/file-999999.txt")


def measure(name: str, source: Path, s3: S3Lab, bucket: str, *, cold: bool) -> Usage:
    """One contestant on a fresh bucket; ``cold`` when nothing of a file is in memory: source, programs, libraries."""
    with stage(source, s3, bucket) as made:
        if cold:
            os.sync()
            _DROP_CACHES.write_text("3")
        return CONTESTANTS[name](made)


@contextmanager
def stage(source: Path, s3: S3Lab, bucket: str) -> Iterator[Stage]:
    """A fresh bucket; its objects and scratch files go away afterwards, and are off the disk before the next begins."""
    client: Any = s3.client()
    client.create_bucket(Bucket=bucket)
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=LAB / "bench"))
    try:
        yield Stage(source, bucket, s3, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for entry in s3.state(bucket):
            client.delete_object(Bucket=bucket, Key=entry["key"])
        os.sync()
