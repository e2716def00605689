"""Ways to be somebody for S3: a profile, an assumed role, and an instance's role that does not reach a bridge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job
from integration.errors.playing import Task, play, refused, succeeded

from lab.s3.client_api import S3Lab
from lab.sts import StsLab
from lab.task_role import ACCESS_KEY, TaskRoleLab

ROLE = "arn:aws:iam::123456789012:role/backup"


@pytest.fixture
def source(job: Job) -> Path:
    place = Path(job["source"])
    place.mkdir()
    (place / "file").write_text("content")
    return place


@pytest.fixture
def sts(s3: S3Lab) -> Iterator[StsLab]:
    with StsLab(s3) as found:
        yield found


def used_keys(s3: S3Lab, mark: int) -> set[str]:
    return {entry["access_key"] for entry in s3.requests(mark)}


def both(job: Job, credentials: dict[str, Any] | None, **changes: Any) -> dict[str, Task]:
    other = {**job, "credentials": credentials, **changes}
    return {"backup": Task("duplicity_backup", {"job": other}), "info": Task("duplicity_info", {"job": other})}


@pytest.mark.usefixtures("source")
def test_a_profile_of_the_host(job: Job, s3: S3Lab, tmp_path: Path) -> None:
    s3.add_key("AKIAPROFILE", "profile-secret")
    (tmp_path / "aws").mkdir(mode=0o700)
    (tmp_path / "aws" / "config").write_text("[profile offsite]\nregion = us-east-1\n")
    keys = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = profile-secret\n"
    (tmp_path / "aws" / "credentials").write_text(f"[offsite]\n{keys}")
    mark = s3.mark()
    done = play(both(job, {"profile": "offsite", "aws_dir": str(tmp_path / "aws")}), tmp_path)
    assert succeeded(done["backup"])["action"] == "full"
    assert len(succeeded(done["info"])["chains"]) == 1
    assert used_keys(s3, mark) == {"AKIAPROFILE"}
    unknown = play(both(job, {"profile": "nobody", "aws_dir": str(tmp_path / "aws")}), tmp_path)
    refused(unknown["backup"], "no_credentials", "nobody")


@pytest.mark.usefixtures("source")
def test_an_assumed_role(job: Job, s3: S3Lab, sts: StsLab, tmp_path: Path) -> None:
    pair = {"access_key": s3.access_key, "secret_key": s3.secret_key}
    role = {**pair, "role_arn": ROLE, "external_id": "acme", "sts_endpoint_url": sts.endpoint_url}
    mark = s3.mark()
    done = play(both(job, role), tmp_path)
    assert succeeded(done["backup"])["action"] == "full"
    assert len(succeeded(done["info"])["chains"]) == 1
    assert s3.access_key not in used_keys(s3, mark), "only the role's keys were used, in the container and beside it"
    assert len(sts.assumed) >= 3
    assert all("role/backup" in arn for arn in sts.assumed)


@pytest.mark.usefixtures("source")
def test_the_role_of_a_task(job: Job, s3: S3Lab, sts: StsLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = s3.mark()
    with TaskRoleLab(s3) as role:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.url)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", role.token)
        tasks = both(job, None)
        assumed = {**job, "credentials": {"role_arn": ROLE, "sts_endpoint_url": sts.endpoint_url}}
        tasks["assumed"] = Task("duplicity_backup", {"job": assumed, "full": True})
        done = play(tasks, tmp_path)
    assert [succeeded(done[name])["action"] for name in ("backup", "assumed")] == ["full", "full"]
    assert len(succeeded(done["info"])["chains"]) == 1
    assert set(role.asked) == {200}, "nobody came without the token"
    assert any("role/backup" in arn for arn in sts.assumed)
    assert ACCESS_KEY in used_keys(s3, mark)
    assert s3.access_key not in used_keys(s3, mark)


@pytest.mark.usefixtures("source")
def test_a_bridge_that_does_not_lead_to_a_role(
    job: Job, s3: S3Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host finds keys, as it would find the instance's role; the container on the bridge does not."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    before = s3.state(job["target"].split("/")[2])
    done = play(both(job, None, network="bridge"), tmp_path)
    refused(done["backup"], "no_credentials", "job.network to host", "hop limit")
    assert s3.state(job["target"].split("/")[2]) == before
