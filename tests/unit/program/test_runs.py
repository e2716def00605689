"""runs.py: when a timer's backup is a full, whose job file a cleanup takes, and what is reported however a run ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import compose
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    Busy,
    Interrupted,
    SourceUnreadable,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from ansible_collections.permafrost.backup.plugins.module_utils.spreading import next_full
from lab.receivers import PingReceiver
from permafrost import pings, runs
from permafrost.masking import hide, secrets_of
from permafrost.runs import Done, full_is_due
from unit.stage import job_params

LAST = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)
PERIOD = timedelta(weeks=4)


def job(place: Path, **changes: Any) -> Job:
    return Job.from_params(job_params(state_dir=str(place), full_if_older_than="4W", **changes))


def with_full(found: Job) -> Job:
    archive = Path(found.archive)
    archive.mkdir(parents=True)
    (archive / "duplicity-full.20261101T020000Z.manifest").touch()
    (archive / "duplicity-full-signatures.20261101T020000Z.sigtar.gz").touch()
    return found


def test_a_full_is_due_from_the_jobs_own_point_on(tmp_path: Path) -> None:
    found = with_full(job(tmp_path))
    due = next_full(found.url, PERIOD, LAST)
    assert not full_is_due(found, due - timedelta(seconds=1))
    assert full_is_due(found, due)


def test_without_an_archive_directory_nothing_is_known(tmp_path: Path) -> None:
    assert not full_is_due(job(tmp_path), LAST + 10 * PERIOD)


def test_an_interrupted_full_is_none(tmp_path: Path) -> None:
    found = with_full(job(tmp_path))
    Path(found.archive, "duplicity-full.20261120T020000Z.manifest.part").touch()
    assert full_is_due(found, LAST + PERIOD)


# --- reports --------------------------------------------------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


@pytest.fixture
def job_file(tmp_path: Path, web: PingReceiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The job of a timer that pings at both its verbs."""
    reports = {"healthchecks_url": f"{web.url}/backup", "integrity_healthchecks_url": f"{web.url}/integrity"}
    encryption = {"mode": "symmetric", "passphrase": "canary-phrase"}
    place = tmp_path / "job.json"
    job_options = job_params(state_dir=str(tmp_path / "state"), reports=reports, encryption=encryption)
    place.write_text(json.dumps({"job": job_options}))
    monkeypatch.setattr(runs, "JOB_FILE", place)
    monkeypatch.setenv(runs.HOST_VARIABLE, "web01")
    return place


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (BadInput("The source is not a directory."), 1, "The source is not a directory.\nNothing was started"),
        (SourceUnreadable("1 file.", exit_code=0), 1, "1 file.\n"),
        (Busy("It is at work.", exit_code=31), 31, "It is at work.\n"),
        (Interrupted("SIGTERM"), 143, "Ended by SIGTERM.\n"),
        (KeyError("canary-phrase"), 1, "KeyError: '********'\n"),
    ],
)
def test_whatever_ends_a_run_is_reported_and_goes_on(
    error: BaseException, code: int, says: str, job_file: Path, web: PingReceiver
) -> None:
    def work(archive: Archive, options: dict[str, Any]) -> Done:
        raise error

    with pytest.raises(type(error)) as raised:
        runs._reported("backup", work)
    assert raised.value is error
    assert [one.path for one in web.requests] == ["/backup/start", "/backup/fail"]
    assert web.requests[1].body.startswith(says)
    assert f"\nhost      web01\nresult    FAILED, exit code {code}\n" in web.requests[1].body


def test_a_signal_while_a_run_is_reported_changes_nothing_of_it(
    job_file: Path, web: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(url: str, what: str, *_given: object) -> None:
        if what != "start":
            raise Interrupted("SIGTERM")

    def failing(archive: Archive, options: dict[str, Any]) -> Done:
        raise Busy("It is at work.", exit_code=31)

    monkeypatch.setattr(pings, "healthchecks", interrupted)
    assert runs._reported("verify", lambda archive, options: Done("whole: 1 set", [])) == 0
    with pytest.raises(Busy):
        runs._reported("backup", failing)


def test_a_check_has_a_ping_of_its_own(job_file: Path, web: PingReceiver, capsys: Any) -> None:
    assert runs._reported("verify", lambda archive, options: Done("whole: 1 set", ["odd: canary-phrase"])) == 0
    assert [one.path for one in web.requests] == ["/integrity/start", "/integrity"]
    assert web.requests[1].body.startswith(
        "whole: 1 set\nwarning: odd: ********\n\njob       web01-data\nverb      verify"
    )
    assert capsys.readouterr().out == "warning: odd: canary-phrase\nwhole: 1 set\n"


def test_a_hook_that_failed_is_reported_as_a_backup(
    job_file: Path, web: PingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match="PERMAFROST_HOOK"):
        runs.hook()
    monkeypatch.setenv(runs.HOOK_VARIABLE, "3")
    assert runs.hook() == 0
    assert [one.path for one in web.requests] == ["/backup/fail"]
    assert web.requests[0].body.startswith("A hook before the backup ended with 3, so that nothing was backed up.")
    assert "FAILED, exit code 3" in web.requests[0].body


def test_a_job_that_is_none_starts_nothing(job_file: Path, web: PingReceiver) -> None:
    options = json.loads(job_file.read_text())["job"]
    job_file.write_text(json.dumps({"job": {**options, "reports": {"metrics_dir": "metrics"}}}))
    with pytest.raises(BadInput, match="metrics_dir"):
        runs.backup()
    assert web.requests == []


def test_the_secrets_of_a_job_are_those_of_its_schema() -> None:
    options = job_params(
        encryption={"mode": "gpg", "passphrase": "canary-1234", "secret_keys": "line-one-of-it\nline-two-of-it\n"},
        credentials={"access_key": "AKIAOPEN", "secret_key": "canary-5678"},
        reports={"mail": {"password": "canary-9abc", "host": "mail"}, "apprise_urls": ["ntfy://a", "ntfy://b"]},
    )
    found = list(secrets_of(options, JOB_OPTIONS))
    wanted = {"canary-1234", "line-one-of-it\nline-two-of-it\n", "canary-5678", "canary-9abc", "ntfy://a", "ntfy://b"}
    assert set(found) == wanted
    assert hide("x line-two-of-it ntfy://b AKIAOPEN", found) == "x ******** ******** AKIAOPEN"


def test_a_cleanup_refuses_the_job_file_of_backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"keep_fulls": 1, "older_than": None, "keep_incrementals_of": None, "orphans": False, "orphan_age": "7D"}
    who = {"access_key": "CLEAN", "secret_key": "secret-of-cleanup"}
    options = job_params(retention=rules, cleanup_on="host", cleanup_credentials=who)
    monkeypatch.setattr(runs, "JOB_FILE", tmp_path / "job")
    for given in (compose.for_backups(options), compose.for_cleanup({**options, "retention": None})):
        runs.JOB_FILE.write_text(json.dumps({"job": given}))
        with pytest.raises(BadInput, match="is not that of a cleanup"):
            runs.cleanup()
