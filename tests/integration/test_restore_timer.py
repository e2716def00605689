"""The playbook restore_timer: units without secrets, as systemd reads them, whose command restores."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
import yaml
from docker.models.containers import Container
from integration.conftest import Job, RunPlaybook

from lab import hosts, kills, packages, play, trees
from lab.places import CHECKOUT

PASSPHRASE = "what no unit holds"
# Signs that mean something to systemd.
WANTED = "100% $wanted.yml"


def settings(unit: str, name: str) -> list[str]:
    """The values of a setting, with systemd's signs for $ and % as themselves."""
    return [value.replace("$$", "$").replace("%%", "%") for value in re.findall(rf"(?m)^{name}=(.*)$", unit)]


@pytest.fixture
def timer(playbook: RunPlaybook, job: Job, tmp_path: Path) -> Callable[..., play.Run]:
    """The playbook, for a job that is backed up, and another host."""
    packages.ensure({"systemd-analyze": "systemd"})
    job = {**job, "storage_class": "STANDARD", "encryption": {"mode": "symmetric", "passphrase": PASSPHRASE}}
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content\n")
    kills.succeeded(kills.run("duplicity_backup", job=job))
    blank = {**job, "state_dir": str(tmp_path / "blank")}
    host = {**play.local(), "duplicity_jobs": [blank]}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"newhost": host}}}))
    units = tmp_path / "units"
    units.mkdir()

    def run(*options: str, **variables: str) -> play.Run:
        given = {"timer_file": str(tmp_path / WANTED), "timer_limit": "newhost", "timer_unit_dir": str(units)}
        return playbook("permafrost.backup.restore_timer", *options, inventory=inventory, **given, **variables)

    return run


def test_the_units_restore(timer: Callable[..., play.Run], job: Job, tmp_path: Path) -> None:
    wanted, units, dest = tmp_path / WANTED, tmp_path / "units", tmp_path / "100% $restored"
    told = {"job": job["name"], "dest": str(dest)}
    wanted.write_text(yaml.safe_dump(told))
    assert "that you alone may read" in " ".join(timer().output.split())
    wanted.chmod(0o600)
    assert "max_cost" in timer().output
    wanted.write_text(yaml.safe_dump({**told, "max_cost": 1, "secret": PASSPHRASE}))
    assert timer("--check").code == 0
    assert list(units.iterdir()) == []
    assert timer().code == 0
    again = timer()
    assert "changed=0" in again.output
    found = {path.suffix: path.read_text() for path in units.iterdir()}
    assert PASSPHRASE not in "".join(found.values()) + again.output
    verify = ["systemd-analyze", "verify", *sorted(map(str, units.iterdir()))]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

    (command,) = settings(found[".service"], "ExecStart")
    environment = dict(shlex.split(one)[0].split("=", 1) for one in settings(found[".service"], "Environment"))
    environment["PATH"] = os.environ["PATH"]  # systemd gives one too
    done = subprocess.run(shlex.split(command), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    kills.same(trees.snapshot(tmp_path / "source"), dest)

    assert timer(timer_state="absent").code == 0
    assert list(units.iterdir()) == []


@pytest.fixture
def host() -> Iterator[Container]:
    """A host with systemd, as molecule's scenarios have them."""
    platform = yaml.safe_load((CHECKOUT / "molecule" / "fleet" / "molecule.yml").read_text())["platforms"][0]
    with contextlib.closing(docker.from_env(timeout=300)) as engine:
        made = engine.containers.run(
            hosts.ensure_bare(),
            detach=True,
            cgroupns=platform["cgroupns_mode"],
            cap_add=platform["capabilities"],
            security_opt=platform["security_opts"],
            tmpfs=dict(one.partition(":")[::2] for one in platform["tmpfs"]),
            labels=platform["labels"],
        )
        try:
            kills.until(lambda: made.exec_run("systemctl is-system-running --wait").exit_code in (0, 1), "a host")
            yield made
        finally:
            made.remove(force=True, v=True)


def test_systemd_runs_it_until_it_went_well(timer: Callable[..., play.Run], tmp_path: Path, host: Container) -> None:
    """What stands in for ansible-playbook here fails twice."""
    wanted = tmp_path / WANTED
    wanted.write_text(yaml.safe_dump({"job": "a", "dest": "/b", "max_cost": 1}))
    wanted.chmod(0o600)
    assert timer(timer_every="1s").code == 0

    def shell(script: str) -> str:
        done = host.exec_run(["sh", "-c", script])
        return str(done.output.decode())

    for path in (tmp_path / "units").iterdir():
        shell(f"cat > /etc/systemd/system/{path.name} <<'END'\n{path.read_text()}END")
        name = path.stem
    stub = Path(sys.executable).with_name("ansible-playbook")
    shell(f"mkdir -p {stub.parent}; printf '#!/bin/sh\necho x >>/runs; [ $(wc -l </runs) -ge 3 ]\n' > {stub}")
    shell(f"chmod +x {stub}; systemctl daemon-reload; systemctl enable --now {name}.timer")
    kills.until(lambda: "disabled" in shell(f"systemctl is-enabled {name}.timer"), "the end of the timer")
    kills.until(lambda: shell(f"systemctl is-active {name}.timer").strip() == "inactive", "its stop")
    time.sleep(4)
    assert shell("wc -l </runs").strip() == "3"
