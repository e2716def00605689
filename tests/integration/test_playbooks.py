"""The guide's way, by playbooks alone: back up, look, list, plan, thaw, restore; as docs/from-the-guide.md tells it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job, RunPlaybook

from lab import play, trees
from lab.s3.client_api import S3Lab


def shown(run: play.Run) -> Any:
    """What the last task named Show … of a playbook shows."""
    assert run.code == 0, run.output
    result = [task.result for task in run.tasks if task.name.startswith("Show")][-1]
    return [one["msg"] for one in result["results"]] if "results" in result else result.get("msg", result)


@pytest.fixture
def source(job: Job) -> Path:
    """Files in two directories, as random as films, so that they fill five volumes."""
    place = Path(job["source"])
    for directory in ("smallfiles", "films"):
        (place / directory).mkdir(parents=True)
        for number in range(5):
            (place / directory / f"{number}.bin").write_bytes(os.urandom(500_000))
    return place


def test_from_a_backup_to_the_data(playbook: RunPlaybook, job: Job, source: Path, s3: S3Lab, tmp_path: Path) -> None:
    jobs = [{**job, "storage_class": "DEEP_ARCHIVE"}]

    def run(name: str, **variables: Any) -> play.Run:
        given = {"duplicity_jobs": jobs, "thaw_credentials": job["credentials"], **variables}
        return playbook(f"permafrost.backup.{name}", job=job["name"], **given)

    assert run("backup").result("duplicity_backup")["action"] == "full"
    (source / "smallfiles" / "new.txt").write_text("new\n")
    assert run("backup").result("duplicity_backup")["action"] == "incremental"

    (state,) = shown(run("status", report_dir=str(tmp_path / "report")))
    assert [one["kind"] for one in state["chains"][0]["sets"]] == ["full", "incremental"]
    assert state["interrupted"] == []

    listed = shown(run("files", pattern="*/new.txt"))
    assert listed["files"] == ["smallfiles/new.txt"]
    assert listed["file_count"] == len(list(source.rglob("*"))) + 1

    planned = shown(run("plan", path="smallfiles"))["permafrost__planned.plan"]
    assert planned["states"].keys() == {"frozen"}
    bucket = job["target"].split("/")[2]
    assert planned["volume_count"] < len([one for one in s3.state(bucket) if "difftar" in one["key"]])

    dest = tmp_path / "recovered"
    early = run("restore", path="smallfiles", dest=str(dest))
    assert early.code == 0
    assert early.result("duplicity_restore")["error"]["cause"] == "volumes_frozen"
    (told,) = [task.result["msg"] for task in early.tasks if task.name == "Say how to go on"]
    assert told.startswith("Nothing was requested, paid or restored.")
    assert not dest.exists()

    asked = run("thaw", path="smallfiles", wait=False).result("glacier_restore")
    assert asked["requested_count"] == planned["volume_count"]
    s3.advance(hours=48)
    assert run("thaw", path="smallfiles").result("glacier_restore")["requested_count"] == 0
    mark = s3.mark()
    assert run("restore", path="smallfiles", dest=str(dest)).code == 0
    read = [one["key"] for one in s3.requests(mark) if one["operation"] == "GetObject" and "difftar" in one["key"]]
    assert sorted(read) == sorted(one["key"] for one in planned["volumes"]), "each volume of the plan once, no other"
    expected, found = trees.snapshot(source / "smallfiles"), trees.snapshot(dest)
    assert trees.differences(trees.kept(expected), trees.kept(found)) == []
