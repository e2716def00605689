"""What a restore of one path thaws, beside what duplicity then reads: by the server's log, path by path.

Before each path all volumes are frozen again, so duplicity could not read another one if it tried.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import restoring, thawing
from ansible_collections.permafrost.backup.plugins.modules import glacier_restore, glacier_restore_info
from bench import contestants
from bench.contestants import STOCK_IMAGE, Stage
from bench.measure import tree_bytes
from lab.s3.client_api import S3Lab
from unit.stage import job_params

PATHS, LEAST_VOLUMES = 200, 200
_TREE_BYTES, _SETS = 230_000_000, 4
_SMALLEST, _LARGEST = 2_000, 3_000_000


@dataclass
class Found:
    """One path: the bytes that were thawed for it and those that duplicity read, of the volumes of its chain."""

    path: str
    thawed: int
    read: int
    chain: int


def measure(s3: S3Lab) -> tuple[int, list[Found]]:
    """The volumes of the chain, and each path."""
    chance = random.Random(4)
    with contestants.stage(Path(), s3, "minimal") as empty:
        stage = Stage(empty.scratch / "tree", empty.bucket, s3, empty.scratch)
        job = {**contestants.job_of(stage), "volume_size": 1}
        _back_up(stage, job, chance)
        volumes = {one["key"]: one["size"] for one in s3.state(stage.bucket) if ".difftar" in one["key"]}
        names = sorted(str(one.relative_to(stage.source)) for one in stage.source.rglob("*"))
        with _container(stage) as container:
            paths = [_one(stage, job, path, container) for path in chance.sample(names, PATHS)]
    for one in paths:
        one.chain = sum(volumes.values())
    return len(volumes), paths


def _back_up(stage: Stage, job: dict[str, Any], chance: random.Random) -> None:
    """A full, and incrementals of some changed and some new files."""
    left, number = _TREE_BYTES, 0
    while left > 0:
        size = int(_SMALLEST * (_LARGEST / _SMALLEST) ** chance.random())
        _write(stage.source / f"{number % 40:02}" / f"file-{number:04}.bin", size, chance)
        left, number = left - size, number + 1
    contestants.module(stage, "duplicity_backup", job)
    for turn in range(1, _SETS):
        time.sleep(1.1)  # sets are named by seconds
        for changed in chance.sample(range(number), number // 20):
            path = stage.source / f"{changed % 40:02}" / f"file-{changed:04}.bin"
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + chance.randbytes(20_000))
        _write(stage.source / f"new-{turn}" / "file.bin", 500_000, chance)
        contestants.module(stage, "duplicity_backup", job)


def _write(path: Path, size: int, chance: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(chance.randbytes(size))


def _one(stage: Stage, job: dict[str, Any], path: str, container: str) -> Found:
    """Plan and thaw as the modules do, then let duplicity restore straight from the bucket."""
    given = {**_defaults(glacier_restore_info.SPEC), "job": job_params(**job), "path": path, "time": "now"}
    plan = restoring.plan(given, False)["plan"]
    mark = stage.s3.mark()
    thawing.work(_thaw_options(stage, [one["key"] for one in plan["volumes"]]), False)
    stage.s3.advance(hours=13)
    _restore(stage, path, container)
    log = stage.s3.requests(mark)
    stage.s3.advance(hours=72)
    return Found(
        path=path,
        thawed=sum(one["size"] for one in log if one["operation"] == "RestoreObject" and one["status"] == 202),
        read=sum(one["bytes_out"] for one in log if one["operation"] == "GetObject" and ".difftar" in one["key"]),
        chain=0,
    )


def _thaw_options(stage: Stage, keys: list[str]) -> dict[str, Any]:
    pair = {"access_key": stage.s3.access_key, "secret_key": stage.s3.secret_key}
    where = {"bucket": stage.bucket, "endpoint_url": stage.s3.endpoint_url, "region": stage.s3.region}
    wanted = {"credentials": pair, "keys": keys, "tier": "Standard", "days": 1}
    return {**_defaults(glacier_restore.SPEC), **where, **wanted}


def _defaults(spec: dict[str, Any]) -> dict[str, Any]:
    """A module's options as they are for who gives none."""
    return {name: option.get("default") for name, option in spec.items()}


@contextmanager
def _container(stage: Stage) -> Iterator[str]:
    """One that waits for commands, with an archive directory that is filled by the first of them."""
    keys = [f"-e{name}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    run = ["docker", "run", "--detach", "--rm", "--init", "--network", "host", "-v", f"{stage.scratch}:/scratch", *keys]
    argv = [*run, "-eHOME=/tmp", "--tmpfs", "/tmp", "--entrypoint", "sleep", STOCK_IMAGE, "infinity"]
    environment = contestants.environment(stage)
    made = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield made
    finally:
        subprocess.run(["docker", "rm", "--force", made], check=True, capture_output=True)


def _restore(stage: Stage, path: str, container: str) -> None:
    back = stage.scratch / "back"
    words = ["duplicity", "restore", "--no-encryption", "--archive-dir", "/scratch/archive", "--tempdir", "/scratch"]
    words += ["--path-to-restore", path, "--s3-endpoint-url", stage.s3.endpoint_url]
    argv = ["docker", "exec", container, *words, f"s3://{stage.bucket}/bench", "/scratch/back"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    source = stage.source / path
    if done.returncode or _size(back) != _size(source):
        raise RuntimeError(f"{path} was not restored:\n{done.stdout[-3000:]}")
    if back.is_dir():
        shutil.rmtree(back)
    else:
        back.unlink()


def _size(path: Path) -> int:
    return tree_bytes(path) if path.is_dir() else path.stat().st_size
