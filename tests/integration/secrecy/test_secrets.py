"""The passphrase and the AWS secrets are nowhere but where they must be, whatever runs and however it ends."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import docker
import pytest
from integration.secrecy.finder import Finder, Hit, watching

from lab import play
from lab.s3.client_api import S3Lab

SECRETS = {
    "passphrase": f"canary of the passphrase 5d1f {os.getpid()}",
    "wrong passphrase": f"canary of a wrong passphrase 77a0 {os.getpid()}",
    "secret key": f"canarySECRETkey/0123456789abcdef+ABCDEF{os.getpid()}",
    "session token": f"canarySESSIONtoken//0123456789abcdef{os.getpid()}==",
}
ACCESS_KEY = "CANARYACCESSKEY00001"
TMPFS = ("/run", "/dev/shm")
Job = dict[str, Any]


@pytest.fixture
def secret_job(s3: S3Lab, job: Job, tmp_path: Path) -> Job:
    """A job whose every secret is a canary."""
    s3.add_key(ACCESS_KEY, SECRETS["secret key"])
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(bytes(range(256)) * 4000)
    return {
        **job,
        "encryption": {"mode": "symmetric", "passphrase": SECRETS["passphrase"]},
        "credentials": {
            "access_key": ACCESS_KEY,
            "secret_key": SECRETS["secret key"],
            "session_token": SECRETS["session token"],
        },
        "storage_class": "STANDARD",
        "temp_dir": str(tmp_path / "temporary"),
    }


def tasks(job: Job, dest: Path) -> list[dict[str, Any]]:
    """Every module, as it succeeds and as it fails."""
    wrong = {**job, "encryption": {"mode": "symmetric", "passphrase": SECRETS["wrong passphrase"]}}
    nowhere = {**job, "target": "s3://no-such-bucket/here"}
    service = {key: job[key] for key in ("credentials", "endpoint_url", "region")}
    bucket = job["target"].split("/")[2]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("duplicity_backup", {"job": job}),
        ("duplicity_backup", {"job": wrong}),
        ("duplicity_backup", {"job": wrong, "full": True}),
        ("duplicity_backup", {"job": nowhere}),
        ("duplicity_backup", {"job": {**job, "source": "/nonexistent"}}),
        ("duplicity_backup", {"job": {**job, "image": "no-such-image:latest", "state_dir": job["state_dir"] + "2"}}),
        ("duplicity_info", {"job": job, "files": True}),
        ("duplicity_info", {"job": {**wrong, "state_dir": job["state_dir"] + "3"}}),
        ("glacier_restore_info", {"job": job}),
        ("duplicity_restore", {"job": job, "dest": str(dest)}),
        ("duplicity_restore", {"job": wrong, "dest": str(dest) + "2"}),
        ("duplicity_restore", {"job": job, "dest": str(dest)}),
        ("glacier_restore", {**service, "bucket": bucket, "keys": ["no-such-key"]}),
        ("duplicity_backup", {"job": job, "no_such_option": 1}),
        ("duplicity_backup", {"job": {**job, "credentials": {**job["credentials"], "no_such_option": 1}}}),
    ]
    return [
        {"name": f"{number} {module}", f"permafrost.backup.{module}": options, "ignore_errors": True}
        for number, (module, options) in enumerate(calls)
    ]


def allowed(hit: Hit, job: Job) -> bool:
    """The one place: a file 0600 in a directory 0700 of this job on a tmpfs."""
    inside = any(hit.place.startswith(f"{top}/permafrost/{job['name']}-") for top in TMPFS)
    return hit.kind == "file" and inside and (hit.mode, hit.directory_mode) == (0o600, 0o700)


def test_no_secret_leaves_its_place(s3: S3Lab, secret_job: Job, tmp_path: Path) -> None:
    finder = Finder(SECRETS)
    work = tmp_path / "plays"  # what the user wrote: it holds the secrets, and nobody looks there
    work.mkdir()
    engine_root = Path(docker.from_env().info()["DockerRootDir"], "containers")
    places = [secret_job["state_dir"], secret_job["state_dir"] + "2", secret_job["state_dir"] + "3"]
    places += [secret_job["temp_dir"], str(engine_root), str(tmp_path / "restored"), *TMPFS]
    s3.fault(operation="PutObject", kind="latency", seconds=0.7)
    s3.fault(operation="GetObject", kind="latency", seconds=0.3)
    with watching(finder.processes, finder.containers, lambda: finder.files(*places)) as during:
        run = play.run(tasks(secret_job, tmp_path / "restored"), work, "-vvvv", "--diff")
    assert run.code == 0, run.output[-3000:]
    failed = [task.status == "ignored" for task in run.tasks]
    assert failed == [False, True, True, True, True, True, False, True, False, False, True, True, True, True, True]

    seen = {hit.secret for hit in during if allowed(hit, secret_job)}
    assert seen == set(SECRETS), "the watch saw the secrets where they must be"
    assert [hit for hit in during if not allowed(hit, secret_job)] == []

    after = [*finder.processes(), *finder.containers(), *finder.files(*places), *finder.image(secret_job["image"])]
    after += finder.text("output", "ansible-playbook -vvvv --diff", run.output)
    after += finder.text("results", "tasks", json.dumps([task.result for task in run.tasks], ensure_ascii=False))
    assert after == []
    for top in TMPFS:
        assert list(Path(top).glob(f"permafrost/{secret_job['name']}-*")) == []
    assert s3.state(secret_job["target"].split("/")[2])


def test_what_lies_on_the_host_is_for_root_alone(secret_job: Job, tmp_path: Path) -> None:
    run = play.run(tasks(secret_job, tmp_path / "restored")[:1], tmp_path)
    assert run.code == 0
    state = Path(secret_job["state_dir"], secret_job["name"])
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (state / "last_success.json").exists()
