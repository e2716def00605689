"""The volume rule equals the real `duplicity restore --dry-run`, on a real chain, for many paths.

The chain lies in a bucket of the lab's S3 server; each question is a container of its own, with the command line of the
collection's builder, run in groups beside each other.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import command, log, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from lab.s3.client_api import S3Lab
from unit import stage as stages
from unit.awkward import NAMES

PATHS = 40
SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class RealChain:
    """A full and two incrementals in the bucket, with their manifests, and all paths that they ever held."""

    stage: stages.Stage
    job: Job
    sets: list[manifest.BackupSet]
    manifests: dict[str, list[manifest.Volume]]
    paths: list[bytes]


def _write(top: Path, chance: random.Random, round_number: int) -> None:
    """Directories in directories, files from nothing to some volumes, and awkward names; then changes."""
    for number in range(40):
        folder = top.joinpath(*(f"d{chance.randrange(3)}" for _level in range(chance.randrange(4))))
        folder.mkdir(parents=True, exist_ok=True)
        size = chance.choice([0, 10, 5_000, 400_000, 1_500_000])
        (folder / f"f{number}-{chance.randrange(3) if round_number else 0}").write_bytes(chance.randbytes(size))
    for name in NAMES:
        if b"/" not in name and chance.random() < 0.5:
            (top / os.fsdecode(name)).write_bytes(chance.randbytes(300_000))


def _paths(top: Path) -> set[bytes]:
    raw = os.fsencode(top)
    return {os.fsencode(path)[len(raw) + 1 :] for path in top.rglob("*")}


@pytest.fixture(scope="module")
def chain(s3_server: S3Lab, image: str) -> Iterator[RealChain]:
    """The chain is only read."""
    chance = random.Random(20261122)
    with stages.stage(s3_server, "volume-rule", image=image, skip_if_no_change=False, name="rule") as stage:
        paths: set[bytes] = set()
        for round_number in range(3):
            _write(stage.source, chance, round_number)
            paths |= _paths(stage.source)
            assert stage.backup().exit_code == 0
            for victim in chance.sample(sorted(path for path in stage.source.rglob("f*") if path.is_file()), 5):
                victim.unlink()
        job = stage.job()
        names = [entry["key"].removeprefix(job.key_prefix) for entry in s3_server.state(stage.name)]
        (found,) = manifest.collect(names).chains
        local = Path(job.archive_dir, job.name)
        manifests = {
            one.manifest_stem: manifest.parse_manifest((local / one.manifest_stem).read_bytes()) for one in found.sets
        }
        yield RealChain(stage, job, found.sets, manifests, sorted(paths))


def _ask(chain: RealChain, number: int, path: str, time: datetime) -> set[str]:
    """The volumes that duplicity itself would read, in a run beside others: with its own copy of everything."""
    run_dir = str(chain.stage.directory / f"run-{number}")
    spec = command.restore_dry_run(chain.job, run_dir, path=path, time=time)
    ran = chain.stage.run_apart(chain.job, spec, number)
    assert ran.exit_code == 0, ran.output
    run = log.summarize(log.parse(ran.log.decode("utf-8", "surrogateescape").split("\n")))
    assert run.required_volumes is not None
    return set(run.required_volumes)


def _questions(chain: RealChain) -> list[tuple[str, datetime]]:
    """The whole tree at each time; then paths that are there, parts of them, and paths that never were."""
    chance = random.Random(7)
    times = [one.end for one in chain.sets]
    known = [path.decode() for path in chain.paths if _is_plain(path)]
    asked = [("", time) for time in times]
    while len(asked) < PATHS:
        path = chance.choice(known)
        path = chance.choice([path, path, path.rpartition("/")[0], path + "0", path[:-1], f"{path}/below"])
        if path.strip("/") and not path.startswith("/") and not path.endswith("/"):
            asked.append((path, chance.choice(times)))
    return asked


def _is_plain(name: bytes) -> bool:
    return os.fsdecode(name).isprintable() or b"\n" in name


def test_the_chain_asks_something_of_the_rule(chain: RealChain) -> None:
    assert [one.kind for one in chain.sets] == ["full", "incremental", "incremental"]
    assert sum(len(volumes) for volumes in chain.manifests.values()) >= 20


def test_the_rule_equals_the_dry_run(chain: RealChain) -> None:
    questions = _questions(chain)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        replies = list(pool.map(lambda one: _ask(chain, one[0], *one[1]), enumerate(questions)))
    wrong = []
    for (path, time), theirs in zip(questions, replies):
        sets = [one for one in chain.sets if one.end <= time]
        ours = {str(one.name) for one in manifest.needed_volumes(sets, chain.manifests, manifest.path_index(path))}
        if ours != theirs:
            wrong.append((path, time, ours ^ theirs))
    assert wrong == []
    assert len({frozenset(reply) for reply in replies}) > 10, "the questions must have many different answers"
