"""Volumes go missing, are damaged or expire, or S3 is busy: the runbook names them and the next step, and goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.test_runbook import BUCKET, Lost, backed_up, shown

from lab import kills, play
from lab.s3.client_api import S3Lab


@pytest.fixture
def lost(s3: S3Lab, image: str, tmp_path: Path) -> Iterator[Lost]:
    """Volumes of 1 MB in a class that Expedited exists for, in a bucket with versions, and a new host."""
    with backed_up(s3, image, tmp_path / "old", 300_000, volume_size=1, storage_class="GLACIER") as backed:
        s3.client().put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        work = tmp_path / "new"
        work.mkdir()
        yield Lost(s3, backed.job, backed.tree, work)


class Trouble:
    """What befalls one volume, between two runs of the command or in the middle of one."""

    def __init__(self, lost: Lost) -> None:
        self.lost, self.s3, self.victim = lost, lost.s3, lost.volumes()[1]
        self.name, self.mark = self.victim.rpartition("/")[2], lost.s3.mark()

    @property
    def staged(self) -> Path:
        return Path(self.lost.work, "state", self.lost.job["name"], "staged")

    def take_away(self) -> Callable[[], Any]:
        """Delete the volume; gives what brings it back."""
        client, here = self.s3.client(), {"Bucket": BUCKET, "Key": self.victim}
        marker = client.delete_object(**here)["VersionId"]
        return lambda: client.delete_object(**here, VersionId=marker)

    def stops(self, cause: str, *words: str, during: Callable[[], Any] | None = None) -> Any:
        """The command names the volume and what to do, asks for no thaw, and puts nothing in place.

        ``during`` happens while the volume is on its way and all others are there; gives what it gave.
        """
        asked = self.lost.asked(self.mark)
        if during:
            self.s3.fault("GetObject", self.victim, kind="hold")
        run = play.start("permafrost.backup.restore", self.lost.work, **self.lost.variables, confirm=True)
        if during:
            kills.until(lambda: run.process.poll() is not None or self._on_its_way(), "the volume's turn", 300)
        given = during() if during else None
        if during:
            self.s3.clear_faults()
        run.wait()
        self.s3.clear_faults()
        (error,) = [task.result["error"] for task in run.tasks if task.status == "failed"]
        assert error["cause"] == cause, run.output
        told = " ".join(run.output.split())
        for word in (self.name.partition(".difftar")[0], error["next_step"], *words):
            assert word in told, run.output
        assert self.lost.asked(self.mark) == asked
        assert not self.lost.dest.exists()
        assert [one.name for one in self.lost.work.iterdir() if one.name.startswith(".")] == []
        return given

    def _on_its_way(self) -> bool:
        here = {path.name for path in self.staged.glob("*duplicity-*difftar*")}
        return f".{self.name}" in here and len(here) == len(self.lost.volumes())


def test_trouble_with_one_volume(lost: Lost) -> None:
    s3, trouble = lost.s3, Trouble(lost)
    bring_back = trouble.take_away()
    trouble.stops("volumes_missing", "The bucket lacks 1 volumes")
    assert lost.asked(trouble.mark) == []
    bring_back()
    # Expedited has no capacity, and S3 is busy.
    s3.fault("RestoreObject", kind="503", count=3)
    s3.fault("RestoreObject", kind="expedited")
    assert "The same command continues" in shown(lost.run(confirm=True, wait=False, tier="Expedited"))
    s3.clear_faults()
    assert lost.asked(trouble.mark) == lost.volumes()
    assert {one["tier"] for one in s3.state(BUCKET) if one["state"] == "thawing"} == {"Standard"}
    s3.advance(hours=6)
    # It goes after the thaw: before the next run, and in the middle of it.
    bring_back = trouble.take_away()
    trouble.stops("volumes_missing", "The bucket lacks 1 volumes")
    bring_back()
    trouble.stops("volumes_missing", "1 objects left the bucket since the plan", during=trouble.take_away)()
    # S3 does not hand it out.
    s3.fault("GetObject", trouble.victim, kind="503")
    trouble.stops("backend_failed", "SlowDown")
    s3.corrupt(BUCKET, trouble.victim)
    trouble.stops("damaged_volume", "SHA1 mismatch of 1 volumes")
    s3.corrupt(BUCKET, trouble.victim)  # the same bytes once more
    trouble.stops("volumes_frozen", "1 thawed copies expired before", during=lambda: s3.advance(hours=24 * 10))
    # All others are on the host, so this one alone is quoted, paid, thawed and read.
    mark = s3.mark()
    quoted = lost.run()
    assert "Nothing was requested" in shown(quoted)
    states = quoted.result("glacier_restore_info")["plan"]["states"]
    assert {state: one["volumes"] for state, one in states.items()} == {"staged": len(lost.volumes()) - 1, "frozen": 1}
    lines = {one["what"]: one.get("count") for one in quoted.result("glacier_quote_info")["offers"][0]["lines"]}
    assert (lines["thaw_requests"], lines["get_requests"]) == (1, 1)
    assert "The same command continues" in shown(lost.run(confirm=True, wait=False))
    s3.advance(hours=12)
    done = lost.run(confirm=True)
    assert done.code == 0, done.output
    lost.same()
    assert lost.asked(mark) == [trouble.victim]
    read = Counter(one["key"] for one in s3.requests(mark) if one["operation"] == "GetObject")
    assert {key: read[key] for key in lost.volumes()} == {key: int(key == trouble.victim) for key in lost.volumes()}
    assert [one["tier"] for one in lost.report["quotes"]] == ["Expedited", "Bulk"]
