"""Check mode changes nothing and predicts what the real run then does; what is done already is not done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.errors.cases import BACKUP, INFO, PLAN, RESTORE, THAW, thaw
from integration.errors.playing import Result, Task, play, succeeded
from integration.errors.stage import BUCKET, Stage

from lab import trees


def looks(stage: Stage, job: dict[str, Any]) -> dict[str, str]:
    """Bucket, destinations, and what of the job lies on the host but for logs of runs and locks."""
    found = stage.looks()
    state = Path(job["state_dir"], job["name"])
    if state.is_dir():
        passing = (b"runs", b"lock", b"tmp", b"archive", b".")
        entries = {path: entry for path, entry in trees.snapshot(state).items() if path.split(b"/")[0] not in passing}
        found |= {f"state:{path!r}": repr(entry) for path, entry in entries.items()}
    return found


def twice(stage: Stage, module: str, options: dict[str, Any], job: dict[str, Any]) -> tuple[Result, Result]:
    """A task in check mode, which must leave all as it is, and then really."""
    before = looks(stage, job)
    mark = stage.s3.mark()
    check = succeeded(play({"check": Task(module, options, check=True)}, stage.root)["check"])
    assert looks(stage, job) == before
    writes = [
        one["operation"] for one in stage.s3.requests(mark) if not one["operation"].startswith(("Get", "List", "Head"))
    ]
    assert writes == []
    real = succeeded(play({"real": Task(module, options)}, stage.root)["real"])
    assert check["changed"] == real["changed"], (check, real)
    assert (looks(stage, job) != before) == real["changed"] or module == BACKUP
    return check, real


@pytest.fixture
def job(stage: Stage, tmp_path: Path) -> dict[str, Any]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("first")
    return stage.job(f"check {tmp_path.name}".replace(" ", "-")[:40], source=str(source), storage_class="GLACIER")


def test_a_backup(stage: Stage, job: dict[str, Any]) -> None:
    source = Path(job["source"])
    check, real = twice(stage, BACKUP, {"job": job}, job)
    assert (check["action"], real["action"], real["changed"]) == ("full", "full", True)

    mark = stage.s3.mark()
    check, real = twice(stage, BACKUP, {"job": job}, job)
    assert (check["action"], real["action"], real["changed"]) == ("skipped", "skipped", False)
    assert not [one for one in stage.s3.requests(mark) if one["operation"] in ("PutObject", "CreateMultipartUpload")]

    (source / "file").write_text("second, longer")
    check, real = twice(stage, BACKUP, {"job": job}, job)
    assert (check["action"], real["action"], real["changed"]) == ("incremental", "incremental", True)

    (source / "file").unlink()
    check, real = twice(stage, BACKUP, {"job": job}, job)
    assert (check["action"], real["action"], real["changed"]) == ("incremental", "incremental", True)

    check, real = twice(stage, BACKUP, {"job": job, "full": True}, job)
    assert (check["action"], real["action"], real["changed"]) == ("full", "full", True)


def _timeless(result: Result) -> Result:
    """Without what differs between any two looks."""
    return {name: value for name, value in result.items() if name != "invocation" and not name.endswith("_age_seconds")}


def test_looking_planning_thawing_and_restoring(stage: Stage, job: dict[str, Any]) -> None:
    succeeded(play({"backup": Task(BACKUP, {"job": job})}, stage.root)["backup"])
    for module in (INFO, PLAN):
        check, real = twice(stage, module, {"job": job}, job)
        assert _timeless(check) == _timeless(real)
        assert not real["changed"]

    prefix = job["target"].removeprefix(f"s3://{BUCKET}/")
    options = thaw(keys=stage.keys(prefix, ".difftar"))(stage)
    check, real = twice(stage, THAW, options, job)
    assert check["requested"] == real["requested"] == options["keys"]
    check, real = twice(stage, THAW, options, job)
    assert (check["requested"], real["requested"], real["changed"]) == ([], [], False)
    stage.s3.advance(hours=49)

    dest = stage.dest / f"restored {prefix}"
    check, real = twice(stage, RESTORE, {"job": job, "dest": str(dest)}, job)
    assert check["plan"]["volumes"] == real["plan"]["volumes"]
    assert (dest / "file").read_text() == "first"
