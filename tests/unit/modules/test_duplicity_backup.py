"""duplicity_backup through main()."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors, resuming
from ansible_collections.permafrost.backup.plugins.modules import duplicity_backup
from unit import keyring, transcript
from unit.modules.world import World
from unit.priced import TABLE


def record(world: World, name: str) -> dict[str, object]:
    path = Path(world.directory, "state", "web01-data", f"{name}.json")
    content: dict[str, object] = json.loads(path.read_text())
    return content


def encrypted_for(world: World, manifest: bytes) -> None:
    """A bucket with one encrypted chain, whose manifest is this."""
    world.objects = transcript.listing("encrypted")
    world.contents = {key.rpartition("/")[2]: manifest for key in world.objects if ".manifest" in key}


def test_an_incremental(world: World) -> None:
    world.replies["backup"] = "incremental"
    result = world.run(duplicity_backup, {"job": world.job()})
    assert result["changed"] is True
    assert result["action"] == "incremental"
    assert result["set"]["kind"] == "incremental"
    volumes = [key for key in transcript.listing("life") if "duplicity-inc" in key and ".difftar" in key]
    assert result["set"]["volumes"] == len(volumes) > 1
    assert result["statistics"]["deleted_files"] == 1
    assert result["command"][0] == "duplicity"
    assert result["not_preserved"]["sockets"] == 0
    assert result["diff"]["after"]["deleted_files"] == 1
    assert result["diff"]["before"] == {}
    assert record(world, "last_run") == record(world, "last_success")
    assert record(world, "last_run")["unreadable_count"] == 0


def test_nothing_changed(world: World) -> None:
    world.replies["backup"] = "skipped"
    result = world.run(duplicity_backup, {"job": world.job()})
    assert (result["changed"], result["action"]) == (False, "skipped")
    assert "set" not in result
    assert result["diff"] == {"before": {}, "after": {}}
    assert record(world, "last_success")["exit_code"] == 0


def test_a_full_by_hand(world: World) -> None:
    world.replies["backup"] = "full"
    world.drop("duplicity-inc")
    world.drop("duplicity-new")
    result = world.run(duplicity_backup, {"job": world.job(), "full": True})
    assert world.specs[0].argv[1] == "full"
    assert (result["action"], result["changed"]) == ("full", True)


@pytest.mark.parametrize(
    ("reply", "action", "changed"),
    [
        ("check-first", "full", True), ("check-full", "full", True),
        ("check-unchanged", "skipped", False), ("check-changed", "incremental", True),
    ],
)  # fmt: skip
def test_check_mode_predicts_and_records_nothing(world: World, reply: str, action: str, changed: bool) -> None:
    world.replies["check"] = reply
    result = world.run(duplicity_backup, {"job": world.job(), "full": reply == "check-full"}, check=True)
    assert (result["action"], result["changed"]) == (action, changed)
    assert world.verbs() == ["check"]
    assert result["diff"]["after"].get("set") == (action if changed else None)
    assert "log_file" not in result
    assert "--dry-run" in world.specs[0].argv
    assert not list(Path(world.directory, "state").rglob("last_*.json"))


def test_a_missing_source_starts_nothing(world: World) -> None:
    result = world.run(duplicity_backup, {"job": world.job(source=str(world.directory / "gone"))})
    assert result["error"]["cause"] == "source_missing"
    assert result["msg"].endswith(errors.SourceMissing.next_step)
    assert world.specs == []


def test_a_source_that_is_a_file(world: World) -> None:
    (world.directory / "file").touch()
    result = world.run(duplicity_backup, {"job": world.job(source=str(world.directory / "file"))})
    assert result["error"]["cause"] == "bad_input"
    assert world.specs == []


def test_unreadable_files_fail_the_task_and_are_named(world: World) -> None:
    world.replies["backup"] = "unreadable"
    world.objects = transcript.listing("unreadable")
    result = world.run(duplicity_backup, {"job": world.job()})
    assert result["failed"] is True
    assert result["error"]["cause"] == "source_unreadable"
    assert result["error"]["unreadable_count"] == result["unreadable_count"] == 3
    assert [name.rpartition("/")[2] for name in result["unreadable"]] == ["locked", "secret", "secret-\\xe9"]
    assert record(world, "last_run")["cause"] == "source_unreadable"
    assert record(world, "last_run")["unreadable_count"] == 3
    assert not Path(world.directory, "state", "web01-data", "last_success.json").exists()


def test_unreadable_files_may_be_accepted(world: World) -> None:
    world.replies["backup"] = "unreadable"
    world.objects = transcript.listing("unreadable")
    result = world.run(duplicity_backup, {"job": world.job(on_unreadable="warn")})
    assert "failed" not in result
    assert result["unreadable_count"] == 3
    assert record(world, "last_success")["cause"] is None
    assert record(world, "last_run")["unreadable_count"] == 3


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("upload-fails", "backend_failed"), ("stopped", "stopped"), ("killed", "killed"), ("lock-held", "lock_held"),
        ("source-mismatch", "source_mismatch"), ("temp-space", "temporary_space"), ("refused", "access_refused"),
        ("unreachable", "endpoint_unreachable"), ("no-bucket", "bucket_missing"),
        ("wrong-passphrase-incremental", "wrong_passphrase"),
    ],
)  # fmt: skip
def test_failures_of_a_run(world: World, reply: str, cause: str) -> None:
    world.replies["backup"] = reply
    result = world.run(duplicity_backup, {"job": world.job()})
    assert result["failed"] is True
    assert result["error"]["cause"] == cause
    assert result["error"]["exit_code"] == transcript.load(reply).exit_code
    assert result["msg"].count("Next: ") == 1
    assert result["command"][0] == "duplicity"
    assert record(world, "last_run")["cause"] == cause


def test_a_killed_gpg_is_no_wrong_passphrase(world: World) -> None:
    world.objects = transcript.listing("encrypted")
    world.replies["passphrase"] = "killed"
    encryption = {"mode": "symmetric", "passphrase": "canary-passphrase"}
    result = world.run(duplicity_backup, {"job": world.job(encryption=encryption, limits={"memory": 16})})
    assert result["error"]["cause"] == "killed"
    assert "at the limit of 16 MB (job.limits.memory)" in result["msg"]


def test_a_good_end_without_a_manifest_is_no_success(world: World) -> None:
    world.replies["backup"] = "incremental"
    world.drop("manifest")
    result = world.run(duplicity_backup, {"job": world.job()})
    assert result["error"]["cause"] == "backend_failed"
    assert not Path(world.directory, "state", "web01-data", "last_success.json").exists()


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (errors.Busy("It runs."), "backup"),
        (errors.ImageMissing("No image."), "backup"),
        (errors.BucketMissing("No bucket."), "list"),
        (errors.AccessRefused("Refused."), "list"),
    ],
)
def test_what_the_engine_or_the_bucket_refuses(world: World, error: errors.PermafrostError, where: str) -> None:
    world.fails[where] = error
    result = world.run(duplicity_backup, {"job": world.job()})
    assert result["error"]["cause"] == error.cause
    assert result["msg"] == error.message
    assert world.specs == []


def test_a_wrong_passphrase_is_told_before_anything_runs(world: World) -> None:
    world.objects = transcript.listing("encrypted")
    world.replies["passphrase"] = "open-manifest-wrong"
    encryption = {"mode": "symmetric", "passphrase": "canary-passphrase"}
    result = world.run(duplicity_backup, {"job": world.job(encryption=encryption)})
    assert result["error"]["cause"] == "wrong_passphrase"
    assert world.verbs() == ["passphrase"]
    assert "canary" not in json.dumps({key: value for key, value in result.items() if key != "invocation"})


@pytest.mark.parametrize(
    ("message", "names", "told"),
    [
        ("curve", ("rsa",), "is encrypted for key "), ("curve", ("curve", "rsa"), "is encrypted for key "),
        ("both", ("curve",), "and with a passphrase"), ("hidden", ("curve",), "(hidden)"),
        ("signed", ("curve",), "for nobody that can be known"),
    ],
)  # fmt: skip
def test_other_keys_begin_a_chain_on_purpose_only(
    world: World, message: str, names: tuple[str, ...], told: str
) -> None:
    encrypted_for(world, keyring.message(message))
    world.replies["backup"] = "full"
    job = world.job(encryption=keyring.options(*names))
    result = world.run(duplicity_backup, {"job": job})
    assert result["error"]["cause"] == "keys_changed"
    assert told in result["msg"]
    assert world.verbs() == []
    assert world.run(duplicity_backup, {"job": job, "full": True})["new_secrets"] is True
    assert world.verbs() == ["backup"]


def test_the_same_keys_go_on(world: World) -> None:
    encrypted_for(world, keyring.message("two"))
    world.replies["backup"] = "incremental"
    result = world.run(duplicity_backup, {"job": world.job(encryption=keyring.options("rsa", "curve"))})
    assert result["new_secrets"] is False
    assert world.verbs()[0] == "backup"


@pytest.mark.parametrize(("before", "now", "told"), [("rsa", None, "by nobody"), (None, "rsa", "by nobody, and")])
def test_another_signer_begins_a_chain_on_purpose_only(
    world: World, before: str | None, now: str | None, told: str
) -> None:
    encrypted_for(world, keyring.message("curve"))
    signers = {name: keyring.fingerprints(name)[0] for name in ("rsa",)}
    place = Path(world.directory, "state", "web01-data")
    place.mkdir(parents=True)
    (place / "last_success.json").write_text(json.dumps({"sign_key": signers[before] if before else None}))
    signing = {"sign_key": signers[now], "secret_keys": keyring.armoured("secret", now)} if now else {}
    job = world.job(encryption=keyring.options("curve", **signing))
    result = world.run(duplicity_backup, {"job": job})
    assert result["error"]["cause"] == "keys_changed"
    assert told in result["msg"]
    world.replies["backup"] = "full"
    assert world.run(duplicity_backup, {"job": job, "full": True})["new_secrets"] is True


def no_room_for(world: World, *records: str) -> None:
    """Nothing can be written to them, though all else can."""
    place = Path(world.directory, "state", "web01-data")
    place.mkdir(parents=True, exist_ok=True)
    for name in records:
        (place / f"{name}.json.new").symlink_to("/dev/full")


def test_a_record_without_room_does_not_hide_why_a_run_failed(world: World) -> None:
    no_room_for(world, "last_run")
    world.replies["backup"] = "upload-fails"
    assert world.run(duplicity_backup, {"job": world.job()})["error"]["cause"] == "backend_failed"


def test_a_success_that_cannot_be_recorded_is_told_with_what_was_stored(world: World) -> None:
    no_room_for(world, "last_run", "progress")
    world.replies["backup"] = "incremental"
    result = world.run(duplicity_backup, {"job": world.job(progress=True)})
    assert result["error"]["cause"] == "state_space"
    assert "last_run.json cannot be written: No space left on device" in result["msg"]
    assert (result["changed"], result["action"], result["diff"]["after"]["set"]) == (True, "incremental", "incremental")
    assert world.run(duplicity_backup, {"job": world.job()})["changed"] is True
    assert record(world, "last_success")["cause"] is None


def test_options_are_checked(world: World) -> None:
    result = world.run(duplicity_backup, {"job": world.job(encryption={"mode": "symmetric"})})
    assert result["failed"] is True
    assert "passphrase" in result["msg"]
    result = world.run(duplicity_backup, {"job": world.job(target="s3://only-a-bucket")})
    assert result["error"]["cause"] == "bad_input"


def test_a_volume_that_is_written_anew_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The incremental lost its manifest, and has two of three volumes behind one another."""
    (manifest,) = (key for key in world.objects if "duplicity-inc" in key and ".manifest" in key)
    name = manifest.rpartition("/")[2]
    content = world.content(manifest)
    archive = Path(world.directory, "state", "web01-data", "archive", "web01-data")
    archive.mkdir(parents=True)
    volumes = sorted(key for key in world.objects if "duplicity-inc" in key and ".difftar" in key)
    assert len(volumes) > 1
    world.drop(name)
    world.drop("duplicity-new")
    world.change(".difftar", storage_class="DEEP_ARCHIVE", last_modified=datetime.now(timezone.utc))
    (archive / f"{name}.part").write_bytes(content)
    monkeypatch.setattr(resuming.changes, "changed", lambda *_args: False)
    monkeypatch.setattr(resuming.time, "sleep", lambda _seconds: None)
    world.replies.update(check="check-changed", backup="incremental")
    checked = world.run(duplicity_backup, {"job": world.job()}, check=True)
    assert (checked["rewrites"]["key"], checked["rewrites"]["early_days"]) == (volumes[-1], 180)
    assert "is written anew" in str(checked["warnings"])
    second = content.index(b"Volume 2:")
    (archive / f"{name}.part").write_bytes(content[:second])
    unheard = world.run(duplicity_backup, {"job": world.job()}, check=True)["rewrites"]
    sizes = [world.objects[key].size_bytes for key in volumes]
    assert (unheard["key"], unheard["size_bytes"]) == (volumes[1], sum(sizes[1:]))
    (archive / f"{name}.part").write_bytes(content[: second + 30])
    assert world.run(duplicity_backup, {"job": world.job()}, check=True)["rewrites"] is None, "it was cut off"
    (archive / f"{name}.part").write_bytes(content)
    world.change(".difftar", storage_class="STANDARD")
    free = world.run(duplicity_backup, {"job": world.job()}, check=True)
    assert (free["rewrites"]["early_days"], "warnings" in free) == (0, False)
    monkeypatch.setattr(resuming.changes, "changed", lambda *_args: True)
    assert world.run(duplicity_backup, {"job": world.job()}, check=True)["rewrites"] is None


def test_what_makes_no_sense_is_told_before_the_act_and_after(world: World) -> None:
    world.replies.update(check="check-changed", backup="incremental")
    rules = {"keep_fulls": 7}
    for check in (True, False):
        result = world.run(duplicity_backup, {"job": world.job(retention=rules)}, check=check)
        (told,) = result["economy"]
        assert "8 would fit" in told
        assert told in str(result["warnings"])
    small = world.job(volume_size=1)
    priced = world.run(duplicity_backup, {"job": small, "prices": TABLE}, check=True)
    assert "job.volume_size is 1: " in " ".join(priced["economy"])
    assert world.run(duplicity_backup, {"job": small}, check=True)["economy"] == []
    assert "prices" in world.run(duplicity_backup, {"job": world.job(), "prices": {"region": "x"}})["msg"]
