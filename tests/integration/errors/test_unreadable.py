"""Source files that cannot be read are counted and named, whatever duplicity's exit code says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from integration.errors.playing import Result, Task, play, succeeded
from integration.errors.stage import Stage

from lab.places import LabError

# Root may read every file of a disk. What it may not: another process's memory and descriptors, unless it may trace it.
FILES = ("secret", "new\nline", "quote's ä")
NOT_UTF8 = b"latin1 \xe4"
DIRECTORY = "descriptors"


@contextmanager
def mounted(what: str, place: bytes) -> Iterator[None]:
    done = subprocess.run([b"mount", b"--bind", what, place], capture_output=True, check=False)
    if done.returncode:
        raise LabError(f"mount --bind {what} failed: {done.stderr!r}")
    try:
        yield
    finally:
        subprocess.run([b"umount", place], check=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A source of one good file and some that cannot be read."""
    top = tmp_path_factory.mktemp("unreadable")
    (top / "good").write_text("good")
    (top / DIRECTORY).mkdir()
    names = [os.fsencode(name) for name in FILES] + [NOT_UTF8]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL))
        stack.callback(process.kill)
        for name in names:
            path = os.fsencode(top) + b"/" + name
            Path(os.fsdecode(path)).touch()
            stack.enter_context(mounted(f"/proc/{process.pid}/mem", path))
        stack.enter_context(mounted(f"/proc/{process.pid}/fd", os.fsencode(top / DIRECTORY)))
        yield top


@pytest.fixture(scope="module")
def results(stage: Stage, source: Path) -> dict[str, Result]:
    job = stage.job("unreadable", source=str(source))
    tolerant = {**job, "on_unreadable": "warn"}
    tasks = {
        "check": Task("duplicity_backup", {"job": job}, check=True),
        "fail": Task("duplicity_backup", {"job": job}),
        "seen after fail": Task("duplicity_info", {"job": job}),
        "warn": Task("duplicity_backup", {"job": tolerant, "full": True}),
        "seen after warn": Task("duplicity_info", {"job": job}),
    }
    return play(tasks, stage.root)


def test_such_a_backup_fails_by_default_and_names_them(results: dict[str, Result]) -> None:
    result = results["fail"]
    assert result["failed"]
    assert result["error"]["cause"] == "source_unreadable"
    named = [name for name in result["unreadable"] if not name.startswith(f"{DIRECTORY}/")]
    assert sorted(named) == sorted([*FILES, "latin1 \\xe4"]), "relative to the source"
    below = [name for name in result["unreadable"] if name.startswith(f"{DIRECTORY}/")]
    assert {f"{DIRECTORY}/{number}" for number in range(3)} <= set(below)
    assert result["unreadable_count"] == len(result["unreadable"]) == len(named) + len(below)
    assert f"{result['unreadable_count']} files or directories of the source could not be read: " in result["msg"]
    assert "does not count as a success" in result["msg"]
    assert "job.on_unreadable: warn" in result["msg"]
    assert "Traceback" not in result["msg"]


def test_check_mode_says_so_too(results: dict[str, Result]) -> None:
    assert results["check"]["failed"]
    assert results["check"]["error"]["cause"] == "source_unreadable"
    assert results["check"]["unreadable"] == results["fail"]["unreadable"]
    assert not results["check"]["changed"]


def test_it_is_stored_but_does_not_count_as_a_success(results: dict[str, Result]) -> None:
    seen = succeeded(results["seen after fail"])
    assert seen["last_success"] is None
    assert seen["last_run"]["cause"] == "source_unreadable"
    assert [one["kind"] for one in seen["chains"][0]["sets"]] == ["full"]


def test_with_warn_it_passes_and_names_them_all_the_same(results: dict[str, Result]) -> None:
    result = succeeded(results["warn"])
    assert result["action"] == "full"
    assert result["unreadable"] == results["fail"]["unreadable"]
    seen = succeeded(results["seen after warn"])
    assert seen["last_success"] == seen["last_run"]
    assert seen["last_success"]["cause"] is None
