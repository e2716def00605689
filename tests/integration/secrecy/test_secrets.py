"""Passphrases, keys and AWS secrets are nowhere but where they must be, whatever runs and however it ends."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from integration.secrecy.finder import Finder, Hit, Secrets, of_key, watching

from lab import keys as lab_keys
from lab import play
from lab.keys import Key
from lab.s3.client_api import S3Lab

SECRETS = {
    "passphrase": f"canary of the passphrase 5d1f {os.getpid()}",
    "wrong passphrase": f"canary of a wrong passphrase 77a0 {os.getpid()}",
    "secret key": f"canarySECRETkey/0123456789abcdef+ABCDEF{os.getpid()}",
    "session token": f"canarySESSIONtoken//0123456789abcdef{os.getpid()}==",
}
ACCESS_KEY = "CANARYACCESSKEY00001"
TMPFS = ("/run", "/dev/shm")
FROZEN = "of-another-tool/frozen"
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
        ("duplicity_verify", {"job": wrong, "mode": "integrity"}),
        ("duplicity_backup", {"job": nowhere}),
        ("duplicity_backup", {"job": {**job, "source": "/nonexistent"}}),
        ("duplicity_backup", {"job": {**job, "image": "no-such-image:latest", "state_dir": job["state_dir"] + "2"}}),
        ("duplicity_info", {"job": job, "files": True}),
        ("duplicity_info", {"job": {**wrong, "state_dir": job["state_dir"] + "3"}}),
        ("glacier_restore_info", {"job": job}),
        ("duplicity_restore", {"job": job, "dest": str(dest)}),
        ("duplicity_restore", {"job": wrong, "dest": str(dest) + "2"}),
        ("duplicity_restore", {"job": job, "path": "file", "dest": str(dest)}),
        ("duplicity_backup", {"job": job, "full": True}),
        ("duplicity_cleanup", {"job": job, "credentials": job["credentials"], "keep_fulls": 1}),
        ("duplicity_cleanup", {"job": nowhere, "credentials": job["credentials"], "keep_fulls": 1}),
        ("glacier_restore", {**service, "bucket": bucket, "keys": [FROZEN]}),
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


def watched(
    s3: S3Lab, job: Job, calls: list[dict[str, Any]], secrets: Secrets, tmp_path: Path
) -> tuple[play.Run, set[str]]:
    """Run tasks and look everywhere, during and after. Gives also the secrets that were seen where they must be."""
    finder = Finder(secrets)
    work = tmp_path / "plays"  # what the user wrote: it holds the secrets, and nobody looks there
    work.mkdir()
    engine_root = Path(docker.from_env().info()["DockerRootDir"], "containers")
    places = [job["state_dir"], job["state_dir"] + "2", job["state_dir"] + "3"]
    places += [job["temp_dir"], str(engine_root), str(tmp_path / "restored"), *TMPFS]
    s3.fault(operation="PutObject", kind="latency", seconds=0.7)
    s3.fault(operation="GetObject", kind="latency", seconds=0.3)

    def kept() -> Iterator[Hit]:  # for a task's time only, hence looked at between all other looks
        return finder.files(*(f"{top}/permafrost" for top in TMPFS))

    with watching(finder.processes, kept, finder.containers, kept, lambda: finder.files(*places), kept) as during:
        run = play.start(calls, work, "-vvvv", "--diff").wait()
    assert run.code == 0, run.output[-3000:]
    assert [hit for hit in during if not allowed(hit, job)] == []

    after = [*finder.processes(), *finder.containers(), *finder.files(*places), *finder.image(job["image"])]
    after += finder.text("output", "ansible-playbook -vvvv --diff", run.output)
    after += finder.text("results", "tasks", json.dumps([task.result for task in run.tasks], ensure_ascii=False))
    assert after == []
    for top in TMPFS:
        assert list(Path(top).glob(f"permafrost/{job['name']}-*")) == []
    assert s3.state(job["target"].split("/")[2])
    return run, {hit.secret for hit in during if allowed(hit, job)}


def failures(run: play.Run) -> list[str | None]:
    """The cause of each task's failure, None of one that succeeded."""
    return [task.result["error"]["cause"] if task.status == "ignored" else None for task in run.tasks]


def test_no_secret_leaves_its_place(s3: S3Lab, secret_job: Job, tmp_path: Path) -> None:
    bucket = secret_job["target"].split("/")[2]
    s3.client().put_object(Bucket=bucket, Key=FROZEN, Body=b"ice", StorageClass="GLACIER")
    run, seen = watched(s3, secret_job, tasks(secret_job, tmp_path / "restored"), SECRETS, tmp_path)
    failed = [task.status == "ignored" for task in run.tasks]
    assert failed == [
        False, True, True, True, True, True, False, True, False, False, True, True,
        False, False, True, False, True, True, True,
    ]  # fmt: skip
    done = {task.action for task in run.tasks if task.status == "ok" and task.result["changed"]}
    assert done == {"duplicity_backup", "duplicity_cleanup", "duplicity_restore", "glacier_restore"}
    assert seen == set(SECRETS), "the watch saw the secrets where they must be"


def test_no_secret_key_leaves_its_place(s3: S3Lab, secret_job: Job, tmp_path: Path) -> None:
    passphrase, wrong = SECRETS["passphrase"], SECRETS["wrong passphrase"]
    keys = lab_keys.make(secret_job["image"], {"locked": passphrase, "open": ""})
    secrets = {name: SECRETS[name] for name in ("passphrase", "wrong passphrase")}
    for name, key in keys.items():
        secrets |= of_key(name, key.secret, key.public)
    run, seen = watched(s3, secret_job, tasks_with_keys(secret_job, keys, passphrase, wrong), secrets, tmp_path)
    assert failures(run) == [
        None, "wrong_key_passphrase", None, None, "wrong_key_passphrase", "secret_key_mismatch", "bad_input",
    ]  # fmt: skip
    assert seen == {name for name in secrets if "armoured" not in name}, "keys are where they must be, in binary"


def tasks_with_keys(job: Job, keys: dict[str, Key], passphrase: str, wrong: str) -> list[dict[str, Any]]:
    """Backups that are signed, and what reads them, with keys that open them and that do not."""
    locked = keys["locked"]
    right = {"mode": "gpg", "encrypt_keys": [locked.fingerprint], "sign_key": locked.fingerprint}
    right |= {"public_keys": locked.public, "secret_keys": locked.secret, "passphrase": passphrase}
    other = {**right, "secret_keys": keys["open"].secret, "passphrase": None}
    torn = {**right, "secret_keys": locked.secret[:-200] + locked.secret[-100:]}
    dest = f"{job['temp_dir']}-dest"
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("duplicity_backup", right, {}),
        ("duplicity_backup", {**right, "passphrase": wrong}, {"full": True}),
        ("duplicity_verify", right, {"mode": "integrity"}),
        ("duplicity_restore", right, {"dest": dest}),
        ("duplicity_restore", {**right, "passphrase": wrong}, {"dest": dest + "2"}),
        ("duplicity_restore", other, {"dest": dest + "2"}),
        ("duplicity_restore", torn, {"dest": dest + "2"}),
    ]
    return [
        {
            "name": f"{number} {module}",
            f"permafrost.backup.{module}": {"job": {**job, "encryption": encryption}, **options},
            "ignore_errors": True,
        }
        for number, (module, encryption, options) in enumerate(calls)
    ]


def test_what_lies_on_the_host_is_for_root_alone(secret_job: Job, tmp_path: Path) -> None:
    run = play.start(tasks(secret_job, tmp_path / "restored")[:1], tmp_path).wait()
    assert run.code == 0
    state = Path(secret_job["state_dir"], secret_job["name"])
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (state / "last_success.json").exists()
