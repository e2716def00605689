"""docs/hooks.md: its examples are jobs, and their commands run as it says, with programs that only note their call."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from lab.places import CHECKOUT
from unit.stage import job_params

TEXT = (CHECKOUT / "docs" / "hooks.md").read_text()
JOBS: list[dict[str, Any]] = [
    job for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.S) for job in yaml.safe_load(block)["duplicity_jobs"]
]
TEMPLATE = CHECKOUT / "roles" / "duplicity" / "templates" / "hook.j2"
# Commands that change nothing, and in the noted ones their first word.
NOTED = {
    "web01-postgres": [["rm", "install", "runuser", "runuser"], ["rm"]],
    "web01-mariadb": [["rm", "install", "mariadb-dump"], ["rm"]],
    "web01-lvm": [["mountpoint", "lvs", "install", "lvcreate", "mount"], ["umount", "lvremove"]],
    "web01-btrfs": [["btrfs", "btrfs"], ["btrfs", "mkdir"]],
}
PROGRAMS = sorted({word for lists in NOTED.values() for words in lists for word in words} | {"docker", "rmdir"})
each_job = pytest.mark.parametrize("job", JOBS, ids=[job["name"] for job in JOBS])


class Host:
    """A directory of programs that note how they were called. Those that ask whether something is left say no."""

    def __init__(self, place: Path) -> None:
        self.place, self.log = place, place / "log"
        self.programs = place / "bin"
        self.programs.mkdir()
        for name in PROGRAMS:
            self.let(name, "exit 0")
        self.let("mountpoint", "exit 1")
        self.let("lvs", "exit 5")
        self.let("btrfs", 'case "$*" in *" show "*) exit 1;; esac; exit 0')

    def let(self, name: str, ends: str) -> None:
        """What a program does once it has noted its call."""
        program = self.programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{ends}\n')
        program.chmod(0o755)

    def run(self, job: dict[str, Any], which: str) -> tuple[int, list[str]]:
        """Run the script that the role writes; exit code and calls."""
        self.log.write_text("")
        script = self.place / which
        script.write_text(rendered(job, which))
        environment = {"PATH": f"{self.programs}:{os.environ['PATH']}", "SERVICE_RESULT": "success"}
        done = subprocess.run(["sh", str(script)], env=environment, cwd=self.place, check=False)
        return done.returncode, self.log.read_text().splitlines()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def rendered(job: dict[str, Any], which: str) -> str:
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        ansible_managed="managed",
        item=(job["name"], which),
        duplicity__by_name={job["name"]: job},
        duplicity_config_dir="/etc/permafrost",
    )


def words(calls: list[str]) -> list[str]:
    return [call.split()[0] for call in calls]


def test_all_four_are_there() -> None:
    assert [job["name"] for job in JOBS] == list(NOTED)


@each_job
def test_each_is_a_job_of_valid_shell(job: dict[str, Any], tmp_path: Path) -> None:
    assert Job.from_params(job_params(**job)).source == job["source"]
    for which in ("before", "after"):
        script = tmp_path / which
        script.write_text(rendered(job, which))
        assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


@each_job
def test_all_of_it_runs_when_nothing_fails(job: dict[str, Any], host: Host) -> None:
    for which, wanted in zip(("before", "after"), NOTED[job["name"]]):
        code, calls = host.run(job, which)
        assert (code, words(calls)) == (0, wanted), calls


@each_job
def test_a_backup_is_stopped_by_what_fails_before_it(job: dict[str, Any], host: Host) -> None:
    last = NOTED[job["name"]][0][-1]
    host.let(last, 'case "$*" in *" show "*) exit 1;; esac; exit 3')
    code, calls = host.run(job, "before")
    *own, report = calls
    assert words(own)[-1] == last
    assert len(own) <= len(NOTED[job["name"]][0])
    assert report.startswith(f"docker compose --file /etc/permafrost/{job['name']}/compose.yml run --rm ")
    assert report.endswith(f" --env PERMAFROST_HOOK={code} backup permafrost hook")
    assert code


@each_job
def test_all_of_what_cleans_up_runs_in_any_case(job: dict[str, Any], host: Host) -> None:
    wanted = NOTED[job["name"]][1]
    host.let(wanted[0], "exit 3")
    code, calls = host.run(job, "after")
    assert (code, words(calls)) == (1, wanted)


def test_what_a_crash_left_is_taken_away_first(host: Host) -> None:
    by_name = {job["name"]: job for job in JOBS}
    host.let("mountpoint", "exit 0")
    host.let("lvs", "exit 0")
    assert words(host.run(by_name["web01-lvm"], "before")[1])[:4] == ["mountpoint", "umount", "lvs", "lvremove"]
    host.let("btrfs", "exit 0")
    calls = host.run(by_name["web01-btrfs"], "before")[1]
    assert [" ".join(call.split()[1:3]) for call in calls if call.startswith("btrfs")] == [
        "subvolume show", "subvolume delete", "subvolume snapshot",
    ]  # fmt: skip
