"""The playbook status on jobs with a real bucket: rows, page and JSON, a lost volume, an engine that is not there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import yaml
from integration.conftest import Job, RunPlaybook

from lab import play
from lab.s3.client_api import S3Lab

CANARY = "canary-passphrase-of-a-job"


def inventory(place: Path, job: Job, source: Path) -> Path:
    """A host with a good job and one to be damaged; one without an engine, one that is gone, one without a job."""
    host = play.INVENTORY["all"]["hosts"]["web01"]
    secret = {"mode": "symmetric", "passphrase": CANARY}
    good = {**job, "source": str(source), "encryption": secret}
    bad = {**good, "name": f"{job['name']}-b", "target": job["target"] + "-b"}
    without_engine = {**good, "docker_host": f"unix://{place}/no.sock", "state_dir": str(place / "other")}
    no_ssh = place / "ssh"
    no_ssh.write_text("#!/bin/sh\necho no route to host >&2\nexit 255\n", encoding="utf-8")
    no_ssh.chmod(0o755)
    hosts = {
        "web01": {**host, "duplicity_jobs": [good, bad]},
        "web02": {**host, "duplicity_jobs": [without_engine]},
        "web03": {"ansible_connection": "ssh", "ansible_ssh_executable": str(no_ssh), "duplicity_jobs": [good]},
        "web04": {**host},
    }
    path = place / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    return path


def without_times(report: Path) -> Any:
    """What must not change between two looks at the same."""
    text = (report / "status.json").read_text()
    return json.loads(re.sub(r'"(generated|\w+_age_seconds)": [^,]+,?\n', r'"\1": 0,\n', text))


def test_a_report_of_good_and_bad_jobs(playbook: RunPlaybook, job: Job, s3: S3Lab, bucket: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "data").write_bytes(os.urandom(1_200_000))
    hosts = inventory(tmp_path, job, source)
    report = tmp_path / "new" / "report"

    def run(name: str, *options: str) -> play.Run:
        return playbook(f"permafrost.backup.{name}", *options, inventory=hosts, report_dir=str(report))

    assert run("backup", "-l", "web01").code == 0
    (key,) = [one["key"] for one in s3.state(bucket) if "-b/" in one["key"] and ".vol1." in one["key"]]
    s3.client().delete_object(Bucket=bucket, Key=key)

    checked = run("status", "--check")
    assert "nothing was written" in checked.output
    assert not report.parent.exists()

    looked = run("status")
    assert looked.code == 2, looked.output
    assert f"{report}/status.html" in looked.output
    assert re.search(r"web01 .*failed=0 .*rescued=0", looked.output)
    assert re.search(r"web04 .*failed=0 ", looked.output)
    model = json.loads((report / "status.json").read_text())
    rows = {(row["host"], row["job"]): row for row in model["rows"]}
    name, damaged = job["name"], f"{job['name']}-b"
    assert {key: row["verdict"] for key, row in rows.items()} == {
        ("web01", name): "fine",
        ("web01", damaged): "broken",
        ("web02", name): "broken",
        ("web03", name): "broken",
    }
    kinds = {key: [problem["kind"] for problem in row["problems"]] for key, row in rows.items()}
    assert kinds["web01", damaged] == ["missing_volumes"]
    assert kinds["web02", name] == ["engine_unavailable"]
    assert kinds["web03", name] == ["unreachable"]
    assert model["hosts_without_jobs"] == ["web04"]
    good = rows["web01", name]
    assert (good["chain_count"], good["newest_chain_sets"], good["last_drill"]) == (1, 1, None)
    assert sum(good["size_bytes"].values()) > 1_200_000
    assert len(good["durations"]) == len(good["stored"]) == 1
    page = (report / "status.html").read_text()
    assert "systemctl start docker" in page
    assert damaged in page
    assert not [
        text for text in (page, json.dumps(model)) if CANARY in text or job["credentials"]["secret_key"] in text
    ]

    before = without_times(report)
    assert run("status").code == 2
    assert without_times(report) == before
