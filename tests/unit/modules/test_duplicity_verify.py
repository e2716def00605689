"""duplicity_verify through main()."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors, integrity
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Upload
from ansible_collections.permafrost.backup.plugins.modules import duplicity_verify
from unit import transcript
from unit.modules.world import OTHER_SEAL, World

RECORDED = {
    "plan": "plan-whole", "info": "status-after-loss", "list": "list", "verify": "verify-same",
    "manifests": "open-manifest",
}  # fmt: skip
SYMMETRIC = {"mode": "symmetric", "passphrase": "canary-passphrase"}


def verify(world: World, *, check: bool = False, encryption: dict[str, Any] | None = None, **options: Any) -> Any:
    world.replies = {**RECORDED, **world.replies}
    job = world.job(storage_class="STANDARD", **({"encryption": encryption} if encryption else {}))
    return world.run(duplicity_verify, {"job": job, **options}, check=check)


def source(world: World, **options: Any) -> Any:
    return verify(world, mode="source", **options)


def kinds(result: dict[str, Any]) -> set[str]:
    return {one["kind"] for one in result["findings"]}


# --- integrity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [False, True])
def test_all_is_whole(world: World, check: bool) -> None:
    result = verify(world, check=check)
    assert (result["changed"], result["findings"], result["finding_counts"]) == (False, [], {})
    assert (result["set_count"], result["object_count"]) == (2, len(world.objects))
    assert world.verbs() == []


def test_damage_fails_and_all_of_it_is_told(world: World) -> None:
    world.drop(".vol2.")
    world.change("full.", size_bytes=1)
    world.change(".vol3.", size_bytes=0)
    world.uploads = [Upload("web01/data/x", "id", datetime(2026, 11, 24, tzinfo=timezone.utc))]
    result = verify(world)
    assert result["error"]["cause"] == "integrity_failed"
    assert result["finding_counts"] == {"volume_missing": 2, "volume_empty": 2, "upload_pending": 1}
    assert result["error"]["finding_counts"] == result["finding_counts"]
    assert len(result["findings"]) == 5
    assert {one["key"] for one in result["findings"] if one["kind"] == "volume_missing"} == {None}
    assert result["changed"] is False


def test_leftovers_only_warn_unless_they_are_to_fail(world: World) -> None:
    world.objects["web01/data/notes"] = next(iter(world.objects.values()))
    result = verify(world)
    assert kinds(result) == {"unknown"}
    assert "Job web01-data: 1 x unknown, such as notes." in json.dumps(result["warnings"])
    assert verify(world, fail_on=["unknown"])["error"]["cause"] == "integrity_failed"
    world.drop(".vol2.")
    assert "failed" not in verify(world, fail_on=[])


def test_a_policy_that_does_not_list_uploads(world: World) -> None:
    world.fails["uploads"] = errors.AccessRefused("S3 refused.")
    result = verify(world)
    assert (result["findings"], result["uploads_listed"]) == ([], False)
    assert "pending uploads could not be listed" in json.dumps(result["warnings"])


def test_a_manifest_that_cannot_be_read_hides_nothing(world: World) -> None:
    full = next(key for key in world.objects if "full." in key and "manifest" in key)
    world.contents[full.rpartition("/")[2]] = b"garbage"
    world.drop(".vol2.")
    result = verify(world)
    assert result["finding_counts"] == {"manifest_unreadable": 1, "volume_missing": 2}


def test_a_manifest_in_an_archive_class(world: World) -> None:
    world.change(".manifest", storage_class="GLACIER")
    result = verify(world)
    assert result["finding_counts"] == {"manifest_unreadable": 2, "wrong_class": 2}
    assert "GLACIER" in result["findings"][0]["detail"]


def test_encrypted_manifests_are_opened_together(world: World) -> None:
    world.seal()
    assert verify(world, encryption=SYMMETRIC)["findings"] == []
    assert world.verbs() == ["manifests"]
    left = [path.suffix for path in Path(world.directory, "state").rglob("*") if path.is_file()]
    assert ".gpg" not in left


def test_one_encrypted_manifest_is_broken_or_of_another_passphrase(world: World) -> None:
    world.seal()
    names = sorted(key.rpartition("/")[2] for key in world.objects if "manifest" in key)
    for content in (b"broken", OTHER_SEAL):
        world.contents = {names[0]: content}
        result = verify(world, encryption=SYMMETRIC)
        assert [(one["kind"], one["name"]) for one in result["findings"]] == [("manifest_unreadable", names[0])]
    world.contents = dict.fromkeys(names, OTHER_SEAL)
    assert verify(world, encryption=SYMMETRIC)["error"]["cause"] == "wrong_passphrase"
    world.contents = dict.fromkeys(names, b"broken")
    assert verify(world, encryption=SYMMETRIC)["finding_counts"] == {"manifest_unreadable": 2}


def test_an_encrypted_chain_of_a_job_without_encryption(world: World) -> None:
    world.seal()
    result = verify(world)
    assert result["finding_counts"] == {"manifest_unreadable": 2}
    assert "encryption.mode is none" in result["findings"][0]["detail"]


def test_manifests_for_a_key_that_is_elsewhere(world: World) -> None:
    world.seal()
    encryption = {"mode": "gpg", "encrypt_keys": ["A" * 40]}
    assert verify(world, encryption=encryption)["finding_counts"] == {"manifest_unchecked": 2}
    archive = Path(world.directory, "state", "web01-data", "archive", "web01-data")
    archive.mkdir(parents=True)
    for name, content in transcript.manifests("life").items():
        (archive / name).write_bytes(content)
    assert verify(world, encryption=encryption)["findings"] == []
    world.drop(".vol2.")
    assert verify(world, encryption=encryption)["finding_counts"] == {"volume_missing": 2}


def test_no_backup(world: World) -> None:
    world.objects = {"web01/data/notes": next(iter(world.objects.values()))}
    result = verify(world)
    assert result["error"]["cause"] == "no_backup"
    assert kinds(result) == {"unknown"}


def test_nobody_can_tell_while_a_backup_runs(world: World) -> None:
    world.fails["info"] = errors.Busy("The backup runs.")
    assert verify(world)["error"]["cause"] == "busy"


def test_every_kind_is_an_option() -> None:
    assert tuple(duplicity_verify.SPEC["fail_on"]["choices"]) == integrity.KINDS


# --- source ---------------------------------------------------------------------------------------------------------


def test_the_source_is_the_backup(world: World) -> None:
    result = source(world)
    assert (result["changed"], result["differences"], result["difference_count"]) == (False, [], 0)
    assert result["compared_count"] == 36
    assert result["plan"]["ready"] is True
    assert world.verbs()[-1] == "verify"
    assert "--compare-data" in result["command"]
    assert "/logs/verify-20" in result["log_file"]


def test_differences_fail(world: World) -> None:
    world.replies["verify"] = "verify-differs"
    result = source(world)
    assert result["error"]["cause"] == "verify_differs"
    assert result["difference_count"] == sum(result["difference_kinds"].values()) == 58
    assert {"path": "etc/data", "kind": "changed", "detail": "content"} in result["differences"]
    assert result["error"]["difference_kinds"] == result["difference_kinds"]
    assert source(world, on_difference="report")["difference_count"] == 58


def test_without_data_nothing_is_claimed(world: World) -> None:
    world.replies["verify"] = "verify-no-data"
    result = source(world, compare_data=False)
    assert "--compare-data" not in result["command"]
    assert not {"differences", "difference_count", "difference_kinds"} & set(result)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("verify-volume-missing", "volumes_missing"), ("hash-mismatch", "damaged_volume"), ("killed", "killed"),
        ("full", "duplicity_failed"),
    ],
)  # fmt: skip
def test_a_run_that_failed_is_no_difference(world: World, reply: str, cause: str) -> None:
    world.replies["verify"] = reply
    result = source(world, on_difference="report")
    assert result["error"]["cause"] == cause
    assert "differences" not in result


def test_frozen_volumes(world: World) -> None:
    world.change("difftar", storage_class="DEEP_ARCHIVE")
    result = source(world)
    assert result["error"]["cause"] == "volumes_frozen"
    assert "verify" not in world.verbs()
    planned = source(world, check=True)
    volumes = [key for key in world.objects if "difftar" in key]
    assert planned["thaw"] == {
        "volumes": len(volumes),
        "size_bytes": sum(world.objects[key].size_bytes for key in volumes),
        "hours": {"Standard": 12.0, "Bulk": 48.0},
    }
    assert planned["plan"]["ready"] is False
    assert "verify" not in world.verbs()


@pytest.mark.parametrize("check", [False, True])
def test_copies_that_expire_and_too_little_room(world: World, check: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before a restore."""
    expires = datetime.now(timezone.utc) + timedelta(hours=1)
    world.change("difftar", storage_class="DEEP_ARCHIVE", size_bytes=1 << 20, expires=expires)
    volumes = sum(".difftar" in key for key in world.objects)
    result = source(world, check=check, expected_rate=volumes / 7200)
    assert result["error"]["cause"] == "copies_expire"
    assert f"The verify reads {volumes}.0 MB" in result["msg"]
    assert source(world, check=check, expected_rate=0)["error"]["cause"] == "bad_input"
    assert "expire soon after" in str(source(world, check=check)["warnings"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1 << 20))
    world.specs = []
    assert source(world, check=check)["error"]["cause"] == "temporary_space"
    assert "verify" not in world.verbs()


def test_check_mode_of_what_is_not_frozen(world: World) -> None:
    planned = source(world, check=True)
    assert planned["thaw"] == {"volumes": 0, "size_bytes": 0, "hours": {}}
    assert (planned["changed"], planned["plan"]["ready"]) == (False, True)
    assert "verify" not in world.verbs()


def test_a_path(world: World) -> None:
    world.replies.update(plan="plan-path", verify="verify-path")
    (world.directory / "source/etc/nginx").mkdir(parents=True)
    result = source(world, path="/etc/nginx/")
    assert result["path"] == "etc/nginx"
    assert result["command"][-1].endswith("/source/etc/nginx")
    assert {one["path"] for one in result["differences"]} >= {"etc/nginx", "etc/nginx/data"}


def test_a_path_that_is_gone_from_the_source(world: World) -> None:
    world.replies["plan"] = "plan-path"
    result = source(world, path="etc")
    assert result["error"]["cause"] == "verify_differs"
    assert result["difference_kinds"]["deleted"] == result["difference_count"] == 4
    assert {one["path"] for one in result["differences"]} >= {"etc", "etc/nginx/nginx.conf"}
    assert "verify" not in world.verbs()


def test_a_path_that_is_not_in_the_backup(world: World) -> None:
    world.replies["plan"] = "plan-no-such-path"
    (world.directory / "source/no/such").mkdir(parents=True)
    assert source(world, path="no/such")["error"]["cause"] == "path_not_in_backup"
    assert source(world, path="not/anywhere")["error"]["cause"] == "path_not_in_backup"


def test_refused_before_anything_runs(world: World) -> None:
    assert source(world, time="1990-01-01")["error"]["cause"] == "before_first_backup"
    assert source(world, time="soon")["error"]["cause"] == "bad_time"
    assert source(world, path="a/../b")["error"]["cause"] == "bad_input"
    world.fails["verify"] = errors.Busy("It runs.")
    assert source(world)["error"]["cause"] == "busy"
    del world.fails["verify"]
    (world.directory / "source").rmdir()
    assert source(world)["error"]["cause"] == "source_missing"
    assert world.verbs() == []


def test_a_job_without_a_source(world: World) -> None:
    result = world.run(duplicity_verify, {"job": world.job(source=None), "mode": "source"})
    assert result["error"]["cause"] == "bad_input"
