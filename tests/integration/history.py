"""What tests of cleanups share: three chains that the real duplicity wrote, copies of them, and the cleanup."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import cleaning
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CREDENTIALS
from ansible_collections.permafrost.backup.plugins.modules import duplicity_cleanup
from lab import trees
from lab.s3.client_api import S3Lab
from unit import stage as stages

BUCKET = "cleanup"
# The fulls and incrementals of the history: three chains.
KINDS = ("full", "inc", "inc", "full", "inc", "full")
# A host without an engine that answers.
NO_ENGINE = {"docker_host": "unix:///nowhere/docker.sock"}


@dataclass(frozen=True)
class History:
    """Three chains below one prefix, which tests copy; ``trees`` is the source at the time of each set."""

    s3: S3Lab
    stage: stages.Stage
    image: str
    times: list[datetime]
    trees: list[dict[bytes, trees.Entry]]

    def job(self, prefix: str, state_dir: Path, **changes: Any) -> dict[str, Any]:
        """A task's job for a copy, as its own host has it."""
        made = self.stage.job()
        return {
            "name": made.name,
            "source": str(self.stage.source),
            "target": f"s3://{BUCKET}/{prefix}",
            "storage_class": "STANDARD",
            "volume_size": 1,
            "encryption": {"mode": "none"},
            "credentials": {"access_key": self.s3.access_key, "secret_key": self.s3.secret_key},
            "endpoint_url": self.s3.endpoint_url,
            "region": self.s3.region,
            "image": self.image,
            "docker_host": os.environ["DOCKER_HOST"],
            "state_dir": str(state_dir),
            **changes,
        }

    def copy(self, prefix: str, state_dir: Path | None = None, volumes: str = "STANDARD") -> None:
        """The bucket's part below another prefix, in the order in which it was written; and the archive directory.

        ``volumes`` is their storage class.
        """
        client, made = self.s3.client(), self.stage.job()
        entries = client.list_objects_v2(Bucket=BUCKET, Prefix=made.key_prefix)["Contents"]
        for entry in sorted(entries, key=lambda one: one["LastModified"]):
            key = prefix + "/" + entry["Key"].removeprefix(made.key_prefix)
            storage_class = volumes if ".difftar" in key else "STANDARD"
            source = {"Bucket": BUCKET, "Key": entry["Key"]}
            client.copy_object(Bucket=BUCKET, Key=key, CopySource=source, StorageClass=storage_class)
        if state_dir:
            shutil.copytree(made.archive_dir, state_dir / made.name / "archive")

    def keys(self, prefix: str) -> set[str]:
        """File names below a prefix."""
        return {entry["key"].removeprefix(f"{prefix}/") for entry in self.s3.state(BUCKET, f"{prefix}/")}


@contextmanager
def written(s3: S3Lab, image: str) -> Iterator[History]:
    """The history, as the real duplicity writes it."""
    with stages.stage(s3, BUCKET, image=image, skip_if_no_change=False, name=f"cleaned-{os.getpid()}") as stage:
        times, snapshots = [], []
        stage.source.rmdir()
        trees.make(stage.source, files=20)
        (stage.source / "data").write_bytes(os.urandom(2_500_000))
        for turn, kind in enumerate(KINDS):
            trees.next_second()
            trees.change(stage.source, turn)
            snapshots.append(trees.snapshot(stage.source))
            ran = stage.backup(full=kind == "full")
            assert ran.exit_code == 0, ran.output
            newest = max(Path(stage.job().archive).glob("*.manifest"), key=lambda path: path.stat().st_mtime)
            stamp = re.findall(r"\d{8}T\d{6}Z", newest.name)[-1]
            times.append(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc))
        yield History(s3, stage, image, times, snapshots)


def stages_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def chain_times(history: History) -> list[list[str]]:
    chains: list[list[str]] = []
    for kind, time_of_set in zip(KINDS, history.times):
        if kind == "full":
            chains.append([])
        chains[-1].append(stages_time(time_of_set))
    return chains


def cleanup(job: dict[str, Any], *, check: bool = False, **options: Any) -> dict[str, Any]:
    """What the module does, without a process for each question."""
    defaults = {name: option.get("default") for name, option in duplicity_cleanup.SPEC.items()}
    credentials = {**dict.fromkeys(CREDENTIALS["options"]), **job["credentials"]}
    params = stages.job_params(**{**job, "credentials": credentials})
    return cleaning.work({**defaults, "job": params, **options}, check)
