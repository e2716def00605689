"""Restores to a destination that is not new: nothing to do, a refusal, or a replacement; and what refuses to begin."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import pytest
from integration.conftest import RunPlaybook

from lab import kills, trees
from lab.s3.client_api import S3Lab

BUCKET = "restore-again"
NO_IMAGE = "permafrost-lab/no-such-image:latest"
# The real calls, and a kill right after the old tree was moved aside.
BETWEEN_RENAMES = """
import os, signal
rename = os.rename
def killing(source, target, **more):
    rename(source, target, **more)
    if str(target).endswith("permafrost-old"):
        os.kill(os.getpid(), signal.SIGKILL)
os.rename = killing
"""


@dataclass(frozen=True)
class Backed:
    """A job with two sets, and what the source was at each."""

    job: dict[str, Any]
    root: Path
    times: tuple[str, str]
    trees: tuple[dict[bytes, trees.Entry], dict[bytes, trees.Entry]]

    def restore(self, dest: Path, **options: Any) -> dict[str, Any]:
        return kills.run("duplicity_restore", **{"job": self.job, "dest": str(dest), **options})

    def leftovers(self) -> list[str]:
        return [path.name for path in self.root.iterdir() if "permafrost" in path.name]


@pytest.fixture(scope="module")
def backed(s3_server: S3Lab, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    """Made once; each test has a destination of its own."""
    s3_server.clear_faults()
    s3_server.client().create_bucket(Bucket=BUCKET)
    root = tmp_path_factory.mktemp("again")
    name = f"again-{os.getpid()}"
    job = {
        "name": name,
        "source": str(root / "source"),
        "target": f"s3://{BUCKET}/web01/data",
        "volume_size": 1,
        "storage_class": "STANDARD",
        "encryption": {"mode": "none"},
        "credentials": {"access_key": s3_server.access_key, "secret_key": s3_server.secret_key},
        "endpoint_url": s3_server.endpoint_url,
        "region": s3_server.region,
        "image": image,
        "docker_host": os.environ["DOCKER_HOST"],
        "state_dir": str(root / "state"),
    }
    source = root / "source"
    trees.make(source, files=40)
    (source / "random").write_bytes(os.urandom(1_500_000))
    times, snapshots = [], []
    for round_number in (1, 2):
        snapshots.append(trees.snapshot(source))
        times.append(kills.succeeded(kills.run("duplicity_backup", job=job))["set"]["time"])
        if round_number == 1:
            time.sleep(1.1)
            trees.change(source, 1)
    yield Backed(job, root, (times[0], times[1]), (snapshots[0], snapshots[1]))
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": f"{kills.LABEL}={name}"}):
        container.remove(force=True)
    client.close()


def test_the_same_restore_again_is_no_change(backed: Backed, s3: S3Lab) -> None:
    dest = backed.root / "same"
    first = kills.succeeded(backed.restore(dest))
    kills.same(backed.trees[1], dest)
    on_disk = trees.snapshot(dest).values()
    assert first["changed"] is True
    assert first["restored"]["files"] == sum(one.type == "file" for one in on_disk)
    assert first["restored"]["size_bytes"] == sum(one.size or 0 for one in on_disk if one.type == "file")
    shutil.move(dest, backed.root / "moved")
    subprocess.run(["cp", "-a", "moved", "same"], cwd=backed.root, check=True)
    mark = s3.mark()
    for options in ({}, {"time": backed.times[1]}, {"force": True}):
        again = kills.succeeded(backed.restore(dest, **options, job={**backed.job, "image": NO_IMAGE}))
        assert (again["changed"], again["restored"]) == (False, first["restored"])
    assert {one["operation"] for one in s3.requests(mark)} == {"ListObjectsV2"}


def test_what_is_not_the_same_is_refused(backed: Backed) -> None:
    dest = backed.root / "changed"
    kills.succeeded(backed.restore(dest, path="awkward"))
    for options, word in (
        ({"path": "awkward", "time": backed.times[0]}, f"holds another restore: 'awkward' of {backed.times[1]}"),
        ({}, "wanted is '' of"),
    ):
        refused = backed.restore(dest, **options)
        assert kills.cause(refused) == "destination_not_empty"
        assert word in refused["msg"]
    file = dest / "links" / "file"
    content, found = file.read_bytes(), file.stat()
    file.write_bytes(content)
    refused = backed.restore(dest, path="awkward")
    assert kills.cause(refused) == "destination_not_empty"
    assert "was changed since" in refused["msg"]
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert kills.succeeded(backed.restore(dest, path="awkward"))["changed"] is False


def test_force_shows_what_it_replaces_and_does_it(backed: Backed, playbook: RunPlaybook) -> None:
    dest = backed.root / "forced"
    kills.succeeded(backed.restore(dest, time=backed.times[0]))
    (dest / "mine\n").write_text("only here")
    before = trees.snapshot(dest)
    options = {"job": backed.job, "dest": str(dest), "force": True}
    run = playbook([{"permafrost.backup.duplicity_restore": options}], "--check", "--diff")
    result = run.result("duplicity_restore")
    assert trees.snapshot(dest) == before
    assert result["changed"] is True
    replaced, diff = result["replaced"], result["diff"]
    one, two = before.keys() - {b"."}, trees.kept(backed.trees[1]).keys() - {b"."}
    assert replaced["removed_count"] == len(one - two) == len(replaced["removed"])
    assert replaced["new_count"] == len(two - one) == len(replaced["new"])
    assert replaced["changed_count"] + replaced["same_count"] == len(one & two)
    altered = {
        path
        for path in one & two
        if before[path].type != backed.trees[1][path].type
        or (before[path].mtime != backed.trees[1][path].mtime and before[path].type != "symlink")
    }
    assert replaced["changed_count"] == len(altered) > 0
    assert "mine\\n (reg, " in diff["before"]
    assert "\n-mine\\n (reg, " in run.output
    real = kills.succeeded(backed.restore(dest, force=True))
    assert (real["changed"], real["replaced"]) == (True, replaced)
    kills.same(backed.trees[1], dest)
    assert backed.leftovers() == []


def test_a_replacement_that_is_killed_between_its_renames(backed: Backed) -> None:
    dest = backed.root / "killed"
    dest.mkdir()
    (dest / "old").write_text("old")
    options = {"job": backed.job, "dest": str(dest), "path": "awkward", "force": True}
    task = kills.ModuleProcess("duplicity_restore", prelude=BETWEEN_RENAMES, **options)
    assert task.ended() == {}
    assert task.process.returncode == -signal.SIGKILL
    assert not dest.exists()
    assert len(backed.leftovers()) == 2
    kills.succeeded(kills.run("duplicity_info", job=backed.job))
    kills.same(trees.below(backed.trees[1], "awkward"), dest)
    assert backed.leftovers() == []
    assert kills.succeeded(kills.run("duplicity_restore", **options))["changed"] is False


def test_a_file_and_a_link(backed: Backed) -> None:
    expected = backed.trees[1]
    for path in ("awkward/links/dangling", "random"):
        dest = backed.root / path.rpartition("/")[2]
        kills.succeeded(backed.restore(dest, path=path))
        assert trees.differences({b".": expected[path.encode()]}, trees.snapshot(dest)) == []
        assert kills.succeeded(backed.restore(dest, path=path))["changed"] is False
    dest.write_text("changed")
    assert kills.cause(backed.restore(dest, path="random")) == "destination_not_empty"
    refused = backed.restore(dest, path="awkward", force=True)
    assert "is a file, and what would replace it is a directory" in refused["msg"]
    assert dest.read_text() == "changed"


def test_copies_that_expire_too_early(backed: Backed, s3: S3Lab) -> None:
    prefix = "expiring/data/"
    client = s3.client()
    for entry in s3.state(BUCKET, "web01/data/"):
        body = client.get_object(Bucket=BUCKET, Key=entry["key"])["Body"].read()
        storage_class = "GLACIER" if ".difftar" in entry["key"] else "STANDARD"
        key = prefix + entry["key"].rpartition("/")[2]
        client.put_object(Bucket=BUCKET, Key=key, Body=body, StorageClass=storage_class)
    job = {**backed.job, "name": f"{backed.job['name']}-cold", "target": f"s3://{BUCKET}/expiring/data"}
    keys = [entry["key"] for entry in s3.state(BUCKET, prefix) if ".difftar" in entry["key"]]
    service = {name: job[name] for name in ("credentials", "endpoint_url", "region")}
    kills.succeeded(kills.run("glacier_restore", bucket=BUCKET, keys=keys, tier="Expedited", days=1, **service))
    s3.advance(hours=0.2)
    dest = backed.root / "expiring"
    size_mb = sum(client.head_object(Bucket=BUCKET, Key=key)["ContentLength"] for key in keys) / 2**20
    refused = backed.restore(dest, job=job, expected_rate=size_mb / (3 * 86400))
    assert kills.cause(refused) == "copies_expire"
    verified = kills.run("duplicity_verify", job=job, mode="source", expected_rate=size_mb / (3 * 86400))
    assert kills.cause(verified) == "copies_expire"
    assert sorted(refused["error"]["expiring"]) == sorted(keys)
    expires = datetime.fromisoformat(refused["error"]["first_expiry"]).timestamp()
    end = datetime.fromisoformat(refused["error"]["estimated_end"]).timestamp()
    assert abs(end - time.time() - 3 * 86400) < 60
    s3.advance(seconds=expires - time.time() + 1)
    assert kills.cause(backed.restore(dest, job=job)) == "volumes_frozen"
    assert not dest.exists()


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A file system of its own at that place."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_no_room(backed: Backed) -> None:
    """Before it begins where that is sure; else the run says so, and nothing is in place."""
    with mounted(backed.root / "small", "size=1m") as small:
        refused = backed.restore(small / "dest", time=backed.times[0])
        assert kills.cause(refused) == "destination_space"
        assert "elapsed_seconds" not in refused
        assert refused["error"]["needed_bytes"] > refused["error"]["free_bytes"]
        assert kills.cause(backed.restore(small / "dest")) == "destination_space"
        assert list(small.iterdir()) == []


def test_no_inodes(backed: Backed) -> None:
    with mounted(backed.root / "few", "nr_inodes=8") as few:
        refused = backed.restore(few / "dest", path="awkward")
        assert kills.cause(refused) == "destination_space"
        expected = trees.kept(trees.below(backed.trees[1], "awkward"))
        assert refused["error"]["needed_inodes"] == len(expected) > refused["error"]["free_inodes"]


def test_a_mount_point_is_filled(backed: Backed) -> None:
    expected = trees.below(backed.trees[1], "awkward")
    with mounted(backed.root / "point", "mode=0700") as point:
        (point / "lost+found").mkdir()
        kills.succeeded(backed.restore(point, path="awkward"))
        found = trees.snapshot(point)
        found.pop(b"lost+found")
        assert trees.differences(expected, found) == []
        assert kills.succeeded(backed.restore(point, path="awkward"))["changed"] is False
        (point / "mine").touch()
        assert kills.cause(backed.restore(point, path="awkward")) == "destination_not_empty"
        forced = kills.succeeded(backed.restore(point, path="awkward", force=True))
        assert forced["replaced"]["removed"] == ["mine"]
        (point / "lost+found").rmdir()
        os.utime(point, (0, expected[b"."].mtime))
        kills.same(expected, point)
        assert point.is_mount()
