"""Modules on a bucket of versions whose current objects were all overwritten with noise."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.modules import (
    duplicity_restore,
    duplicity_verify,
    glacier_restore,
    glacier_restore_info,
)
from unit import transcript
from unit.modules.world import OTHER_SEAL, SEAL, World

REPLIES = {"plan": "plan-whole", "info": "status-after-loss", "list": "list", "restore": "restore",
           "manifests": "open-manifest", "passphrase": "open-manifest-wrong"}  # fmt: skip
SYMMETRIC = {"mode": "symmetric", "passphrase": "canary-passphrase"}


def attack(world: World, part: str = "") -> list[str]:
    """Overwrite all objects whose key has that part; their keys."""
    found = [key for key in world.objects if part in key]
    for key in found:
        own = replace(world.objects[key], version_id=f"own {key[-12:]}")
        world.objects[key] = replace(own, etag="noise", last_modified=own.last_modified + timedelta(days=9))
        world.objects[key] = replace(world.objects[key], version_id=None)
        world.versions[key] = [replace(world.objects[key], version_id="noise"), own]
    return found


@pytest.fixture(autouse=True)
def replies(world: World) -> None:
    world.replies = dict(REPLIES)


def archive(world: World) -> Path:
    return world.directory / "state" / "web01-data" / "archive" / "web01-data"


def run(world: World, module: Any, **options: Any) -> dict[str, Any]:
    encryption = options.pop("encryption", {"mode": "none"})
    return world.run(module, {"job": world.job(storage_class="STANDARD", encryption=encryption), **options})


def test_integrity_names_all_of_it(world: World) -> None:
    keys = attack(world)
    result = run(world, duplicity_verify)
    assert result["error"]["cause"] == "integrity_failed"
    assert result["finding_counts"] == {"overwritten": len(keys)}
    assert sorted(one["key"] for one in result["findings"]) == sorted(keys)
    assert "restores use it" in result["findings"][0]["detail"]


def test_a_plan_is_of_the_older_versions(world: World) -> None:
    attack(world)
    result = run(world, glacier_restore_info)
    assert all(one["version_id"] == f"own {one['key'][-12:]}" for one in result["plan"]["volumes"])
    assert f"{len(world.objects)} objects" in str(result["warnings"])
    brought = sorted(path.name for path in archive(world).glob("*.manifest"))
    assert brought == sorted(transcript.manifests("life"))
    assert all(b"Hostname web01-data" in (archive(world) / name).read_bytes() for name in brought)
    assert "info" not in world.verbs(), "duplicity was not sent to the bucket for its metadata"


def test_what_is_brought_once_is_not_brought_again(world: World) -> None:
    attack(world)
    run(world, glacier_restore_info)
    world.fetched.clear()
    run(world, glacier_restore_info)
    assert world.fetched == []
    next(archive(world).glob("*.sigtar.gz")).unlink()
    run(world, glacier_restore_info)
    assert len(world.fetched) == 1


def test_a_restore_stages_the_older_versions(world: World) -> None:
    attack(world, ".difftar")
    dest = str(world.directory / "dest")
    streamed = run(world, duplicity_restore, dest=dest, fetch="streamed", prove=False)
    assert (streamed["error"]["cause"], "streamed" in streamed["msg"]) == ("bad_input", True)
    result = run(world, duplicity_restore, dest=dest, prove=False)
    assert (result.get("msg"), result["fetch"]["way"]) == (None, "staged")
    assert result["fetch"]["fetched"] == result["plan"]["volume_count"] > 0


def test_sealed_metadata_are_opened(world: World) -> None:
    world.seal()
    real = {key.replace(".sigtar.gz.gpg", ".sigtar.gpg"): one for key, one in world.objects.items()}
    world.objects = {key: replace(one, key=key) for key, one in real.items()}
    keys = attack(world)
    for key in keys:
        if ".sigtar" in key:
            world.contents[key.rpartition("/")[2]] = SEAL + b"signature"
    run(world, glacier_restore_info, encryption=SYMMETRIC)  # the recorded dry run is of plain names
    manifests = {path.name: path.read_bytes() for path in archive(world).glob("*.manifest")}
    assert set(manifests) == set(transcript.manifests("life"))
    assert all(content.startswith(b"Hostname") for content in manifests.values())
    signatures = [gzip.decompress(path.read_bytes()) for path in archive(world).glob("*.sigtar.gz")]
    assert signatures == [b"signature"] * 2


def test_with_a_wrong_passphrase(world: World) -> None:
    world.seal()
    for key in attack(world):
        world.contents[key.rpartition("/")[2]] = OTHER_SEAL
    result = run(world, glacier_restore_info, encryption=SYMMETRIC)
    assert result["failed"]
    assert list(archive(world).glob("*")) == []


def test_without_older_versions_all_is_as_before(world: World) -> None:
    result = run(world, glacier_restore_info)
    assert {one["version_id"] for one in result["plan"]["volumes"]} == {None}
    assert "warnings" not in result


def thaw(world: World, **options: Any) -> dict[str, Any]:
    return world.run(glacier_restore, options)


def test_a_thaw_is_of_the_version_that_the_plan_names(world: World) -> None:
    world.change(".difftar", storage_class="DEEP_ARCHIVE")
    first, second = sorted(key for key in world.objects if ".vol1." in key)[:2]
    attack(world, ".vol1.")
    ids = {first: f"own {first[-12:]}", "not/asked/for": "any"}
    result = thaw(world, bucket="life", keys=[first, second], version_ids=ids)
    assert world.thawed_versions == {first: f"own {first[-12:]}", second: None}
    assert [one["version_id"] for one in result["plan"]["volumes"]] == [f"own {first[-12:]}", None]
    gone = thaw(world, bucket="life", keys=[first], version_ids={first: "of nobody"})
    assert gone["error"]["cause"] == "volumes_missing"


def test_a_thaw_of_a_chain_finds_the_versions_itself(world: World) -> None:
    world.change(".difftar", storage_class="DEEP_ARCHIVE")
    attack(world)
    thaw(world, target="s3://life/web01/data")
    assert len(world.thawed_versions) > 2
    assert all(version == f"own {key[-12:]}" for key, version in world.thawed_versions.items())


def test_a_host_that_only_seals_keeps_its_own_copies(world: World) -> None:
    world.seal()
    attack(world)
    run(world, glacier_restore_info, encryption={"mode": "gpg", "encrypt_keys": ["0123456789ABCDEF"]})
    assert "manifests" not in world.verbs()
