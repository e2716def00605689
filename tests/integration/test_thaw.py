"""glacier_restore against a server with Glacier's rules: what the request log says was asked, and paid, for."""

from __future__ import annotations

import datetime
import itertools
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.errors.playing import Task, play, succeeded

from lab import kills
from lab import play as lab_play
from lab.s3.client_api import S3Lab

NUMBERS = itertools.count(1)
# Objects of another tool, of all classes.
RESTIC = {
    "restic/data/00/00ab": "DEEP_ARCHIVE",
    "restic/data/1f/1fcd": "DEEP_ARCHIVE",
    "restic/data/ff/ffee": "GLACIER",
    "restic/data/ff/ffff": "GLACIER_IR",
    "restic/index/aa": "STANDARD",
    "restic/keys/bb": "STANDARD",
}


@dataclass
class Icebox:
    """A bucket, the module, and the requests for thaws that it got."""

    s3: S3Lab
    bucket: str
    work: Path

    def options(self, **options: Any) -> dict[str, Any]:
        pair = {"access_key": self.s3.access_key, "secret_key": self.s3.secret_key}
        where = {} if "target" in options else {"bucket": self.bucket}
        connection = {"credentials": pair, "endpoint_url": self.s3.endpoint_url, "region": self.s3.region}
        return {**where, **connection, **options}

    def thaw(self, **options: Any) -> dict[str, Any]:
        """Run the module; its result."""
        return kills.run("glacier_restore", **self.options(**options))

    def put(self, objects: dict[str, str]) -> None:
        for key, storage_class in objects.items():
            self.s3.client().put_object(Bucket=self.bucket, Key=key, Body=b"ice", StorageClass=storage_class)

    def states(self) -> dict[str, int]:
        return dict(Counter(entry["state"] for entry in self.s3.state(self.bucket)))

    def asked(self, since: int) -> list[tuple[str, str, int]]:
        """Key, tier and status of each RestoreObject since a mark, in order of keys."""
        return sorted((one["key"], str(one["tier"]), one["status"]) for one in self.requests(since))

    def requests(self, since: int) -> list[dict[str, Any]]:
        """Each RestoreObject since a mark."""
        return [one for one in self.s3.requests(since) if one["operation"] == "RestoreObject"]


@pytest.fixture
def icebox(s3: S3Lab, tmp_path: Path) -> Icebox:
    name = f"icebox-{next(NUMBERS)}"
    s3.client().create_bucket(Bucket=name)
    return Icebox(s3, name, tmp_path)


def test_objects_of_another_tool_are_requested_once_over_two_runs(icebox: Icebox) -> None:
    icebox.put({**RESTIC, "restic-of-another/data/00": "GLACIER"})
    mark = icebox.s3.mark()
    first = icebox.thaw(prefix="restic/")
    assert (first["changed"], first["requested_count"], first["ready_within_hours"]) == (True, 3, 48)
    assert first["left_out"] == {
        "GLACIER_IR": {"objects": 1, "size_bytes": 3},
        "STANDARD": {"objects": 2, "size_bytes": 6},
    }
    second = icebox.thaw(prefix="restic/")
    assert (second["changed"], second["replies"]) == (False, {})
    frozen = [key for key, storage_class in RESTIC.items() if storage_class in ("GLACIER", "DEEP_ARCHIVE")]
    assert icebox.asked(mark) == [(key, "Bulk", 202) for key in sorted(frozen)]
    icebox.s3.advance(hours=49)
    third = icebox.thaw(prefix="restic/", pattern="data/*", wait=True)
    assert (third["changed"], third["plan"]["ready"]) == (False, True)
    assert len(icebox.asked(mark)) == 3
    assert icebox.states() == {"thawed": 3, "frozen": 1, "readable": 3}


def test_check_mode_and_diff_say_what_the_run_then_does(icebox: Icebox) -> None:
    icebox.put(RESTIC)
    icebox.thaw(keys=["restic/data/00/00ab"], tier="Bulk", days=2)
    options = icebox.options(prefix="restic/data/", tier="Standard", upgrade=True, days=2)
    mark = icebox.s3.mark()
    tasks = {"check": Task("glacier_restore", options, check=True), "real": Task("glacier_restore", options)}
    results = play(tasks, icebox.work, "--diff")
    check, real = succeeded(results["check"]), succeeded(results["real"])
    # One look of the check, two of the run, and what the check foretold.
    assert Counter(one["operation"] for one in icebox.s3.requests(mark)) == {"ListObjectsV2": 3, "RestoreObject": 3}
    for name in ("changed", "requested", "upgraded", "extended", "diff"):
        assert check[name] == real[name], name
    assert check["diff"]["before"] == {"frozen": 2, "thawing": 1, "expires_first": None}
    assert check["diff"]["after"] == {"thawing": 3, "expires_first": None}


def test_a_running_thaw_is_upgraded_once(icebox: Icebox) -> None:
    icebox.put(RESTIC)
    keys = ["restic/data/00/00ab", "restic/data/1f/1fcd"]
    icebox.thaw(keys=keys, tier="Bulk")
    mark = icebox.s3.mark()
    upgraded = icebox.thaw(keys=keys, tier="Standard", upgrade=True)
    assert (upgraded["changed"], upgraded["upgraded"], upgraded["requested"]) == (True, keys, [])
    assert upgraded["ready_within_hours"] == 12
    assert icebox.asked(mark) == [(key, "Standard", 202) for key in keys]
    again = icebox.thaw(keys=keys, tier="Standard", upgrade=True)
    assert (again["changed"], again["replies"]) == (False, {"in_progress": 2})
    assert [status for _key, _tier, status in icebox.asked(mark)].count(202) == 2
    mark = icebox.s3.mark()
    assert icebox.thaw(keys=keys, tier="Bulk", upgrade=True)["changed"] is False
    assert icebox.asked(mark) == []
    icebox.s3.advance(hours=13)
    assert icebox.thaw(keys=keys)["plan"]["ready"] is True


def test_a_copy_is_extended_only_when_it_ends_too_soon(icebox: Icebox) -> None:
    icebox.put(RESTIC)
    keys = ["restic/data/00/00ab", "restic/data/1f/1fcd"]
    icebox.thaw(keys=keys[:1], tier="Standard", days=2)
    icebox.thaw(keys=keys[1:], tier="Standard", days=30)
    icebox.s3.advance(hours=13)
    mark = icebox.s3.mark()
    assert icebox.thaw(keys=keys, days=10)["changed"] is False
    assert icebox.asked(mark) == []
    extended = icebox.thaw(keys=keys, days=10, extend=True)
    assert (extended["changed"], extended["extended"], extended["requested"]) == (True, keys[:1], [])
    assert extended["replies"] == {"extended": 1}
    assert icebox.asked(mark) == [(keys[0], "Bulk", 200)]
    assert days_left(icebox, keys[0]) >= 9.99
    assert days_left(icebox, keys[1]) >= 29
    assert icebox.thaw(keys=keys, days=10, extend=True)["changed"] is False
    assert len(icebox.asked(mark)) == 1


def days_left(icebox: Icebox, key: str) -> float:
    """How long the copy is still there."""
    (entry,) = icebox.s3.state(icebox.bucket, key)
    return float(entry["expires_at"] - icebox.s3.now()) / 86400


def test_expedited_without_capacity_falls_back_in_the_same_run(icebox: Icebox) -> None:
    icebox.s3.seed(icebox.bucket, "vol", 4, 100, "GLACIER")
    icebox.s3.fault(kind="expedited", count=3)
    mark = icebox.s3.mark()
    result = icebox.thaw(prefix="vol", tier="Expedited", fallback_tier="Standard")
    assert (result["requested_count"], result["replies"]) == (4, {"accepted": 4})
    assert result["ready_within_hours"] == 5
    asked = Counter((tier, status) for _key, tier, status in icebox.asked(mark))
    assert asked == {("Expedited", 202): 1, ("Expedited", 503): 3, ("Standard", 202): 3}
    icebox.s3.seed(icebox.bucket, "other", 1, 100, "GLACIER")
    icebox.s3.fault(kind="expedited", count=1)
    failed = icebox.thaw(prefix="other", tier="Expedited")
    assert (failed["error"]["cause"], failed["replies"]) == ("thaw_incomplete", {"no_capacity": 1})


def test_a_busy_s3_is_asked_more_slowly_and_loses_nothing(icebox: Icebox) -> None:
    icebox.s3.seed(icebox.bucket, "vol", 40, 100, "DEEP_ARCHIVE")
    for kind, count in {"503": 16, "500": 2, "reset": 2}.items():
        icebox.s3.fault("RestoreObject", kind=kind, count=count)
    mark = icebox.s3.mark()
    result = icebox.thaw(prefix="vol", tier="Standard")
    assert (result["requested_count"], result["replies"]) == (40, {"accepted": 40})
    assert Counter(status for _key, _tier, status in icebox.asked(mark)) == {202: 40, 503: 16, 500: 2, 0: 2}
    assert icebox.states() == {"thawing": 40}


def test_the_limit_of_amazon_is_kept_to(icebox: Icebox) -> None:
    icebox.s3.seed(icebox.bucket, "vol", 120, 100, "DEEP_ARCHIVE")
    before = icebox.s3.restore_limit(40)
    try:
        result = icebox.thaw(prefix="vol", limit=5)
    finally:
        icebox.s3.restore_limit(before)
    assert (result["requested_count"], len(result["requested"])) == (120, 5)
    assert (result["plan"]["volume_count"], len(result["plan"]["volumes"])) == (120, 5)
    assert icebox.states() == {"thawing": 120}


def chain_of(start: datetime.datetime) -> dict[str, str]:
    """The objects of a full with three volumes and an incremental, by their names alone."""
    full, inc = ((start + datetime.timedelta(days=days)).strftime("%Y%m%dT%H%M%SZ") for days in (0, 1))
    names = [f"duplicity-full.{full}.manifest.gpg", f"duplicity-full-signatures.{full}.sigtar.gpg"]
    names += [f"duplicity-inc.{full}.to.{inc}.manifest.gpg", f"duplicity-new-signatures.{full}.to.{inc}.sigtar.gpg"]
    volumes = [f"duplicity-full.{full}.vol{number}.difftar.gpg" for number in (1, 2, 3)]
    volumes += [f"duplicity-inc.{full}.to.{inc}.vol1.difftar.gpg"]
    return {f"web01/data/{name}": "DEEP_ARCHIVE" if name in volumes else "STANDARD" for name in names + volumes}


def test_the_chain_of_a_target_at_a_time(icebox: Icebox) -> None:
    old = chain_of(datetime.datetime(2026, 9, 1))
    new = chain_of(datetime.datetime(2026, 10, 1))
    icebox.put({**old, **new, "web01/data/nested/vol": "DEEP_ARCHIVE"})
    options = {"target": f"s3://{icebox.bucket}/web01/data", "time": "2026-10-01T12:00:00Z"}
    mark = icebox.s3.mark()
    result = icebox.thaw(**options)
    full = [key for key in new if "full" in key and "difftar" in key]
    assert (result["time"], result["requested_count"]) == ("2026-10-01T00:00:00Z", 3)
    assert [key for key, _tier, _status in icebox.asked(mark)] == sorted(full)
    result = icebox.thaw(target=options["target"])
    assert (result["time"], result["requested_count"]) == ("2026-10-02T00:00:00Z", 1)
    assert [key for key, _tier, _status in icebox.asked(mark)] == sorted(key for key in new if "difftar" in key)
    # Manifests are not read: they are encrypted, and nobody gave a passphrase.
    assert "GetObject" not in {one["operation"] for one in icebox.s3.requests(mark)}


def test_a_chain_with_a_gap_is_refused_before_anything_is_paid(icebox: Icebox) -> None:
    icebox.put({key: of for key, of in chain_of(datetime.datetime(2026, 10, 1)).items() if ".vol2." not in key})
    mark = icebox.s3.mark()
    result = icebox.thaw(target=f"s3://{icebox.bucket}/web01/data")
    assert (result["error"]["cause"], result["error"]["volumes"]) == (
        "volumes_missing",
        ["duplicity-full.20261001T000000Z.vol2"],
    )
    assert icebox.asked(mark) == []


def test_waiting_sees_the_end_of_the_thaw(icebox: Icebox) -> None:
    icebox.put(RESTIC)
    begun = icebox.s3.mark()
    waiting = kills.ModuleProcess(
        "glacier_restore", **icebox.options(prefix="restic/", tier="Standard", wait=True, poll_interval=1)
    )
    kills.until(lambda: len(icebox.asked(begun)) == 3, "all are requested")
    mark = icebox.s3.mark()
    icebox.s3.advance(hours=13)
    result = waiting.ended()
    assert (result["plan"]["ready"], result["plan"]["states"]["thawed"]["volumes"]) == (True, 3)
    assert icebox.asked(mark) == []
    assert result["plan"]["expires_first"] is not None


def test_copies_that_expire_before_the_rest_is_thawed_are_told(tmp_path: Path) -> None:
    # A copy stays until the midnight after its day. In the last minutes of a day that is a day more.
    if (left := 86400 - time.time() % 86400) < 400:
        time.sleep(left)
    with S3Lab() as s3:  # one whose clock is that of this machine, as Amazon's is
        s3.client().create_bucket(Bucket="icebox")
        icebox = Icebox(s3, "icebox", tmp_path)
        icebox.put(RESTIC)
        icebox.thaw(keys=["restic/data/ff/ffee"], tier="Expedited", days=1)
        s3.advance(seconds=301)
        names = {"credentials": "thaw_credentials", "endpoint_url": "thaw_endpoint_url", "region": "thaw_region"}
        options = {names.get(name, name): value for name, value in icebox.options(prefix="restic/").items()}
        run = lab_play.run("permafrost.backup.thaw_prefix", tmp_path, wait=False, **options)
    assert run.code == 0, run.output
    assert run.result("glacier_restore")["requested_count"] == 2
    assert "[WARNING]: The first of the thawed copies expires at" in run.output
