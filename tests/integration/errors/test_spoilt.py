"""Backups that are frozen, incomplete, damaged, or of another passphrase."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.errors.cases import BACKUP, INFO, PLAN, RESTORE, THAW, Case, run, thaw
from integration.errors.conftest import sealed
from integration.errors.playing import Result, Task, play, refused, succeeded
from integration.errors.stage import BUCKET, PASSPHRASE, VOLUMES, Stage

UNTOUCHED = "part 0/data"  # lies in the first volume alone
SPOILT = ("missing", "empty", "damaged", "frozen-one")


def restored(prefix: str, dest: str, **options: str) -> Case:
    """A restore of a copy of the good backup."""
    return (RESTORE, lambda w: {"job": w.job(prefix), "dest": str(w.dest / dest), **options}, "", ())


def planned(prefix: str) -> Case:
    return (PLAN, lambda w: {"job": w.job(prefix)}, "", ())


def expect(case: Case, cause: str, *says: str) -> Case:
    return (case[0], case[1], cause, says)


def wrong(module: str, *, fresh: bool = False, passphrase: str = "the wrong passphrase", **job: object) -> Case:
    """A task with the wrong passphrase, with the archive directory of the backup or after its loss."""

    def made(w: Stage) -> dict[str, object]:
        changes = {**job, **({"state_dir": str(w.root / f"lost {module}")} if fresh else {})}
        extra = {"dest": str(w.dest / "sealed")} if module == RESTORE else {}
        return {"job": sealed(w, passphrase, **changes), **extra}

    return expect((module, made, "", ()), "wrong_passphrase", "gpg cannot open", "Give the passphrase that the chain")


MISSING = ("The bucket lacks 1 volumes: ", "Restore from an older version of the objects")
CASES: dict[str, Case] = {
    "all frozen, restore": expect(
        restored("frozen", "new"),
        "volumes_frozen",
        f"Of {VOLUMES} volumes that this restore reads, {VOLUMES} are frozen and 0 are thawing: duplicity-full.",
        "Thaw them with glacier_restore",
    ),
    "frozen, no such path": expect(
        restored("frozen", "new", path="part 9"), "path_not_in_backup", "'part 9' is not in the backup of 20"
    ),
    "frozen, no such path in a volume": expect(
        restored("frozen", "new", path="part 1/no"), "path_not_in_backup", "'part 1/no' is not in the backup of 20"
    ),
    "one frozen, restore": expect(
        restored("frozen-one", "new"), "volumes_frozen", "1 are frozen and 0 are thawing", ".vol2.difftar"
    ),
    "missing, restore": expect(restored("missing", "new"), "volumes_missing", *MISSING, ".vol2"),
    "missing, plan": expect(planned("missing"), "volumes_missing", *MISSING, ".vol2"),
    "empty, restore": expect(restored("empty", "new"), "volumes_missing", *MISSING, ".vol2"),
    "empty, plan": expect(planned("empty"), "volumes_missing", *MISSING, ".vol2"),
    "damaged, restore": expect(
        restored("damaged", "new"), "damaged_volume", "mismatch", "Restore an older version of the object"
    ),
    "wrong passphrase, incremental": wrong(BACKUP),
    "wrong passphrase, a full that is due": wrong(BACKUP, full_if_older_than="0s"),
    "wrong passphrase, restore": wrong(RESTORE),
    "wrong passphrase, restore after a loss": wrong(RESTORE, fresh=True),
    "wrong passphrase, plan after a loss": wrong(PLAN, fresh=True),
    "wrong passphrase, info after a loss": wrong(INFO, fresh=True),
    "wrong passphrase, incremental after a loss": wrong(BACKUP, fresh=True),
    "no passphrase, plan": expect(
        (PLAN, lambda w: {"job": w.job("unsealed", "sealed")}, "", ()), "encryption_mismatch", "Correct job.encryption"
    ),
    "Expedited for DEEP_ARCHIVE": expect(
        (THAW, lambda w: thaw(keys=w.keys("frozen", ".difftar"), tier="Expedited")(w), "", ()),
        "tier_unavailable",
        "DEEP_ARCHIVE has no Expedited retrieval",
        "Use Standard or Bulk for DEEP_ARCHIVE",
    ),
}


@pytest.fixture(scope="module")
def spoilt(stage: Stage) -> Stage:
    """Copies of the good backup, each spoilt in one way in its second volume."""
    stage.copy("origin", "frozen", "DEEP_ARCHIVE")
    for prefix in SPOILT:
        stage.copy("origin", prefix)
    missing, empty, damaged, frozen = (stage.keys(prefix, ".vol2.")[0] for prefix in SPOILT)
    stage.client.delete_object(Bucket=BUCKET, Key=missing)
    stage.put(empty, b"")
    stage.s3.corrupt(BUCKET, damaged)
    body = stage.client.get_object(Bucket=BUCKET, Key=frozen)["Body"].read()
    stage.put(frozen, body, "DEEP_ARCHIVE")
    # A job whose archive directory is there, and only the passphrase is wrong.
    (stage.source / "changed").write_text("so that an incremental would have something to do")
    return stage


@pytest.fixture(scope="module")
def results(spoilt: Stage) -> dict[str, Result]:
    return run(spoilt, CASES)


@pytest.mark.parametrize("name", CASES)
def test_refuses_with_one_clear_message(name: str, results: dict[str, Result]) -> None:
    _, _, cause, says = CASES[name]
    refused(results[name], cause, *says)


def test_what_is_not_spoilt_can_be_restored_and_info_names_what_is(spoilt: Stage, results: dict[str, Result]) -> None:
    assert results
    tasks = {prefix: Task(RESTORE, restored(prefix, prefix, path=UNTOUCHED)[1](spoilt)) for prefix in SPOILT}
    tasks |= {f"info {prefix}": Task(INFO, {"job": spoilt.job(prefix)}) for prefix in SPOILT}
    done = play(tasks, spoilt.root)
    for prefix in SPOILT:
        succeeded(done[prefix])
        assert (spoilt.dest / prefix).read_bytes() == (spoilt.source / UNTOUCHED).read_bytes()
        missing = succeeded(done[f"info {prefix}"])["chains"][0]["sets"][0]["missing"]
        assert len(missing) == (prefix in ("missing", "empty"))
        assert all(".vol2" in name for name in missing)


def test_the_right_passphrase_opens_it_after_all_that(spoilt: Stage, results: dict[str, Result]) -> None:
    """Also in an archive directory that tasks with the wrong one have used."""
    assert results
    lost = {"state_dir": str(spoilt.root / f"lost {RESTORE}")}
    tasks = {
        "again": Task(RESTORE, {"job": sealed(spoilt, PASSPHRASE, **lost), "dest": str(spoilt.dest / "unsealed")}),
        "next": Task(BACKUP, {"job": sealed(spoilt)}),
    }
    done = play(tasks, spoilt.root)
    succeeded(done["again"])
    assert (spoilt.dest / "unsealed" / UNTOUCHED).read_bytes() == (spoilt.source / UNTOUCHED).read_bytes()
    assert succeeded(done["next"])["action"] == "incremental"


def test_a_spoilt_archive_directory(spoilt: Stage) -> None:
    """And the way out that the message names."""
    spoilt.copy("origin", "torn")
    job = spoilt.job("torn")
    succeeded(play({"info": Task(INFO, {"job": job})}, spoilt.root)["info"])
    archive = Path(job["state_dir"], job["name"], "archive")
    (signatures,) = archive.glob("*/*.sigtar.gz")
    signatures.write_bytes(b"no gzip at all")
    with spoilt.unchanged():
        failed = play({"torn": Task(BACKUP, {"job": job})}, spoilt.root)["torn"]
    refused(failed, "archive_damaged", "exit code 30: ", "Move the archive directory of the job away and run again")
    assert failed["error"]["exit_code"] == 30
    archive.rename(archive.with_name("away"))
    assert succeeded(play({"again": Task(BACKUP, {"job": job})}, spoilt.root)["again"])["action"] == "incremental"


def test_expedited_without_capacity_says_what_to_do_and_loses_nothing(stage: Stage) -> None:
    stage.put("capacity/volume", b"cold", "GLACIER")
    options = thaw(keys=["capacity/volume"], tier="Expedited")(stage)
    stage.s3.fault(kind="expedited", count=None)
    with stage.unchanged():
        failed = play({"without": Task(THAW, options)}, stage.root)["without"]
    refused(failed, "thaw_incomplete", "Expedited has no capacity now; use Standard", "Run the same task again")
    stage.s3.clear_faults()
    assert succeeded(play({"with": Task(THAW, options)}, stage.root)["with"])["replies"] == {"accepted": 1}
    stage.client.delete_object(Bucket=BUCKET, Key="capacity/volume")  # or it would be thawed amid another test
