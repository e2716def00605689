"""duplicity_cleanup on what the real duplicity wrote: the same choice, kills, and life after it."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import RunPlaybook
from integration.history import BUCKET, NO_ENGINE, History, chain_times, cleanup, stages_time, written

from ansible_collections.permafrost.backup.plugins.module_utils import cleaning, command, errors
from ansible_collections.permafrost.backup.plugins.module_utils.schema import RETENTION
from lab import kills, trees
from lab.s3.client_api import S3Lab
from unit.priced import TABLE

SIDE_BY_SIDE = 3
# The module dies when it has sent so many requests to delete something.
DIES = """
import os, signal
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket
whole, left = Bucket.delete, [{requests}]
def delete(self, keys):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= bool(keys)
    whole(self, keys)
Bucket.delete = delete
"""


@pytest.fixture(scope="module")
def history(s3_server: S3Lab, image: str) -> Iterator[History]:
    """Made once; only read."""
    with written(s3_server, image) as made:
        yield made


# --- the same choice ------------------------------------------------------------------------------------------------

RULES = {
    "keep_fulls": "remove-all-but-n-full",
    "keep_incrementals_of": "remove-all-inc-of-but-n-full",
    "older_than": "remove-older-than",
}


def questions(history: History) -> list[tuple[str, Any]]:
    """Each rule with values below, between and above those that change the answer."""
    times = [stages_time(time + timedelta(seconds=shift)) for time in history.times for shift in (0, 1)]
    counts = [(rule, count) for rule in ("keep_fulls", "keep_incrementals_of") for count in (1, 2, 3)]
    return counts + [("older_than", time) for time in (*times[4:6], times[9], "0s", "1h")]


def listed_by_duplicity(history: History, number: int, rule: str, value: Any) -> set[str]:
    """The ends of the chains that duplicity would delete, or delete the incrementals of."""
    job = history.stage.job()
    spec = command.fetch_metadata(job, history.stage.run_dir)
    argv = (spec.argv[0], RULES[rule], str(value), *spec.argv[spec.argv.index("full") + 1 :])
    ran = history.stage.run_apart(job, dataclasses.replace(spec, argv=argv), number)
    assert ran.exit_code == 0, ran.output
    said = ran.output.decode()
    if "No old backup sets found" in said:
        return set()
    block = said.split("Found old backup chain(s) at the following time:\n")[1].split("\nRerun")[0]
    return {stages_time(datetime.strptime(line, "%a %b %d %H:%M:%S %Y")) for line in block.splitlines()}


def test_check_mode_lists_what_duplicity_lists(history: History, tmp_path: Path) -> None:
    prefix = history.stage.job().prefix
    before = history.keys(prefix)
    asked = questions(history)
    job = history.job(prefix, tmp_path / "elsewhere", **NO_ENGINE)
    ours = [cleanup(job, check=True, **{rule: value}) for rule, value in asked]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        theirs = list(pool.map(lambda one: listed_by_duplicity(history, one[0], *one[1]), enumerate(asked)))
    chains = chain_times(history)
    for (rule, value), their, our in zip(asked, theirs, ours):
        going = [one["time"] for one in our["sets"]]
        wanted = [chain[rule == "keep_incrementals_of" :] for chain in chains if chain[-1] in their]
        assert going == [time for chain in wanted for time in reversed(chain)], (rule, value)
        assert our["changed"] == bool(going)
    assert len({json.dumps(one["sets"]) for one in ours}) >= 6, "the questions must have different answers"
    assert history.keys(prefix) == before


# --- life goes on ---------------------------------------------------------------------------------------------------


def test_a_cleanup_from_another_host_and_life_after_it(history: History, playbook: RunPlaybook, tmp_path: Path) -> None:
    history.copy("onward", tmp_path / "own")
    elsewhere = history.job("onward", tmp_path / "elsewhere", **NO_ENGINE)
    own_keys = elsewhere.pop("credentials")
    rules = {"duplicity_jobs": [elsewhere], "cleanup_credentials": own_keys}
    rules |= {"keep_fulls": 2, "keep_incrementals_of": 1, "orphans": True}
    before = history.keys("onward")
    checked = playbook("permafrost.backup.cleanup", "--check", "--diff", **rules)
    predicted = checked.result("duplicity_cleanup")
    assert history.keys("onward") == before
    done = playbook("permafrost.backup.cleanup", **rules).result("duplicity_cleanup")
    assert done == predicted
    first, second, third = chain_times(history)
    assert [one["time"] for one in done["sets"]] == [*reversed(first), second[1]]
    assert done["kept"] == [{"start": one, "end": one, "sets": 1, "restorable": True} for one in (second[0], third[0])]
    gone = {key.removeprefix("onward/") for one in done["sets"] for key in one["keys"]}
    assert history.keys("onward") == before - gone
    assert done["object_count"] == len(gone) >= 10
    for name in gone:
        assert f"-  onward/{name}" in checked.output
    assert f"-full {first[0]}" in checked.output
    assert not (tmp_path / "elsewhere").exists(), "it needs nothing on the host"
    assert cleanup(history.job("onward", tmp_path / "elsewhere"), keep_fulls=2)["changed"] is False
    goes_on(history, tmp_path)


def fleet(history: History, tmp_path: Path, *keepers: str) -> Path:
    """Three hosts with jobs of equal names, one of which names a bucket that is missing; and who cleans up for all."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts: dict[str, Any] = {}
    for host in ("web01", "web02", "web03"):
        job = history.job(f"kept/{host}", tmp_path / "elsewhere", **NO_ENGINE)
        own_keys = job.pop("credentials")
        job = {**job, "retention": {"keep_fulls": 2}, "cleanup_credentials": own_keys}
        never = {**job, "name": "never", "retention": None}
        hosts[host] = {**local, "duplicity_jobs": [job, never]}
    hosts["web02"]["duplicity_jobs"][0]["target"] = "s3://nowhere/kept/web02"
    groups = {"all": {"hosts": hosts}, "permafrost_keepers": {"hosts": dict.fromkeys(keepers, local)}}
    path = tmp_path / "inventory.yml"
    path.write_text(json.dumps(groups), encoding="utf-8")
    return path


def test_a_keeper_cleans_up_for_all_and_a_failure_stops_nobody(
    history: History, playbook: RunPlaybook, tmp_path: Path
) -> None:
    hosts = ("web01", "web02", "web03")
    for host in hosts:
        history.copy(f"kept/{host}")
    before = {host: history.keys(f"kept/{host}") for host in hosts}
    nobody = playbook("permafrost.backup.cleanup", inventory=fleet(history, tmp_path))
    assert nobody.code
    assert "is in the group permafrost_keepers" in " ".join(nobody.output.split())
    done = playbook("permafrost.backup.cleanup", inventory=fleet(history, tmp_path, "keeper"))
    assert done.code, "web02 failed"
    told = {task.host: task.result["results"] for task in done.tasks if task.action == "duplicity_cleanup"}
    assert {host: [one["item"] for one in results] for host, results in told.items() if host in hosts} == {
        host: [history.stage.job().name] for host in hosts
    }
    first = chain_times(history)[0]
    for host in ("web01", "web03"):
        assert [one["time"] for one in told[host][0]["sets"]] == [*reversed(first)]
        assert history.keys(f"kept/{host}") < before[host]
    assert told["web02"][0]["error"]["cause"] == "bucket_missing"
    assert history.keys("kept/web02") == before["web02"]
    reports = [task.result["results"][0]["msg"] for task in done.tasks if task.name == "Report" and task.host in hosts]
    assert sorted(one["deleted_sets"] for one in reports) == [0, 3, 3]


def goes_on(history: History, tmp_path: Path) -> None:
    """On the job's own host, with its old archive directory: an incremental, and all that was kept comes back."""
    job = history.job("onward", tmp_path / "own")
    trees.next_second()
    (history.stage.source / "written after the cleanup").write_text("new")
    expected = {stages_time(at): tree for at, tree in zip(history.times, history.trees)}
    after = trees.snapshot(history.stage.source)
    made = kills.succeeded(kills.run("duplicity_backup", job=job))
    assert made["action"] == "incremental"
    local = {path.name for path in (tmp_path / "own" / job["name"] / "archive" / job["name"]).glob("*.manifest")}
    assert local == {name for name in history.keys("onward") if name.endswith(".manifest")}
    expected[made["set"]["time"]] = after
    for number, at in enumerate((chain_times(history)[1][0], made["set"]["time"])):
        kills.succeeded(kills.run("duplicity_restore", job=job, time=at, dest=str(tmp_path / f"back {number}")))
        kills.same(expected[at], tmp_path / f"back {number}")


# --- minimum storage ------------------------------------------------------------------------------------------------


class HalfAYearLater(datetime):
    """The clock when the minimum is over."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=181)


def test_deep_archive_waits_until_it_is_free(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains that are minutes old stay, and are named with their date; they go early when they may, and free later."""
    history.copy("deep", volumes="DEEP_ARCHIVE")
    before, first = history.keys("deep"), chain_times(history)[0]
    job = history.job("deep", tmp_path / "elsewhere", storage_class="DEEP_ARCHIVE", **NO_ENGINE)
    waiting = cleanup(job, keep_fulls=2)
    assert (waiting["changed"], history.keys("deep")) == (False, before)
    assert [one["time"] for one in waiting["held"]] == [*reversed(first)]
    assert {one["early_days"] for one in waiting["held"]} == {180}
    assert "8 would fit" in " ".join(waiting["warnings"])
    early = cleanup(job, check=True, keep_fulls=2, early_delete="warn", prices=TABLE)
    assert [one["time"] for one in early["sets"]] == [*reversed(first)]
    assert 0 < Decimal(early["early_delete_usd"]) < 1
    with monkeypatch.context() as clock:
        clock.setattr(cleaning, "datetime", HalfAYearLater)
        free = cleanup(job, check=True, keep_fulls=2, prices=TABLE)
    assert (free["held"], Decimal(free["early_delete_usd"])) == ([], 0)
    rules = {name: option.get("default") for name, option in RETENTION["options"].items()}
    allowed = cleanup({**job, "retention": {**rules, "keep_fulls": 2, "early_delete": "allow"}})
    gone = {key.removeprefix("deep/") for one in allowed["sets"] for key in one["keys"]}
    assert history.keys("deep") == before - gone
    assert [one["keys"] for one in free["sets"]] == [one["keys"] for one in allowed["sets"]]


# --- kills and refusals ---------------------------------------------------------------------------------------------


def test_a_kill_at_any_request_and_the_run_after_it(history: History, tmp_path: Path) -> None:
    """Six sets; the first three of the oldest chain, newest first, each in two requests."""
    job = history.job("killed", tmp_path / "elsewhere", **NO_ENGINE)
    rules = {"keep_fulls": 2, "keep_incrementals_of": 1}
    history.copy("killed")
    everything = history.keys("killed")
    whole = cleanup(job, check=True, **rules)
    expected = everything - {key.removeprefix("killed/") for one in whole["sets"] for key in one["keys"]}
    for requests in (1, 2, 5, 7):
        history.copy("killed")
        dying = kills.ModuleProcess("duplicity_cleanup", prelude=DIES.format(requests=requests), job=job, **rules)
        assert dying.ended() == {}
        left = history.keys("killed")
        assert expected < left < everything
        found = cleanup(job, check=True, **rules)
        assert all(chain["restorable"] for chain in cleanup(job, check=True, keep_fulls=9)["kept"])
        half = [one for one in found["sets"] if not one["complete"]]
        assert [one["reasons"] for one in half] == ([["leftover"]] if requests % 2 else []), requests
        assert cleanup(job, **rules)["changed"]
        assert history.keys("killed") == expected
        assert cleanup(job, **rules)["changed"] is False


def deny(history: History, *keys: str) -> None:
    """A policy of the bucket by which some objects may not be deleted."""
    arns = [f"arn:aws:s3:::{BUCKET}/{key}" for key in keys]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": arns}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    history.s3.client().put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))


def test_objects_that_s3_does_not_delete_are_named(history: History, tmp_path: Path) -> None:
    history.copy("denied")
    job = history.job("denied", tmp_path / "elsewhere", **NO_ENGINE)
    first = cleanup(job, check=True, keep_fulls=1)["sets"][0]
    manifest, volume = first["keys"][0], next(key for key in first["keys"] if ".vol1." in key)
    before = history.keys("denied")
    try:
        deny(history, manifest)
        with pytest.raises(errors.AccessRefused, match=re.escape(manifest)):
            cleanup(job, keep_fulls=1)
        assert history.keys("denied") == before
        deny(history, volume)
        with pytest.raises(errors.CleanupIncomplete, match=re.escape(volume)) as half:
            cleanup(job, keep_fulls=1)
        assert half.value.facts["failed"] == {volume: "AccessDenied"}
        assert (half.value.result["changed"], half.value.result["deleted"]) == (True, [])
    finally:
        history.s3.client().delete_bucket_policy(Bucket=BUCKET)
    assert cleanup(job, keep_fulls=1)["changed"]
    assert len({name for name in history.keys("denied") if name.endswith(".manifest")}) == 1


def test_a_chain_of_another_host_is_not_touched(history: History, tmp_path: Path) -> None:
    job = history.job(history.stage.job().prefix, tmp_path / "elsewhere", hostname="another", **NO_ENGINE)
    told = f"is of the host {history.stage.job().hostname}, and job.hostname is another"
    with pytest.raises(errors.ForeignChains, match=re.escape(told)):
        cleanup(job, keep_fulls=1)


# --- orphans --------------------------------------------------------------------------------------------------------


class Later(datetime):
    """The clock in eight days."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=8)


def test_orphans_are_what_duplicity_cleans_up(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An incremental that lost its base, and one that was interrupted just before its manifest."""
    history.copy("strays")
    first, second, _third = [[time.translate({45: None, 58: None}) for time in chain] for chain in chain_times(history)]
    lost = (f".to.{first[1]}.", f".to.{second[1]}.manifest")
    gone = [{"Key": f"strays/{name}"} for name in history.keys("strays") if any(part in name for part in lost)]
    assert len(gone) >= 4
    history.s3.client().delete_objects(Bucket=BUCKET, Delete={"Objects": gone})
    job = history.stage.job(target=f"s3://{BUCKET}/strays", state_dir=str(tmp_path / "theirs"))
    # This is the command cleanup.
    said = history.stage.run(job, command.fetch_metadata(job, history.stage.run_dir)).output.decode()
    their = set(said.split("to delete:\n")[1].split("\nRun duplicity")[0].splitlines())
    monkeypatch.setattr(cleaning, "datetime", Later)
    our = cleanup(history.job("strays", tmp_path / "ours", **NO_ENGINE), check=True, orphans=True)
    # duplicity leaves the signatures of an interrupted set: to it they go on with those of the chain.
    (signatures,) = (name for name in history.keys("strays") if f".to.{second[1]}.sigtar" in name)
    going = [[key.removeprefix("strays/") for key in one["keys"]] for one in our["sets"]]
    assert {name for names in going for name in names} == their | {signatures}
    assert [one["time"] for one in our["sets"]] == [chain_times(history)[1][1], chain_times(history)[0][2]]


def test_an_interrupted_backup(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs, and after it was killed: from another host, long after, and on its own host."""
    s3, own = history.s3, history.job("orphans", tmp_path / "own")
    elsewhere = {**own, "state_dir": str(tmp_path / "elsewhere"), **NO_ENGINE}
    archive = Path(own["state_dir"], own["name"], "archive", own["name"])
    try:
        s3.fault("PutObject", ".vol2.")
        backup = kills.ModuleProcess("duplicity_backup", job=own)
        kills.until(lambda: any(".vol1." in name for name in history.keys("orphans")), "a volume")
        with pytest.raises(errors.Busy, match="backup of job"):
            cleanup(own, orphans=True)
        assert cleanup(elsewhere, orphans=True)["changed"] is False
        kills.until(lambda: list(archive.glob("*.manifest.part")), "a partial manifest")
        backup.kill(signal.SIGTERM)
        assert kills.cause(backup.ended()) == "stopped"
    finally:
        s3.clear_faults()
    (name,) = {name for name in history.keys("orphans") if ".vol1." in name}
    uploads = [
        s3.client().create_multipart_upload(Bucket=BUCKET, Key=f"orphans/{key}")["UploadId"]
        for key in (name.replace("vol1", "vol3"), "of somebody else")
    ]
    young = cleanup(elsewhere, orphans=True)
    assert (young["changed"], [one["complete"] for one in young["left"]]) == (False, [False])
    with monkeypatch.context() as clock:
        clock.setattr(cleaning, "datetime", Later)
        old = cleanup(elsewhere, check=True, orphans=True)
    here = cleanup(own, orphans=True)
    for result in (old, here):
        (gone,) = result["sets"]
        assert f"orphans/{name}" in gone["keys"]
        assert (gone["reasons"], result["left"]) == (["orphans"], [])
        assert [one["key"] for one in result["uploads"]] == [f"orphans/{name.replace('vol1', 'vol3')}"]
    assert history.keys("orphans") == set()
    pending = s3.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [one["UploadId"] for one in pending] == uploads[1:]
    assert not list(archive.glob("*.part"))
    fresh = kills.succeeded(kills.run("duplicity_backup", job=own))
    assert (fresh["action"], fresh["resumed"]) == ("full", False)
