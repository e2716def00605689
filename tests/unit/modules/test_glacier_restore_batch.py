"""glacier_restore through main(), with S3 Batch Operations as its method."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.modules import glacier_restore
from unit.modules.world import World, later

JOB = {
    "account_id": "123456789012",
    "role_arn": "arn:aws:iam::123456789012:role/thaw",
    "manifest": "s3://acme-batch/thaws",
}


@pytest.fixture(autouse=True)
def frozen(world: World) -> None:
    """Two that are frozen, one that thaws, one that is thawed."""
    deep = replace(next(iter(world.objects.values())), storage_class="DEEP_ARCHIVE", size_bytes=100)
    states: dict[str, dict[str, Any]] = {
        "a": {},
        "b, c": {},
        "thawing": {"restoring": True},
        "thawed": {"expires": later()},
    }
    world.objects = {f"data/{name}": replace(deep, key=f"data/{name}", **state) for name, state in states.items()}


def thaw(world: World, *, check: bool = False, batch: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    given = {"bucket": "life", "prefix": "data/", "method": "batch", "batch": {**JOB, **(batch or {})}, **options}
    return world.run(glacier_restore, given, check=check)


def untouched(world: World) -> bool:
    return not (world.stored or world.jobs or world.thawed)


def test_without_consent_nothing_is_requested_and_the_job_is_shown(world: World) -> None:
    result = thaw(world, tier="Standard", days=3)
    assert untouched(world)
    assert (result["changed"], result["requested"], result["batch"]["job_id"]) == (False, [], None)
    assert result["batch"]["object_count"] == 2
    operation = result["batch"]["request"]["Operation"]
    assert operation == {"S3InitiateRestoreObject": {"ExpirationInDays": 3, "GlacierJobTier": "STANDARD"}}
    assert result["plan"]["states"]["frozen"]["volumes"] == 2


def test_with_consent_the_manifest_is_stored_and_the_job_created(world: World) -> None:
    result = thaw(world, batch={"confirm": True})
    ((place, content),) = world.stored.items()
    assert content == b"life,data/a\nlife,data/b%2C%20c\n"
    assert result["batch"]["manifest"] == f"s3://{place}"
    (job,) = world.jobs
    assert job["Manifest"]["Location"] == {"ETag": "etag-of-the-put", "ObjectArn": f"arn:aws:s3:::{place}"}
    assert result["batch"]["request"] == job
    assert (result["changed"], result["batch"]["job_id"]) == (True, "job-1")
    assert result["requested"] == ["data/a", "data/b, c"]
    assert "replies" not in result
    assert world.thawed == []


def test_the_same_task_names_the_same_job(world: World) -> None:
    thaw(world, batch={"confirm": True})
    thaw(world, batch={"confirm": True})
    thaw(world, batch={"confirm": True}, days=8)
    first, second, other = (job["ClientRequestToken"] for job in world.jobs)
    assert first == second != other


def test_check_mode_says_what_would_be(world: World, tmp_path: Path) -> None:
    wanted = {"confirm": True, "dest": str(tmp_path / "job")}
    check = thaw(world, check=True, batch=wanted)
    assert untouched(world)
    assert list(tmp_path.glob("job/*")) == []
    assert check["batch"]["job_id"] is None
    assert check["diff"]["after"]["thawing"] == 3
    real = thaw(world, batch=wanted)
    for name in ("changed", "requested", "ready_within_hours"):
        assert check[name] == real[name], name
    assert check["batch"]["manifest"] == real["batch"]["manifest"]


def test_the_files_for_a_look_before(world: World, tmp_path: Path) -> None:
    wanted = {"dest": str(tmp_path / "job")}
    first = thaw(world, batch=wanted)
    manifest, request = (Path(name) for name in first["batch"]["files"])
    assert manifest.read_bytes() == b"life,data/a\nlife,data/b%2C%20c\n"
    assert json.loads(request.read_text()) == first["batch"]["request"]
    assert first["changed"] is True
    assert thaw(world, batch=wanted)["changed"] is False
    assert untouched(world)


def test_a_directory_that_cannot_be(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = thaw(world, batch={"dest": str(tmp_path / "file" / "below"), "confirm": True})
    assert result["error"]["cause"] == "bad_input"
    assert untouched(world)


def test_nothing_left_to_ask_for_is_no_job(world: World) -> None:
    world.change("", restoring=False, expires=later())
    result = thaw(world, batch={"confirm": True}, wait=True)
    assert untouched(world)
    assert (result["changed"], result["batch"]["request"]) == (False, None)
    assert result["plan"]["ready"] is True


def test_waiting_goes_on_while_the_job_has_not_begun(world: World) -> None:
    def thawed(times: int) -> None:
        if times == 3:
            world.change("", restoring=False, expires=later())

    world.on_list = thawed
    result = thaw(world, batch={"confirm": True}, wait=True, poll_interval=1)
    assert result["plan"]["ready"] is True
    assert len(world.lists) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"tier": "Expedited"},
        {"wait": True},
        {"batch": {"confirm": True}, "endpoint_url": "https://minio.example.com"},
        {"batch": {"account_id": "1"}},
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_listed(world: World, options: dict[str, Any]) -> None:
    assert thaw(world, **options)["error"]["cause"] == "bad_input"
    assert world.lists == []


def test_a_request_that_the_model_refuses_is_not_sent(world: World) -> None:
    world.fails["batch"] = errors.BadInput("The model does not know that.")
    assert thaw(world, batch={"confirm": True})["error"]["cause"] == "bad_input"
    assert untouched(world)


def test_a_job_needs_its_terms(world: World) -> None:
    assert "batch" in world.run(glacier_restore, {"bucket": "life", "prefix": "data/", "method": "batch"})["msg"]
