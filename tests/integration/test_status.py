"""The playbook status on jobs with a real bucket: rows, page and JSON, a lost volume, an engine that is not there."""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from integration.conftest import Job, RunPlaybook

from lab import play, warm
from lab.s3.client_api import S3Lab

CANARY = "canary-passphrase-of-a-job"
VERDICTS = {
    ("web01", ""): ("fine", []),
    ("web01", "-b"): ("broken", ["missing_volumes"]),
    ("web02", ""): ("broken", ["engine_unavailable"]),
    ("web03", ""): ("broken", ["unreachable"]),
    ("web05", ""): ("broken", ["look_failed"]),
}


def inventory(place: Path, job: Job, source: Path) -> Path:
    """A host with a good job and one to be damaged; others without engine, connection, job, and value of a vault."""
    host = play.local(warm.interpreter())
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
        "web05": {**host, "duplicity_jobs": [{**good, "encryption": {**secret, "passphrase": "{{ nowhere }}"}}]},
    }
    path = place / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    return path


def without_times(report: Path) -> Any:
    """What must not change between two looks at the same."""
    text = (report / "status.json").read_text()
    return json.loads(re.sub(r'"(generated|\w+_age_seconds)": [^,]+,?\n', r'"\1": 0,\n', text))


def judged(report: Path, name: str) -> dict[tuple[str, str], tuple[str, list[str]]]:
    """Verdict and kinds of problems by host and what follows the job's name in its own."""
    rows = json.loads((report / "status.json").read_text())["rows"]
    return {
        (row["host"], row["job"].removeprefix(name)): (row["verdict"], [one["kind"] for one in row["problems"]])
        for row in rows
    }


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
    assert re.findall(r"(web\d+) .*failed=1 ", looked.output) == ["web02", "web03", "web05"]
    assert judged(report, job["name"]) == VERDICTS
    before = without_times(report)
    (good,) = [row for row in before["rows"] if row["verdict"] == "fine"]
    assert (good["chain_count"], good["newest_chain_sets"], good["last_drill"]) == (1, 1, None)
    assert sum(good["size_bytes"].values()) > 1_200_000
    assert len(good["durations"]) == len(good["stored"]) == 1
    assert before["hosts_without_jobs"] == ["web04"]
    page = (report / "status.html").read_text()
    assert "systemctl start docker" in page
    for secret in (CANARY, job["credentials"]["secret_key"]):
        assert secret not in page
        assert secret not in (report / "status.json").read_text()

    imported = [{"name": "From elsewhere", "ansible.builtin.import_playbook": "permafrost.backup.status"}]
    again = playbook(yaml.safe_dump(imported), inventory=hosts, report_dir=str(report))
    assert again.code == 2
    assert [task.status for task in again.tasks if task.name == "Write the page"] == ["ok"]
    assert without_times(report) == before


# --- what it costs --------------------------------------------------------------------------------------------------

FULLS = 3
GB = 1 << 30


def three_jobs(place: Path, job: Job, source: Path) -> Path:
    """One host with three jobs of one source, which keep one full, two and three, and may delete early."""
    host = play.local(warm.interpreter())
    jobs = [
        {
            **job,
            "name": f"{job['name']}-{count}",
            "source": str(source),
            "target": f"{job['target']}-{count}",
            "retention": {"keep_fulls": count, "early_delete": "allow"},
            "cleanup_credentials": job["credentials"],
        }
        for count in range(1, FULLS + 1)
    ]
    path = place / "hosts.yml"
    groups = {"hosts": {"web01": {**host, "duplicity_jobs": jobs}}}
    keepers = {"children": {"permafrost_keepers": {"hosts": {"web01": None}}}}
    path.write_text(yaml.safe_dump({"all": {**groups, **keepers}}), encoding="utf-8")
    return path


def month_of(s3: S3Lab, bucket: str, prefix: str) -> Fraction:
    """What lies below a prefix, by hand: bytes at their class, and what an archived object takes beside them."""
    usd = {"DEEP_ARCHIVE": Fraction("0.00099"), "STANDARD": Fraction("0.023")}
    total = Fraction(0)
    for entry in s3.state(bucket, prefix):
        total += entry["size"] * usd[entry["storage_class"]]
        if entry["storage_class"] == "DEEP_ARCHIVE":
            total += 32 * 1024 * usd["DEEP_ARCHIVE"] + 8 * 1024 * usd["STANDARD"]
    return total / GB


def test_what_jobs_of_different_retention_cost(
    playbook: RunPlaybook, job: Job, s3: S3Lab, bucket: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "data").write_bytes(os.urandom(2_000_000))
    hosts = three_jobs(tmp_path, job, source)
    for _full in range(FULLS):
        assert playbook("permafrost.backup.backup", inventory=hosts, full="true").code == 0
    cleaned = playbook("permafrost.backup.cleanup", inventory=hosts)
    assert cleaned.code == 0, cleaned.output
    assert "would fit" in cleaned.output
    looked = playbook("permafrost.backup.status", inventory=hosts, report_dir=str(tmp_path / "report"))
    assert looked.code == 0, looked.output
    found = json.loads((tmp_path / "report" / "status.json").read_text())
    rows = sorted(found["rows"], key=lambda row: row["job"])
    assert [row["chain_count"] for row in rows] == [1, 2, 3]
    for row, count in zip(rows, range(1, FULLS + 1)):
        month = month_of(s3, bucket, f"web01/data-{count}/")
        assert abs(Fraction(row["month_usd"]) - month) < Fraction(1, 10**8)
        assert [one["tier"] for one in row["restores"]] == ["Standard", "Bulk"]
        assert f"{row['job']}: $0.01 a month; restored whole: Standard $0.01, Bulk $0.01" in looked.output
    months = [Fraction(row["month_usd"]) for row in rows]
    assert abs(months[2] - 3 * months[0]) < months[0] / 10
    assert abs(Fraction(found["cost"]["month_usd"]) - sum(months)) < Fraction(1, 10**8)
    assert "a month by the prices of us-east-1" in (tmp_path / "report" / "status.html").read_text()
    reckoned = playbook("permafrost.backup.cost", inventory=hosts, job=f"{job['name']}-{FULLS}")
    assert reckoned.code == 0, reckoned.output
    told = reckoned.result("glacier_cost_info")
    assert {(one["way"], one["storage_class"]) for one in told["costs"]} >= {("raw", "STANDARD"), ("job", "GLACIER")}
    assert abs(Fraction(told["stored"]["month_usd"]) - months[2]) < Fraction(1, 10**8)
    assert Fraction(told["stored"]["early_delete_usd"]) > 0
