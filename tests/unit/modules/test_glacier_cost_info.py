"""glacier_cost_info through main()."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ansible.module_utils.common import warnings

from ansible_collections.permafrost.backup.plugins.modules import glacier_cost_info
from unit.modules.world import World
from unit.priced import TABLE

GUIDE = {"files": 10_000_000, "size_bytes": 10_240_000_000, "compression_ratio": 0.8, "volume_size": 1024}


def cost(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    return world.run(glacier_cost_info, {"prices": TABLE, **options}, check=check)


def ways(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["way"], one["storage_class"]): one for one in result["costs"]}


@pytest.mark.parametrize("check", [False, True])
def test_the_guides_files_side_by_side(world: World, check: bool) -> None:
    result = cost(world, check=check, change_rate=0, **GUIDE)
    found = ways(result)
    assert len(found) == len(result["table"]) - 1 == 8
    assert (found["raw", "DEEP_ARCHIVE"]["upload_usd"], found["job", "DEEP_ARCHIVE"]["upload_usd"]) == (
        "500",
        "0.000475",
    )
    assert found["raw", "GLACIER"]["month_usd"].startswith("2.887")
    assert result["rhythm"] == {"full_days": 28, "every_days": 1, "keep_fulls": 8, "kept_days": 224}
    assert [one["fitting_keep_fulls"] for one in result["retention"]] == [5, 5, 8]
    assert [one["early_sets"] for one in result["retention"]] == [0, 0, 0]
    years = [Decimal(one["year_usd"]) for one in result["costs"]]
    assert years == sorted(years)
    assert (result["changed"], result["stored"], result["region"]) == (False, None, "us-east-1")
    assert "GLACIER_IR.put_1000" in result["unverified"]
    assert "DEEP_ARCHIVE.put_1000" not in result["unverified"]
    assert not warnings.get_warning_messages()


def test_the_guides_retention(world: World) -> None:
    result = cost(world, keep_fulls=7, **GUIDE)
    assert [one["early_sets"] for one in result["retention"]] == [0, 0, 11]
    assert Decimal(ways(result)["job", "DEEP_ARCHIVE"]["early_delete_month_usd"]) > 0


def test_a_job_says_how_it_stores(world: World) -> None:
    job = world.job(volume_size=64, full_if_older_than="2W", retention={"keep_fulls": 3}, compression=False)
    result = cost(world, job=job, files=1000, size_bytes=1 << 30)
    assert result["rhythm"] == {"full_days": 14, "every_days": 1, "keep_fulls": 3, "kept_days": 42}
    (upload, *_) = ways(result)["job", "DEEP_ARCHIVE"]["lines"]["upload"]
    assert upload["count"] == 17
    assert world.specs == world.lists == [], "nobody was asked"
    own = cost(world, job=job, files=1000, size_bytes=1 << 30, volume_size=1024, keep_fulls=13, backup_every="2D")
    assert own["rhythm"] == {"full_days": 14, "every_days": 2, "keep_fulls": 13, "kept_days": 182}
    assert [line["what"] for line in ways(own)["job", "GLACIER"]["lines"]["upload"]] == ["upload_requests"] * 2
    chunked = cost(world, job=world.job(volume_size=64, multipart_chunk_size=10), files=1000, size_bytes=1 << 30)
    assert "upload_parts" in [line["what"] for line in ways(chunked)["job", "GLACIER"]["lines"]["upload"]]


def test_a_directory(world: World) -> None:
    (world.directory / "source" / "file").write_bytes(b"x" * 5000)
    result = cost(world, directory=str(world.directory / "source"))
    assert {key: result["source"][key] for key in ("files", "size_bytes", "entries", "unreadable_count")} == {
        "files": 1, "size_bytes": 5000, "entries": 2, "unreadable_count": 0,
    }  # fmt: skip
    assert ways(result)["raw", "STANDARD"]["upload_usd"] == "0.000005"


def test_what_a_job_has_in_its_bucket(world: World) -> None:
    result = cost(world, job=world.job(), from_bucket=True)
    assert {way for way, _name in ways(result)} == {"job"}
    assert result["source"] is None
    count = sum(one["object_count"] for one in result["stored"]["objects"])
    assert count == len(world.objects)
    assert sum(one["size_bytes"] for one in result["stored"]["objects"]) == sum(
        one.size_bytes for one in world.objects.values()
    )
    assert Decimal(result["stored"]["month_usd"]) == sum(
        Decimal(line["amount_usd"]) for line in result["stored"]["lines"] if line["what"].startswith("storage")
    )
    assert {way for way, _name in ways(cost(world, job=world.job(), from_bucket=True, files=3, size_bytes=30))} == {
        "job", "raw",
    }  # fmt: skip
    world.objects = {}
    assert cost(world, job=world.job(), from_bucket=True)["error"]["cause"] == "no_backup"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "Neither directory"), ({"from_bucket": True}, "from_bucket needs a job"), ({"files": 3}, "size_bytes"),
        ({"directory": "/nowhere/at/all"}, "No such file"), ({"files": 0, "size_bytes": 0}, "at least 1"),
        ({**GUIDE, "change_rate": 2}, "change_rate"), ({**GUIDE, "compression_ratio": 0}, "compression_ratio"),
        ({**GUIDE, "volume_size": 0}, "volume_size"), ({**GUIDE, "keep_fulls": 0}, "keep_fulls"),
        ({**GUIDE, "backup_every": "often"}, "interval"), ({**GUIDE, "expected_rate": 0}, "expected_rate"),
        ({**GUIDE, "prices": {**TABLE, "figures": {"egress_gb": 1}}}, "which this quote needs"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused(world: World, options: dict[str, Any], word: str) -> None:
    assert word in cost(world, **options)["msg"]


def test_another_region_is_told(world: World) -> None:
    cost(world, region="eu-central-1", **GUIDE)
    assert "eu-central-1" in " ".join(warnings.get_warning_messages())
