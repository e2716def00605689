"""host.py: manifests in the archive directory, locks, a host without room, the history of runs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors, host
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit import transcript
from unit.stage import job_params


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = Job.from_params(job_params(state_dir=str(tmp_path), file_prefixes={"manifest": "m-"}))
    Path(made.archive).mkdir(parents=True)
    return made


def test_manifests_are_read_up_to_their_file_lists(job: Job) -> None:
    recorded = transcript.manifests("life")
    for name, content in recorded.items():
        assert b"\nFilelist " in content
        Path(job.archive, f"m-{name}").write_bytes(content)
    found = host.local_manifests(job)
    assert found == {name: content[: content.index(b"Filelist ")] for name, content in recorded.items()}
    assert all(content.endswith(b"\n") for content in found.values())


def test_one_that_was_cut_off_anywhere_shows_it(job: Job) -> None:
    (name, content), *_rest = transcript.manifests("life").items()
    path = Path(job.archive, f"m-{name}")
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        if content[length - 1 : length] != b"\n":
            assert not host.local_manifests(job)[name].endswith(b"\n"), content[:length]


def test_an_empty_one_holds_nothing(job: Job) -> None:
    (name, *_rest) = transcript.manifests("life")
    Path(job.archive, f"m-{name}").touch()
    assert host.local_manifests(job) == {name: b""}


# --- locks ------------------------------------------------------------------------------------------------------------


def in_a_thread(work: Callable[[], object]) -> object:
    """What it gives, or raises, in another thread of this process."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result(timeout=30)


def test_a_thread_that_holds_the_lock_goes_on_and_another_one_waits(job: Job) -> None:
    def take() -> str:
        with host.locked(job, "second", wait_seconds=0):
            return "got it"

    with host.locked(job, "first"):
        assert take() == "got it", "the same thread"
        with pytest.raises(errors.Busy, match="The first of job web01-data is at work since 20"):
            in_a_thread(take)
    assert in_a_thread(take) == "got it"


def test_a_thread_that_holds_the_lock_keeps_it_from_the_main_thread(job: Job) -> None:
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with host.locked(job, "progress"):
            holds.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(30)
    with pytest.raises(errors.Busy), host.locked(job, "backup", wait_seconds=0):
        pass
    done.set()
    thread.join()


def test_records_are_written_while_a_run_holds_the_lock(job: Job) -> None:
    with host.locked(job, "backup"):
        in_a_thread(lambda: host.write_record(job, "progress", {"percent": 50}))
        assert host.read_record(job, "progress") == {"percent": 50}


# --- no room ----------------------------------------------------------------------------------------------------------


def test_a_lock_needs_no_room(job: Job) -> None:
    Path(job.state_dir, "lock").symlink_to("/dev/full")
    with host.locked(job, "backup"):
        pass


def test_what_a_run_cannot_keep(job: Job) -> None:
    host.prepare(job, "backup")
    Path(host.run_dir(job, "backup"), "result.json").symlink_to("/dev/full")
    with pytest.raises(errors.StateSpace, match=r"runs/backup cannot be written: No space left on device\."):
        host.keep_result(job, "backup", "container", {"StartedAt": "2026-11-01T02:00:00Z"}, 10)
    with pytest.raises(errors.StateSpace):
        host.write_file(job, "backup", "result.json", b"content")


def test_secrets_without_room_are_taken_away(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.open

    def opened(path: str | Path, flags: int, *mode: int, **options: Any) -> int:
        return really("/dev/full", os.O_WRONLY) if str(path).endswith("/two") else really(path, flags, *mode, **options)

    monkeypatch.setattr(os, "open", opened)
    with pytest.raises(errors.NoSecretPlace, match="No space left on device"):
        host.write_secrets(job, "backup", {"one": b"canary", "two": b"canary"})
    assert not host.secrets_dir(job, "backup").exists()


def test_which_file_system_is_full(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """duplicity says in both cases that no space is left."""
    found = errors.TemporarySpace("No space left.", exit_code=30)
    host.prepare(job, "backup")
    assert host.where_full(job, found) is found
    apart = replace(job, temp_dir="/dev/shm")
    assert host.where_full(apart, found) is found, "both have room by now"
    real = os.statvfs(job.archive_dir)
    full = os.statvfs_result([*real[:3], 0, *real[4:]])
    monkeypatch.setattr(os, "statvfs", lambda path: full if path == job.archive_dir else real)
    told = host.where_full(apart, found)
    assert isinstance(told, errors.StateSpace)
    assert told.facts == {"exit_code": 30, "path": job.archive_dir, "free_bytes": 0}
    assert host.where_full(job, found) is found
    with pytest.raises(errors.StateSpace):
        host.prepare(job, "backup")


# --- history ----------------------------------------------------------------------------------------------------------


def keep(job: Job, number: int, verb: str = "backup", log: str | None = "incremental", logs: int | None = 3) -> None:
    """A run ends, as an engine or a timer tells it."""
    host.prepare(job, verb)
    if log:
        Path(host.run_dir(job, verb), "duplicity.log").write_text(transcript.load(log).log, encoding="utf-8")
    result: dict[str, Any] = {
        "ExitCode": 0 if log else 50,
        "StartedAt": f"2026-11-01T02:{number // 60:02}:{number % 60:02}.123456789Z",
        "FinishedAt": "2026-11-01T03:00:00.623456+00:00",
        "output": "",
    }
    host.keep_result(job, verb, f"{verb}{number:06}", result, logs)


def test_runs_are_remembered(job: Job) -> None:
    assert host.history(job) == []
    keep(job, 0)
    keep(job, 1, log=None)
    keep(job, 2, verb="restore")
    keep(job, 3, verb="info", logs=None)
    stored = host.history(job)[0]["stored_bytes"]
    assert stored > 1000
    assert f"TotalDestinationSizeChange {stored} " in transcript.load("incremental").log
    assert host.history(job) == [
        {"time": f"2026-11-01T02:00:0{number}Z", "verb": verb, "exit_code": code, "elapsed_seconds": 3600.5 - number,
         "stored_bytes": size}
        for number, (verb, code, size) in enumerate([("backup", 0, stored), ("backup", 50, None), ("restore", 0, None)])
    ]  # fmt: skip


def test_a_run_is_remembered_once(job: Job) -> None:
    keep(job, 0)
    kept = next(Path(job.state_dir, "runs").glob("backup.*"))
    kept.rename(kept.with_name("elsewhere"))  # as if the task had been killed before it put the run away
    keep(job, 0)
    assert len(host.history(job)) == 1


def test_the_history_is_bounded_and_survives_damage(job: Job) -> None:
    path = Path(job.state_dir, "history.json")
    keep(job, 0)
    (run,) = host.history(job)
    runs = [{**run, "time": f"2026-10-01T00:00:00Z {number}"} for number in range(400)]
    path.write_text(json.dumps({"runs": runs}))
    keep(job, 5)
    assert [one["time"] for one in host.history(job)] == [*(one["time"] for one in runs[1:]), "2026-11-01T02:00:05Z"]
    path.write_text('{"runs": [')
    keep(job, 6)
    assert [one["time"] for one in host.history(job)] == ["2026-11-01T02:00:06Z"]
