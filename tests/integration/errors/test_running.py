"""What can go wrong while duplicity runs: locks, other verbs, full disks, a busy S3."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from integration.errors.cases import BACKUP, INFO, PLAN, RESTORE
from integration.errors.playing import Task, play, refused, results, start, succeeded
from integration.errors.stage import Stage

from lab.kills import until


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of a few MB."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until the file system is full."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@contextmanager
def kept_full(path: Path) -> Iterator[None]:
    """Take what becomes free meanwhile, too: where a volume has gone, the next one would have just enough room."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(0.005):
            fill(path)

    filler = threading.Thread(target=keep)
    filler.start()
    try:
        yield
    finally:
        ended.set()
        filler.join()


def locked(lock_file: Path) -> bool:
    """Whether another process holds duplicity's lock."""
    inode = f":{lock_file.stat().st_ino}"
    return any(line.split()[5].endswith(inode) for line in Path("/proc/locks").read_text().splitlines())


@contextmanager
def foreign_duplicity(stage: Stage, archive: Path) -> Iterator[None]:
    """A duplicity that somebody started by hand in the archive directory of a job, busy with a slow S3."""
    stage.s3.fault(key_contains="foreign/", kind="latency", seconds=120)
    client = docker.from_env()
    command = ["full", "--no-encryption", "--archive-dir", "/archive", "--name", archive.name]
    command += ["--s3-endpoint-url", stage.s3.endpoint_url, "--s3-region-name", stage.s3.region]
    container = client.containers.run(
        stage.image,
        [*command, "/source", "s3://errors/foreign"],
        entrypoint=["duplicity"],
        network_mode="host",
        detach=True,
        init=True,
        environment={"AWS_ACCESS_KEY_ID": stage.s3.access_key, "AWS_SECRET_ACCESS_KEY": stage.s3.secret_key},
        volumes={str(archive.parent): {"bind": "/archive"}, str(stage.source): {"bind": "/source", "mode": "ro"}},
    )
    try:
        until(lambda: locked(archive / "lockfile"), "the lock")
        yield
    finally:
        container.remove(force=True)
        client.close()


def test_a_foreign_duplicity_in_the_archive_directory(stage: Stage) -> None:
    job = stage.job("before-the-lock")
    assert succeeded(play({"full": Task(BACKUP, {"job": job})}, stage.root)["full"])["changed"]
    archive = Path(job["state_dir"], job["name"], "archive", job["name"])
    (stage.source / "new for the lock").write_text("something to back up")
    tasks = {
        "backup": Task(BACKUP, {"job": job}),
        "check": Task(BACKUP, {"job": job}, check=True),
        "plan": Task(PLAN, {"job": job}),
        "restore": Task(RESTORE, {"job": job, "dest": str(stage.dest / "locked")}),
    }
    with stage.unchanged(), foreign_duplicity(stage, archive):
        failed = play(tasks, stage.root)
    for result in failed.values():
        refused(result, "lock_held", "Another duplicity", "Wait until it ends, or stop it.")
    assert succeeded(play({"after": tasks["backup"]}, stage.root)["after"])["changed"]


def test_too_little_temporary_space_at_the_start(stage: Stage) -> None:
    with small_disk(stage.root / "tiny", "2m") as disk, stage.unchanged():
        job = stage.job("cramped", "plain", temp_dir=str(disk))
        tasks = {
            "backup": Task(BACKUP, {"job": {**job, "target": "s3://errors/cramped"}}),
            "restore": Task(RESTORE, {"job": job, "dest": str(stage.dest / "cramped")}),
        }
        for result in play(tasks, stage.root).values():
            refused(result, "temporary_space", "Temp space has", "point job.temp_dir to a larger file system")


def test_a_temporary_directory_that_runs_full(stage: Stage) -> None:
    with small_disk(stage.root / "filling", "8m") as disk:
        job = stage.job("filling", temp_dir=str(disk), concurrency=0)
        before = stage.looks()
        stage.s3.fault(operation="PutObject", key_contains="filling/", kind="latency", seconds=2)
        running = start({"backup": Task(BACKUP, {"job": job})}, stage.root)
        until(lambda: list(disk.glob("permafrost-*/*/*")), "a volume in the making")
        with kept_full(disk / "filler"):
            refused(
                results(running.wait())["backup"], "temporary_space", "No space left", "point job.temp_dir to a larger"
            )
        came = stage.looks().items() - before.items()
        assert all(key.startswith("s3:filling/") and ".difftar" in key for key, _look in came), "volumes without a set"
        assert before.items() <= stage.looks().items(), "all else is as it was"
        (disk / "filler").unlink()
        stage.s3.clear_faults()
        seen = play({"info": Task(INFO, {"job": job}), "again": Task(BACKUP, {"job": job})}, stage.root)
        assert succeeded(seen["info"])["chains"] == []
        assert seen["info"]["last_success"] is None
        assert seen["info"]["last_run"]["cause"] == "temporary_space"
        assert succeeded(seen["again"])["action"] == "full"


def test_a_state_directory_that_is_full_or_runs_full(stage: Stage) -> None:
    with small_disk(stage.root / "brim", "24m") as disk:
        job = stage.job("brim", state_dir=str(disk), temp_dir=str(stage.root / "brim temp"), concurrency=0)
        tasks = {
            "backup": Task(BACKUP, {"job": job}),
            "restore": Task(RESTORE, {"job": job | {"target": "s3://errors/plain"}, "dest": str(stage.dest / "brim")}),
        }
        fill(disk / "filler")
        with stage.unchanged():
            for result in play(tasks, stage.root).values():
                refused(result, "state_space", str(disk), "Free space there")
        (disk / "filler").unlink()
        stage.s3.fault(operation="PutObject", key_contains="brim/", kind="latency", seconds=2)
        running = start({"backup": tasks["backup"]}, stage.root)
        until(lambda: list((stage.root / "brim temp").glob("*/*/*")), "a volume in the making")
        fill(disk / "filler")
        refused(results(running.wait())["backup"], "state_space", str(disk), "an interrupted backup resumes")
        assert not [key for key in stage.keys("brim") if "manifest" in key]
        (disk / "filler").unlink()
        stage.s3.clear_faults()
        assert succeeded(play({"again": tasks["backup"]}, stage.root)["again"])["action"] == "full"


def test_another_verb_is_refused_while_a_backup_runs_and_told_since_when(stage: Stage, tmp_path: Path) -> None:
    shutil.copytree(stage.source, tmp_path / "source")
    vanishing = tmp_path / "source" / "zz vanishes"
    vanishing.write_text("listed, and gone when duplicity looks at it")
    job = stage.job("busy", source=str(tmp_path / "source"), concurrency=0, on_unreadable="warn")
    stage.s3.fault(operation="PutObject", key_contains="busy/", kind="latency", seconds=12)
    running = start({"backup": Task(BACKUP, {"job": job})}, stage.root)
    mark = stage.s3.mark()
    temporary = Path(job["state_dir"], job["name"], "tmp")
    until(lambda: list(temporary.glob("*/*")), "a volume in the making")
    time.sleep(4)
    vanishing.unlink()
    others = {
        "restore": Task(RESTORE, {"job": job, "dest": str(stage.dest / "busy")}),
        "plan": Task(PLAN, {"job": job}),
        "info": Task(INFO, {"job": job}),
    }
    for result in play(others, stage.root).values():
        refused(result, "busy", f"The backup of job {job['name']} runs since 20", "docker stop")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["error"]["since"])
        assert result["error"]["verb"] == "backup"
    stage.s3.clear_faults()
    done = succeeded(results(running.wait())["backup"])
    assert (done["action"], done["unreadable"]) == ("full", ["zz vanishes"]), "stock duplicity would not tell"
    assert mark <= stage.s3.mark()
    listing = play({"info": Task(INFO, {"job": job, "files": True, "pattern": "zz*"})}, stage.root)["info"]
    assert succeeded(listing)["matched_count"] == 0, "it vanished before it was read, so it is not in the backup"


def test_a_busy_s3_does_not_end_a_backup_or_a_restore(stage: Stage) -> None:
    job = stage.job("throttled")
    mark = stage.s3.mark()
    for operation, count in (("PutObject", 3), ("ListObjectsV2", 2), ("GetObject", 3)):
        stage.s3.fault(operation=operation, key_contains=None, kind="503", count=count)
    tasks = {
        "backup": Task(BACKUP, {"job": job}),
        "restore": Task(RESTORE, {"job": job, "dest": str(stage.dest / "throttled")}),
    }
    done = play(tasks, stage.root)
    for result in done.values():
        succeeded(result)
    slowed = [entry for entry in stage.s3.requests(mark) if entry["status"] == 503]
    assert len(slowed) == 8
    compared = subprocess.run(["diff", "-r", str(stage.source), str(stage.dest / "throttled")], check=False)
    assert compared.returncode == 0
