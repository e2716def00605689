"""The playbook drill: a frozen job under a spending limit, and one with a damaged volume; what is left of each."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
import yaml
from integration.conftest import Job, RunPlaybook

from lab import kills, play
from lab.s3.client_api import S3Lab

PASSPHRASE = "what only the vault has"


class Fleet:
    """A host with a frozen job and one with a damaged volume, whose passphrases it does not have any more."""

    def __init__(self, s3: S3Lab, job: Job, place: Path, playbook: RunPlaybook) -> None:
        self.s3, self.place, self.playbook = s3, place, playbook
        self.frozen, self.damaged = job["name"], f"{job['name']}-b"
        secret = {"mode": "symmetric", "passphrase": PASSPHRASE}
        good = {**job, "encryption": secret, "reports": {"metrics_dir": str(place / "metrics")}}
        bad = {**good, "name": self.damaged, "target": job["target"] + "-b", "storage_class": "STANDARD"}
        self.jobs, self.drills = [good, bad], place / "drills"
        wrong = {"mode": "symmetric", "passphrase": "of the host"}
        local = play.local()
        host = {
            **local,
            "duplicity_jobs": [{**one, "encryption": wrong} for one in self.jobs],
            "drill_encryption": {"passphrase": PASSPHRASE},
            "drill_policy": {"sample": 1},
            "drill_dir": str(self.drills),
            "thaw_credentials": job["credentials"],
        }
        keepers = {"permafrost_keepers": {"hosts": {"keeper": local}}}
        self.hosts = place / "hosts.yml"
        self.hosts.write_text(yaml.safe_dump({"all": {"hosts": {"web01": host}, "children": keepers}}))

    def drill(self, *options: str, **variables: Any) -> play.Run:
        return self.playbook("permafrost.backup.drill", *options, inventory=self.hosts, **variables)

    def cold(self, max_cost: float) -> dict[str, Any]:
        """A policy that thaws, for the frozen job alone."""
        policy = {"sample": 2, "seed": "a", "cold": True, "max_cost": max_cost}
        return {"drill_policies": {self.frozen: policy}, "job": self.frozen}

    def record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((Path(self.jobs[0]["state_dir"]) / name / "last_drill.json").read_text())
        return found

    def metrics(self, name: str) -> str:
        return (self.place / "metrics" / f"permafrost-{name}+drill.prom").read_text()

    def asked(self, since: int) -> list[str]:
        thaws = [one for one in self.s3.requests(since) if one["operation"] == "RestoreObject"]
        return sorted(one["key"] for one in thaws if one["status"] == 202)

    def killed(self) -> None:
        """A drill whose ansible-playbook is killed while it restores, and with it nothing else."""
        with kills.watched(f"drill-web01-{self.frozen}") as watch:
            run = play.start("permafrost.backup.drill", self.place, inventory=self.hosts, **self.cold(1))
            kills.until(
                lambda: run.process.poll() is not None or "restore" in {one["verb"] for one in watch.runs}, "a restore"
            )
            assert run.process.poll() is None, run.output
            others = psutil.Process(run.process.pid).children(recursive=True)
            run.process.kill()
            run.wait()
            psutil.wait_procs(others, 600)  # the module goes on by itself, and may start one more container
            watch.wait_quiet()
            assert list(self.drills.rglob("report.json"))


@pytest.fixture
def fleet(s3: S3Lab, job: Job, playbook: RunPlaybook, tmp_path: Path) -> Fleet:
    """Both jobs backed up, then damage to all volumes of the second."""
    made = Fleet(s3, job, tmp_path, playbook)
    source = Path(job["source"])
    source.mkdir()
    for number in range(6):
        (source / f"{number}.bin").write_bytes(random.Random(number).randbytes(500_000))
    for one in made.jobs:
        kills.succeeded(kills.run("duplicity_backup", job=one))
    bucket = job["target"].split("/")[2]
    for one in s3.state(bucket):
        if "-b/" in one["key"] and ".difftar" in one["key"]:
            s3.client().put_object(Bucket=bucket, Key=one["key"], Body=b"x" * one["size"])
    (tmp_path / "metrics").mkdir()
    return made


def test_what_is_not_paid_for(fleet: Fleet) -> None:
    mark = fleet.s3.mark()
    checked = fleet.drill("--check", **fleet.cold(1))
    assert "Without --check the drill goes on." in " ".join(checked.output.split())
    assert not any(fleet.drills.rglob("*.json"))

    # Nothing is thawed unless the policy asks for it; what cannot be read is told, and damage is a failure.
    first = fleet.drill()
    assert first.code == 2
    record = fleet.record(fleet.frozen)
    assert (record["outcome"], record["cause"], record["proven"], record["paths"]) == ("looked", None, None, [])
    assert [one["states"] for one in record["left_out"]] == [["frozen"]]
    assert "That these can be read and hold the files is not proven." in " ".join(first.output.split())
    assert fleet.record(fleet.damaged)["cause"] == "damaged_volume"
    assert 'verb="drill"} 1' in fleet.metrics(fleet.damaged)

    # Neither is due again, and a spending limit refuses.
    again = fleet.drill()
    assert (again.code, again.results("duplicity_restore")) == (0, [])
    assert fleet.drill(**fleet.cold(0.00001)).code == 2
    assert fleet.record(fleet.frozen)["cause"] == "no_offer_fits"
    assert fleet.asked(mark) == []
    assert list((fleet.drills / "web01").iterdir()) == []

    report = fleet.place / "report"
    fleet.playbook("permafrost.backup.status", inventory=fleet.hosts, report_dir=str(report))
    rows = {row["job"]: row for row in json.loads((report / "status.json").read_text())["rows"]}
    assert [one["kind"] for one in rows[fleet.damaged]["problems"]] == ["drill_failed"]
    assert (rows[fleet.frozen]["drill_cause"], rows[fleet.frozen]["last_proven"]) == ("no_offer_fits", None)


def test_from_cold_and_killed(fleet: Fleet) -> None:
    mark = fleet.s3.mark()
    assert fleet.drill(**fleet.cold(1)).code == 0
    wanted = fleet.asked(mark)
    assert wanted
    fleet.s3.advance(hours=48)
    fleet.killed()
    done = fleet.drill("-vvv", **fleet.cold(1))
    assert done.code == 0, done.output
    assert fleet.asked(mark) == wanted
    assert "This continues the restore as of" in done.output

    record = fleet.record(fleet.frozen)
    assert (record["outcome"], record["cause"], record["seed"]) == ("proven", None, "a")
    assert record["restored"]["files"] == len(record["paths"]) == 2
    assert float(record["cost_usd"]) > 0
    assert record["proven"] == record["finished"]
    assert f'permafrost_exit_code{{job="{fleet.frozen}",verb="drill"}} 0' in fleet.metrics(fleet.frozen)
    told = fleet.metrics(fleet.frozen) + json.dumps(record) + done.output
    assert PASSPHRASE not in told
    assert fleet.s3.secret_key not in told
    assert list((fleet.drills / "web01").iterdir()) == []
    with contextlib.closing(docker.from_env()) as engine:
        label = f"permafrost.backup.job=drill-web01-{fleet.frozen}"
        assert engine.containers.list(all=True, filters={"label": label}) == []
