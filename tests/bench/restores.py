"""Restores from thawed volumes on a host that lost everything: ours, bare duplicity, aws s3 sync of the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bench import contestants
from bench.contestants import STOCK_IMAGE, Stage
from bench.measure import Usage
from lab.s3.client_api import S3Lab

_MOST, _AND_SECONDS = 1.1, 1.0
OURS, BARE, SYNC, PROOF = "permafrost.backup", "bare duplicity", "aws s3 sync", "our proof, apart"


def measure(source: Path, s3: S3Lab, bucket: str, rounds: int) -> dict[str, list[Usage]]:
    """Each as often as there are rounds, in turns, so that a busy moment of the machine hits all.

    What was restored stays until the end. ext4 looks for a new file's inode past those that were deleted in the last
    minutes one by one, so a restore that follows a removal of 20,000 files would take two to five times as long.
    """
    found: dict[str, list[Usage]] = {OURS: [], BARE: [], SYNC: [], PROOF: []}
    with contestants.stage(source, s3, bucket) as stage:
        contestants.ours(stage)
        contestants.aws_sync(stage, "files")
        _thaw(stage)
        for number in range(rounds):
            job = {**contestants.job_of(stage), "state_dir": str(stage.scratch / f"new host {number}")}
            dest = stage.scratch / f"ours {number}"
            found[OURS].append(_restore(stage, job, dest))
            found[PROOF].append(contestants.module(stage, "duplicity_prove", job, dest=str(dest)))
            found[BARE].append(contestants.bare_restore(stage, STOCK_IMAGE, f"bare-{number}"))
            found[SYNC].append(contestants.aws_sync_back(stage, "files", stage.scratch / f"sync {number}"))
            for place in (dest, stage.scratch / f"bare-{number}", stage.scratch / f"sync {number}"):
                _require_same(source, place)
                _forget(place)
    return found


def _forget(place: Path) -> None:
    """Out of memory with it: on a virtual machine, memory that no round had used before costs several times as much."""
    os.sync()
    for one in place.rglob("*"):
        if one.is_file():
            with one.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def limit(bare: Usage) -> float:
    """What ours may take, in seconds."""
    return _MOST * bare.wall + _AND_SECONDS


def _restore(stage: Stage, job: dict[str, Any], dest: Path) -> Usage:
    return contestants.module(stage, "duplicity_restore", job, dest=str(dest), prove=False)


def _thaw(stage: Stage) -> None:
    """Thaw all there is; how fast that may be asked for is not what is measured here."""
    client, before = stage.s3.client(), stage.s3.restore_limit(None)
    for entry in stage.s3.state(stage.bucket):
        if ".difftar" in entry["key"] or entry["key"].startswith("files/"):
            client.restore_object(
                Bucket=stage.bucket,
                Key=entry["key"],
                RestoreRequest={"Days": 30, "GlacierJobParameters": {"Tier": "Standard"}},
            )
    stage.s3.restore_limit(before)
    stage.s3.advance(hours=13)


def _require_same(source: Path, place: Path) -> None:
    def sizes(top: Path) -> dict[str, int]:
        return {str(one.relative_to(top)): one.stat().st_size for one in top.rglob("*") if one.is_file()}

    if sizes(source) != sizes(place):
        raise RuntimeError(f"{place} is not what was backed up")
