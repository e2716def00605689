"""A host is lost in the middle of a chain. A new one that never saw the job gets its data back by one command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from lab import hosts, kills, play, trees
from lab import image as lab_image
from lab import keys as lab_keys
from lab.places import LAB
from lab.registry import bridge_address
from lab.s3.client_api import S3Lab

BUCKET, NEW = "acme-dr", f"newhost-{os.getpid()}"
PASSPHRASES = {"symmetric": "the passphrase of a lost host", "gpg": "the passphrase of a secret key"}


@dataclass
class Lost:
    """What is left of a host: its bucket, and what people know. ``tree`` is what it had at the last whole set."""

    target: str
    tree: dict[bytes, trees.Entry]
    needed: list[str]


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    """The server, where hosts reach it too."""
    with S3Lab(tmp_path_factory.mktemp("s3"), host="0.0.0.0") as lab:
        client = docker.from_env()
        lab.endpoint_url = lab.endpoint_for(bridge_address(client))
        client.close()
        lab.client().create_bucket(Bucket=BUCKET)
        yield lab


@pytest.fixture(scope="module")
def key(image: str) -> lab_keys.Key:
    return lab_keys.make(image, {"owner": PASSPHRASES["gpg"]})["owner"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the new host sees as /srv/restored."""
    return tmp_path_factory.mktemp("restored")


@pytest.fixture(scope="module")
def newhost(place: Path) -> Iterator[Any]:
    """Python, systemd, an engine without any image."""
    with hosts.booted(hosts.ensure_blank(), [NEW], [f"{place}:/srv/restored"]) as (host,):
        yield host


def lose(s3: S3Lab, root: Path, image: str, encryption: dict[str, Any]) -> Lost:
    """A full, an incremental, and a second one in whose upload the host is lost."""
    source, name = root / "source", f"lost-{encryption['mode']}-{os.getpid()}"
    job = {
        "name": name,
        "source": str(source),
        "target": f"s3://{BUCKET}/{encryption['mode']}/data",
        "volume_size": 1,
        "encryption": encryption,
        "credentials": {"access_key": s3.access_key, "secret_key": s3.secret_key},
        "endpoint_url": s3.endpoint_url,
        "region": s3.region,
        "image": image,
        "docker_host": os.environ["DOCKER_HOST"],
        "state_dir": str(root / "state"),
    }
    root.mkdir()
    trees.make(source, files=30)
    (source / "random").write_bytes(os.urandom(2_500_000))
    kills.succeeded(kills.run("duplicity_backup", job=job))
    time.sleep(1.1)  # duplicity's times are whole seconds
    trees.change(source, 1)
    kills.succeeded(kills.run("duplicity_backup", job=job))
    tree, prefix = trees.snapshot(source), f"{encryption['mode']}/data/"
    needed = [one["key"] for one in s3.state(BUCKET, prefix) if ".difftar" in one["key"]]
    time.sleep(1.1)
    (source / "random").write_bytes(os.urandom(4_500_000))
    _break_off(s3, job, lambda: len(s3.state(BUCKET, prefix)) > len(needed) + 5)
    shutil.rmtree(root)
    assert len([one for one in s3.state(BUCKET, prefix) if ".difftar" in one["key"]]) > len(needed)
    assert {one["state"] for one in s3.state(BUCKET, prefix) if one["key"] in needed} == {"frozen"}
    return Lost(f"s3://{BUCKET}/{prefix.rstrip('/')}", tree, needed)


def _break_off(s3: S3Lab, job: dict[str, Any], moment: Callable[[], bool]) -> None:
    """A backup that is killed with all that it started, and nobody goes on with it."""
    s3.fault("PutObject", ".vol3.")
    with kills.watched(job["name"]) as watch:
        backup = kills.ModuleProcess("duplicity_backup", job=job)
        kills.until(moment, "volumes of a set that never ends")
        backup.kill(signal.SIGKILL)
        assert watch.kill(signal.SIGKILL)
        watch.wait_quiet()
        for container in watch.containers():
            container.remove(force=True)
    backup.ended()
    s3.clear_faults()


def brings_back(lost: Lost, s3: S3Lab, command: play.Run) -> play.Run:
    """Let two days pass once all is requested, and see the command to its end."""
    mark_end = len(lost.needed)
    kills.until(lambda: command.process.poll() is not None or len(asked(s3, lost)) == mark_end, "the thaw", 1200)
    assert command.process.poll() is None, command.output
    s3.advance(hours=48)
    assert command.wait().code == 0, command.output
    assert sorted(asked(s3, lost)) == sorted(lost.needed)
    return command


def asked(s3: S3Lab, lost: Lost) -> list[str]:
    """The keys of accepted thaws below the job's prefix."""
    prefix = lost.target.removeprefix(f"s3://{BUCKET}/")
    thaws = [one for one in s3.requests() if one["operation"] == "RestoreObject" and one["status"] == 202]
    return [one["key"] for one in thaws if one["key"].startswith(prefix)]


OPTIONS = ("-c", "community.docker.docker", "-e", "confirm=true", "-e", "poll_interval=1", "-vvv")


def test_with_a_passphrase_typed_at_the_prompt(
    s3_server: S3Lab, newhost: Any, place: Path, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left but the URL and what somebody remembers; the host lacks Python packages and the image."""
    encryption = {"mode": "symmetric", "passphrase": PASSPHRASES["symmetric"]}
    lost = lose(s3_server, tmp_path / "lost", image, encryption)
    archive = LAB / "images" / "duplicity.tar"
    archive.parent.mkdir(exist_ok=True)
    lab_image.save(image, archive)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    typed = {
        "target_url": lost.target,
        "encryption": "symmetric",
        "endpoint_url": s3_server.endpoint_url,
        "region": s3_server.region,
        "dest": "/srv/restored/symmetric",
        "duplicity_image_source": "load",
        "duplicity_image_archive": str(archive),
    }
    command = play.start(
        "permafrost.backup.restore", tmp_path, *OPTIONS, inventory=f"{NEW},", typed=PASSPHRASES["symmetric"], **typed
    )
    done = brings_back(lost, s3_server, command)
    kills.same(lost.tree, place / "symmetric")
    assert "prepares the host now" in done.output
    assert done.results("duplicity_restore")[-1]["proof"]["proven"] is True
    assert (place / "symmetric.permafrost-report.txt").exists()
    for secret in (PASSPHRASES["symmetric"], s3_server.secret_key):
        assert secret not in done.output
    assert newhost.exec_run(["sh", "-c", "find /run/permafrost /dev/shm -type f 2>/dev/null"]).output == b""


def test_with_a_secret_key_from_a_vault(
    s3_server: S3Lab, newhost: Any, place: Path, image: str, tmp_path: Path, key: lab_keys.Key
) -> None:
    """The lost host had the public key only. All secrets come from one encrypted file on this machine."""
    encryption = {"mode": "gpg", "encrypt_keys": [key.fingerprint], "public_keys": key.public}
    lost = lose(s3_server, tmp_path / "lost", image, encryption)
    secrets, password = tmp_path / "secrets.yml", tmp_path / "password"
    opened = {**encryption, "secret_keys": key.secret, "passphrase": key.passphrase}
    pair = {"access_key": s3_server.access_key, "secret_key": s3_server.secret_key}
    secrets.write_text(yaml.safe_dump({"encryption": opened, "credentials": pair}))
    password.write_text("of the vault")
    vault = ["--vault-password-file", str(password)]
    subprocess.run(["ansible-vault", "encrypt", *vault, str(secrets)], check=True, capture_output=True)
    command = play.start(
        "permafrost.backup.restore",
        tmp_path,
        *OPTIONS,
        *vault,
        "-e",
        f"@{secrets}",
        inventory=f"{NEW},",
        target_url=lost.target,
        endpoint_url=s3_server.endpoint_url,
        region=s3_server.region,
        dest="/srv/restored/gpg",
    )
    done = brings_back(lost, s3_server, command)
    kills.same(lost.tree, place / "gpg")
    for secret in (key.secret, key.passphrase, s3_server.secret_key):
        assert secret not in done.output
