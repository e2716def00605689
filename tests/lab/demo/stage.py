"""Where the demo plays: an S3 server, a tree, an inventory with one job, and ansible-playbook runs with a log each."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import yaml

from lab import image, play
from lab.places import LAB
from lab.play import Run
from lab.s3.client_api import S3Lab

HOME = LAB / "demo"
BUCKET, PREFIX, JOB = "acme-dr", "web01/data/", "demo-web01-data"
THAW_KEY = "LABTHAWKEY0000000001"


class DemoError(Exception):
    """Something is not as the demo claims."""


def check(claim: bool, what: str) -> None:
    """Stop the demo at a claim that does not hold."""
    if not claim:
        raise DemoError(what)


class Stage:
    """Everything that one run of the demo needs; `with Stage() as stage`."""

    def __init__(self) -> None:
        self.source = HOME / "source"
        self.lab = S3Lab(HOME / "s3")
        self._inventory = HOME / "inventory.yml"
        self._steps = self._plays = 0

    def __enter__(self) -> Stage:
        _remove(HOME)
        _remove_containers()
        HOME.mkdir(parents=True)
        self.lab.__enter__()
        self.lab.client().create_bucket(Bucket=BUCKET)
        thaw_secret = secrets.token_urlsafe(30)
        self.lab.add_key(THAW_KEY, thaw_secret)
        self._write_inventory({"access_key": THAW_KEY, "secret_key": thaw_secret})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        self.lab.stop()
        _remove_containers()
        self._inventory.unlink(missing_ok=True)  # it holds secrets, though only of this run
        if kind is None:
            for path in (self.source, HOME / "state", *HOME.glob("restored-*")):
                _remove(path)

    def _write_inventory(self, thaw_credentials: dict[str, str]) -> None:
        job = {
            "name": JOB,
            "source": str(self.source),
            "target": f"s3://{BUCKET}/{PREFIX}",
            "storage_class": "DEEP_ARCHIVE",
            "volume_size": 1,  # MB: small, so that there are many volumes to choose from
            "encryption": {"mode": "symmetric", "passphrase": secrets.token_urlsafe(24)},
            "credentials": {"access_key": self.lab.access_key, "secret_key": self.lab.secret_key},
            "endpoint_url": self.lab.endpoint_url,
            "region": self.lab.region,
            "image": image.NAME,
            "docker_host": os.environ["DOCKER_HOST"],
            "scheduler": "none",  # the demo plays each run itself: here may be neither systemd nor Compose
            "state_dir": str(HOME / "state"),
        }
        variables = {"duplicity_jobs": [job], "thaw_credentials": thaw_credentials, **image.variables()}
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self._inventory.touch(mode=0o600)
        self._inventory.write_text(yaml.safe_dump({"all": {"hosts": {"web01": host}, "vars": variables}}))

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step on the screen, with its seconds."""
        self._steps += 1
        print(f"\n[{self._steps}] {title}", flush=True)
        started = time.monotonic()
        yield
        print(f"    {time.monotonic() - started:.1f} s", flush=True)

    def play(self, name: str, **variables: str) -> Run:
        """Run a playbook of the collection; it must end well."""
        playbook, work, options = self._command(name, variables)
        run = play.start(playbook, work, *options, inventory=self._inventory).wait()
        require_success(run, name)
        return run

    @contextmanager
    def playing(self, name: str, **variables: str) -> Iterator[Run]:
        """Run a playbook in the background."""
        playbook, work, options = self._command(name, variables)
        with play.running(playbook, work, *options, inventory=self._inventory) as run:
            yield run

    def lose_host(self) -> None:
        """What the host knows of its backups is gone; source, bucket and secrets are not."""
        _remove(HOME / "state")

    def _command(self, name: str, variables: dict[str, str]) -> tuple[str, Path, list[str]]:
        self._plays += 1
        work = HOME / "log" / f"{self._plays:02}-{name}"
        work.mkdir(parents=True)
        options = [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
        playbook = play.COLLECTION + name
        print(f"    $ {shlex.join(['ansible-playbook', playbook, *options])}", flush=True)
        return playbook, work, options


def require_success(run: Run, name: str) -> None:
    """Show what Ansible said when it failed."""
    check(run.code == 0, f"the playbook {name} failed:\n{run.output}")


def say(text: str) -> None:
    """A line of a step."""
    print(f"    {text}", flush=True)


def _remove(path: Path) -> None:
    """A directory, or a report beside one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_containers() -> None:
    client = docker.from_env()
    for container in client.containers.list(all=True, filters={"label": f"permafrost.backup.job={JOB}"}):
        container.remove(force=True)
    client.close()
