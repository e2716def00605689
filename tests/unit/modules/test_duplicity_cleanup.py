"""duplicity_cleanup through main()."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp, to_w3
from ansible_collections.permafrost.backup.plugins.modules import duplicity_cleanup
from unit.modules.world import World
from unit.priced import TABLE

PREFIX = "web01/data/"
TODAY = datetime.now(timezone.utc).replace(microsecond=0)


def days_ago(days: int) -> datetime:
    return TODAY - timedelta(days=days)


def add(
    world: World, base: int | None, days: int, *, complete: bool = True, tail: str = "", volumes: int = 2
) -> list[str]:
    """A set of so many days ago, on one of ``base`` days ago; gives its keys, the manifest first."""
    end = to_stamp(days_ago(days))
    stem = f"duplicity-full.{end}" if base is None else f"duplicity-inc.{to_stamp(days_ago(base))}.to.{end}"
    names = [f"{stem}.manifest{tail}"] * complete + [
        f"{stem}.vol{number}.difftar.gz" for number in range(1, volumes + 1)
    ]
    for name in names:
        storage_class = "STANDARD" if "manifest" in name else "DEEP_ARCHIVE"
        world.objects[PREFIX + name] = S3Object(PREFIX + name, 10, storage_class, "", days_ago(days))
        world.contents[name] = b"Hostname web01-data\nLocaldir /source\nVolume 1:\n"
    return [PREFIX + name for name in names]


@pytest.fixture(autouse=True)
def chains(world: World) -> None:
    """Two chains, the older with an incremental."""
    world.objects = {}
    add(world, None, 60)
    add(world, 60, 50)
    add(world, None, 20)
    add(world, 20, 10)


def cleanup(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """A class without a minimum in the job, and permission for the objects, which are in another."""
    given = {"job": world.job(storage_class="STANDARD"), "early_delete": "allow", **options}
    return world.run(
        duplicity_cleanup, {name: value for name, value in given.items() if value is not None}, check=check
    )


def own_host(world: World, partial: str | None = None) -> Path:
    """The job's archive directory, with the partial manifest of a set."""
    archive = world.directory / "state" / "web01-data" / "archive" / "web01-data"
    archive.mkdir(parents=True)
    if partial:
        (archive / partial).write_text("Hostname web01-data\n")
    return archive


def test_old_chains_go_newest_set_first_and_its_manifest_before_the_rest(world: World) -> None:
    full, incremental = add(world, None, 60), add(world, 60, 50)
    result = cleanup(world, keep_fulls=1)
    assert world.deleted == [incremental[:1], incremental[1:], full[:1], full[1:]]
    assert [one["keys"] for one in result["sets"]] == [incremental, full]
    assert [one["kind"] for one in result["sets"]] == ["incremental", "full"]
    assert (result["changed"], result["object_count"]) == (True, 6)
    assert result["size_bytes"] == {"STANDARD": 20, "DEEP_ARCHIVE": 40}
    start, end = to_w3(days_ago(20)), to_w3(days_ago(10))
    assert result["kept"] == [{"start": start, "end": end, "sets": 2, "restorable": True}]
    assert "warnings" not in result
    assert cleanup(world, keep_fulls=1)["changed"] is False


def test_check_mode_and_the_run_say_the_same(world: World) -> None:
    options = {"keep_incrementals_of": 1, "older_than": "65D", "orphans": True}
    predicted = cleanup(world, check=True, **options)
    assert world.deleted == []
    done = cleanup(world, **options)
    assert {**predicted, "invocation": None} == {**done, "invocation": None}
    assert [one["reasons"] for one in done["sets"]] == [["keep_incrementals_of"]]
    assert done["diff"]["before"].count("duplicity-inc") == 3
    assert "duplicity-" not in done["diff"]["after"]


def test_what_s3_bills_for_longer_stays_until_it_is_free(world: World) -> None:
    """Deep Archive: 60 and 50 days old of 180. The one that builds on the full says when both are free."""
    old = add(world, None, 300)
    refused = cleanup(world, early_delete="refuse", keep_fulls=1)
    assert [one["keys"] for one in refused["sets"]] == [old]
    assert [(one["kind"], one["early_days"], one["free_from"]) for one in refused["held"]] == [
        ("incremental", 130, to_w3(days_ago(50 - 180))), ("full", 120, to_w3(days_ago(50 - 180))),
    ]  # fmt: skip
    (told,) = refused["warnings"]
    assert "2 sets stay for now, since S3 bills them for the rest of their minimum in any case: that of " in str(told)
    assert (refused["changed"], len(refused["kept"])) == (True, 2)
    assert cleanup(world, early_delete="refuse", keep_fulls=1)["changed"] is False
    assert cleanup(world, keep_fulls=1, early_delete=None, job=world.job())["held"], "by default"
    warned = cleanup(world, early_delete="warn", keep_fulls=1, prices=TABLE, check=True)
    (told,) = warned["warnings"]
    assert (
        f"2 sets are deleted before S3 stops to bill them, for 130 days at the most, {warned['early_delete_usd']}"
        in str(told)
    )
    assert "warnings" not in cleanup(world, keep_fulls=1)


def test_what_a_deletion_costs_early_by_hand(world: World) -> None:
    """Two volumes of 10 bytes and 32 KB at Deep Archive's price, and 8 KB at STANDARD's, for 120 and 130 days."""
    result = cleanup(world, keep_fulls=1, prices=TABLE, check=True)
    day = (Decimal(2 * (32 * 1024 + 10)) * Decimal("0.00099") + Decimal(2 * 8 * 1024) * Decimal("0.023")) / 2**30 / 30
    for one, days in zip(result["sets"], (130, 120)):
        assert one["early_days"] == days
        assert abs(Decimal(one["early_delete_usd"]) - day * days) < Decimal("2e-9")
    assert sum(Decimal(one["early_delete_usd"]) for one in result["sets"]) == Decimal(result["early_delete_usd"])
    assert "early_delete_usd" not in cleanup(world, keep_fulls=1, check=True)
    assert (
        "which this quote needs" in cleanup(world, keep_fulls=1, prices={**TABLE, "figures": {"egress_gb": 1}})["msg"]
    )


def test_retention_that_does_not_fit_the_class_is_told(world: World) -> None:
    job = world.job(full_if_older_than="4W")
    (told,) = cleanup(world, job=job, keep_fulls=7)["warnings"]
    assert "keep_fulls is 7" in str(told)
    assert "8 would fit" in str(told)
    assert "warnings" not in cleanup(world, job=job, keep_fulls=8)


def test_it_needs_no_engine_and_leaves_nothing_on_the_host(world: World) -> None:
    world.fails["info"] = errors.Busy("It runs.")
    cleanup(world, keep_fulls=1, orphans=True)
    assert not (world.directory / "state").exists()
    assert world.verbs() == []


def test_credentials_of_its_own(world: World) -> None:
    job = world.job(credentials={"access_key": "JOB", "secret_key": "secret-of-the-job"})
    for own, wanted in (({"access_key": "CLEAN", "secret_key": "secret-of-cleanup"}, "CLEAN"), (None, "JOB")):
        options = {"job": job, "keep_fulls": 1, **({"credentials": own} if own else {})}
        assert "secret-of" not in str(world.run(duplicity_cleanup, options))
        assert world.who[-1].access_key == wanted
    assert "secret_key" in cleanup(world, keep_fulls=1, credentials={"access_key": "A"})["msg"]


def test_rules_and_credentials_of_the_job_count_where_the_task_has_none(world: World) -> None:
    who = {"access_key": "OLD", "secret_key": "secret-of-cleanup"}
    job = world.job(
        retention={"keep_fulls": 1, "early_delete": "allow"},
        cleanup_credentials=who,
        credentials={"access_key": "JOB", "secret_key": "secret-of-the-job"},
    )
    assert len(world.run(duplicity_cleanup, {"job": job}, check=True)["sets"]) == 2
    assert world.who[-1].access_key == "OLD"
    assert world.run(duplicity_cleanup, {"job": job, "keep_fulls": 2})["sets"] == [], "and never both"
    own = {"job": job, "credentials": {"access_key": "CLEAN", "secret_key": "secret-of-the-task"}}
    result = world.run(duplicity_cleanup, own)
    assert (len(result["sets"]), world.who[-1].access_key) == (2, "CLEAN")
    assert "secret-of" not in str(result)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "None of keep_fulls"),
        ({"delete_last_chain": True}, "None of keep_fulls"),
        ({"orphan_age": "8D"}, "None of keep_fulls"),
        ({"keep_fulls": 0}, "keep_fulls is 0: at least 1"),
        ({"keep_incrementals_of": 0}, "keep_incrementals_of is 0"),
        ({"older_than": "soon"}, "'soon' is not a time"),
        ({"orphans": True, "orphan_age": "23h"}, "at least 1D"),
        ({"orphans": True, "orphan_age": "2026-11-01"}, "not an interval"),
        ({"orphans": True, "orphan_age": "9999Y"}, "not an interval"),
    ],
)
def test_options_that_make_no_sense(world: World, options: dict[str, Any], says: str) -> None:
    result = cleanup(world, **options)
    assert result["error"]["cause"] in ("bad_input", "bad_time")
    assert says in result["msg"]
    assert (world.deleted, world.lists) == ([], [])


def test_the_newest_chain_stays_with_a_warning(world: World) -> None:
    result = cleanup(world, older_than="1D")
    assert len(result["sets"]) == 2
    assert any("look whether backups still run" in str(one) for one in result["warnings"])
    result = cleanup(world, older_than="1D", delete_last_chain=True)
    assert (len(result["sets"]), world.objects) == (2, {})


def test_the_last_chain_that_can_be_restored_stays(world: World) -> None:
    world.drop(f"duplicity-full.{to_stamp(days_ago(20))}.vol1")
    result = cleanup(world, keep_fulls=1)
    assert result["error"]["cause"] == "last_chain"
    assert f"{to_stamp(days_ago(20))}.vol1" in result["msg"]
    assert world.deleted == []
    assert cleanup(world, keep_fulls=1, delete_last_chain=True)["changed"]


# --- other jobs -------------------------------------------------------------------------------------------------------


def test_chains_of_another_host(world: World) -> None:
    for key in world.contents:
        if to_stamp(days_ago(10)) in key:
            world.contents[key] = b"Hostname web02\nLocaldir /source\n"
    result = cleanup(world, keep_fulls=1)
    assert result["error"]["cause"] == "foreign_chains"
    assert "is of the host web02, and job.hostname is web01-data" in result["msg"]
    assert cleanup(world, orphans=True)["error"]["cause"] == "foreign_chains"
    assert world.deleted == []


def unreadable_chains(world: World) -> list[str]:
    """A chain with an encrypted manifest and one with a frozen one; the names that their plain copies would have."""
    sealed, frozen = add(world, None, 5, tail=".gpg")[0], add(world, None, 4)[0]
    world.change(frozen, storage_class="GLACIER")
    for key in (sealed, frozen):
        world.contents[key.removeprefix(PREFIX)] = b"Hostname web02\nLocaldir /source\n"
    return [key.removeprefix(PREFIX).removesuffix(".gpg") for key in (sealed, frozen)]


def test_elsewhere_a_warning_tells_of_manifests_that_cannot_be_read(world: World) -> None:
    unreadable_chains(world)
    result = cleanup(world, keep_fulls=1)
    assert result["changed"]
    assert "The owner of 2 of 4 chains was not checked" in str(result["warnings"])
    assert cleanup(world, check=True, older_than="3D")["warnings"], "beside the warning of the newest chain's age"


@pytest.mark.parametrize("which", [0, 1])
def test_on_the_jobs_host_the_archive_directory_tells_whose_they_are(world: World, which: int) -> None:
    archive = own_host(world)
    names = unreadable_chains(world)
    for name in names:
        (archive / name).write_text("Hostname web01-data\nLocaldir /source\n")
    assert "warnings" not in cleanup(world, check=True, keep_fulls=1)
    (archive / names[which]).write_text("Hostname web02\nLocaldir /source\n")
    result = cleanup(world, keep_fulls=1)
    assert result["error"]["cause"] == "foreign_chains"
    assert "is of the host web02, and job.hostname is web01-data" in result["msg"]
    assert world.deleted == []
    (archive / names[which]).unlink()
    assert "The owner of 1 of 4 chains was not checked" in str(cleanup(world, keep_fulls=1)["warnings"])


def test_chains_that_interleave(world: World) -> None:
    add(world, 50, 15)
    result = cleanup(world, keep_fulls=1)
    assert result["error"]["cause"] == "foreign_chains"
    assert len(result["error"]["signs"]) == 1
    assert world.deleted == []


def test_a_nested_job_is_not_looked_at(world: World) -> None:
    world.objects = {key.replace(PREFIX, f"{PREFIX}below/"): one for key, one in world.objects.items()}
    world.uploads = [Upload(f"{PREFIX}below/duplicity-full.20260101T000000Z.vol1.difftar.gz", "1", days_ago(100))]
    result = cleanup(world, older_than="1D", orphans=True, delete_last_chain=True)
    assert (result["changed"], len(world.uploads)) == (False, 1)


# --- orphans ----------------------------------------------------------------------------------------------------------


def test_orphans_and_uploads_by_age(world: World) -> None:
    old, young = add(world, 10, 9, complete=False), add(world, None, 3, complete=False)
    world.uploads = [Upload(old[0].replace("vol1", "vol3"), "1", days_ago(9)), Upload(young[0], "2", days_ago(9))]
    assert cleanup(world, orphans=True, orphan_age="2W")["changed"] is False
    result = cleanup(world, orphans=True)
    assert world.deleted == [old]
    assert [one.upload_id for one in world.uploads] == ["2"]
    assert [one["time"] for one in result["left"]] == [to_w3(days_ago(3))]
    assert [one["key"] for one in result["uploads"]] == [old[0].replace("vol1", "vol3")]


def test_what_this_host_began_goes_at_once_and_is_forgotten(world: World) -> None:
    keys = add(world, None, 0, complete=False)
    partial = f"duplicity-full.{to_stamp(TODAY)}.manifest.part"
    archive = own_host(world, partial)
    assert cleanup(world, check=True, orphans=True)["changed"] is True
    assert (archive / partial).exists()
    assert cleanup(world, orphans=True)["sets"][0]["keys"] == keys
    assert world.deleted == [keys]
    assert not (archive / partial).exists()


def test_what_this_host_began_and_s3_bills_for_longer_can_still_be_resumed(world: World) -> None:
    add(world, None, 0, complete=False)
    partial = f"duplicity-full.{to_stamp(TODAY)}.manifest.part"
    archive = own_host(world, partial)
    world.uploads = [
        Upload(f"{PREFIX}duplicity-full.{to_stamp(one)}.vol9.difftar.gz", "1", days_ago(9))
        for one in (TODAY, days_ago(60))
    ]
    result = cleanup(world, orphans=True, early_delete="refuse")
    assert (result["sets"], len(result["held"]), len(result["uploads"])) == ([], 1, 1)
    assert (archive / partial).exists()


def test_an_archive_directory_alone_does_not_make_a_host_the_writer(world: World) -> None:
    """Who looked at a backup or restored it has that directory too."""
    add(world, None, 0, complete=False)
    own_host(world, f"duplicity-full.{to_stamp(days_ago(1))}.manifest.part")
    assert cleanup(world, orphans=True)["changed"] is False


def test_an_archive_directory_that_cannot_be_looked_at_is_not_taken_for_absent(world: World) -> None:
    result = cleanup(world, orphans=True, job=world.job(state_dir=f"/{'x' * 300}"))
    assert result["error"]["cause"] == "bad_input"
    assert "cannot be looked at: File name too long" in result["msg"]
    assert world.deleted == []


@pytest.mark.parametrize("options", [{"orphans": True}, {"older_than": "1D", "delete_last_chain": True}])
def test_not_while_the_job_runs(world: World, options: dict[str, Any]) -> None:
    own_host(world)
    world.fails["info"] = errors.Busy("The backup runs.")
    assert cleanup(world, **options)["error"]["cause"] == "busy"
    assert world.deleted == []
    assert cleanup(world, keep_fulls=1)["changed"], "chains that are old do not depend on what runs"


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_key_that_s3_does_not_delete_ends_the_work(world: World) -> None:
    incremental = add(world, 60, 50)
    world.fails[incremental[1]] = errors.BackendFailed("")
    result = cleanup(world, keep_fulls=1)
    assert result["error"]["cause"] == "cleanup_incomplete"
    assert result["error"]["failed"] == {incremental[1]: "InternalError"}
    assert (result["changed"], result["deleted"], result["deleted_objects"]) == (True, [], 2)
    assert "0 of 2 sets were deleted whole, 2 of 6 objects in all" in result["msg"]
    assert world.deleted == [incremental[:1], incremental[2:]]
    assert "diff" not in result
    world.fails.clear()
    result = cleanup(world, keep_fulls=1)
    assert [one["reasons"] for one in result["sets"]] == [["keep_fulls"], ["leftover"]]
    assert len(world.objects) == 6


def test_the_first_request_fails_and_nothing_was_changed(world: World) -> None:
    world.fails[add(world, 60, 50)[0]] = errors.BackendFailed("")
    result = cleanup(world, keep_fulls=1)
    assert (result["error"]["cause"], result.get("changed", False)) == ("backend_failed", False)


def test_a_request_holds_a_thousand_keys_and_what_earlier_ones_deleted_is_told(world: World) -> None:
    keys = add(world, 10, 9, complete=False, volumes=1001)
    world.fails[keys[-1]] = errors.BackendFailed("")
    result = cleanup(world, orphans=True)
    assert (result["error"]["cause"], result["deleted_objects"]) == ("cleanup_incomplete", 1000)
    assert [len(one) for one in world.deleted] == [1000, 0]
    world.fails.clear()
    assert cleanup(world, orphans=True)["sets"][0]["keys"] == keys[-1:]


def test_a_refused_abort_tells_what_was_deleted_before(world: World) -> None:
    world.uploads = [Upload(add(world, 10, 9, complete=False)[0], "1", days_ago(9))]
    world.fails["abort"] = errors.AccessRefused("S3 refused to abort.")
    result = cleanup(world, orphans=True)
    assert result["error"]["cause"] == "cleanup_incomplete"
    assert (result["deleted"], result["deleted_objects"]) == ([to_w3(days_ago(9))], 2)
    assert "0 of 1 unfinished uploads" in result["msg"]
    assert cleanup(world, orphans=True)["error"]["cause"] == "access_refused", "nothing else was left to do"


def test_the_bucket_does_not_answer(world: World) -> None:
    world.fails["list"] = errors.EndpointUnreachable("Nobody there.")
    assert cleanup(world, keep_fulls=1)["error"]["cause"] == "endpoint_unreachable"


def test_what_a_lock_keeps_is_told(world: World) -> None:
    retention = {"Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 55}}, "ObjectLockEnabled": "Enabled"}
    world.bucket_replies = {
        "get_bucket_versioning": {"Status": "Enabled"},
        "get_object_lock_configuration": {"ObjectLockConfiguration": retention},
    }
    checked = cleanup(world, keep_fulls=1, check=True)
    result = cleanup(world, keep_fulls=1)
    assert result["versioned"] is True
    assert {one["key"] for one in result["locked"]} == set(add(world, 60, 50))
    assert {one["until"] for one in result["locked"]} == {to_w3(days_ago(-5))}
    assert "3 of 6 objects are locked" in str(result["warnings"])
    assert checked["locked"] == result["locked"]


def test_who_may_not_look_at_the_bucket_cleans_all_the_same(world: World) -> None:
    world.fails["get_bucket_versioning"] = errors.AccessRefused("S3 refused to get bucket versioning.")
    result = cleanup(world, keep_fulls=1)
    assert (result["versioned"], result["object_count"], "locked" in result) == (None, 6, False)
    assert cleanup(world, keep_fulls=1, check=True).get("versioned", "not told") == "not told"
