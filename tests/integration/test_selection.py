"""Every kind of rule of job.selection, in real backups of a source whose own path is full of traps.

The source lies below a directory named `source` and is itself named like a shell pattern: rules that fit a part of its
path must not leave everything out.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import Job, RunPlaybook

FILES = (
    "a.tmp", "deep/b.tmp", "deep/er/c.tmp", "deep/er/keep.txt",
    "cache/one", "lib/cache/two", "lib/source/three", "caches",
    "private/.nobackup", "private/secret", "late/.nobackup", "late/kept?",
    "list/x y", "list/'quoted'", "list/z", "mount/other",
    "UPPER/Note.BAK", "UPPER/Note.bat", "old/log", "old/new",
    "data [1]*?/four", "data 1xy/five",
)  # fmt: skip


@contextmanager
def other_file_system(place: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=True)
    try:
        (place / "elsewhere").touch()
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path / "source/cache/[ab]* ?'\"\\ tree"
    for name in FILES:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    os.utime(top / "old/log", (1_600_000_000,) * 2)
    with other_file_system(top / "mount"):
        yield top


def selections(source: Path, lists: Path) -> dict[str, tuple[dict[str, Any], set[str]]]:
    """Options of a job, and what of FILES is then not in the backup."""
    lists.mkdir()
    (lists / "out").write_text(
        f"# what goes\n\n+ cache/one\n cache \r\n'list/x y'\n\"list/'quoted'\"\n- {source}/late\n**/source\n"
    )
    (lists / "in").write_text("deep/**.txt\n- lib/cache\nlib\nlist\ncache\nlate\n")
    rules = [
        {"include": "deep/er/c.tmp"},
        {"include_regexp": "/b[.]tmp$"},
        {"exclude": "**.tmp"},
        {"exclude": "**/source"},
        {"exclude": "**/cache/"},
        {"exclude": "caches/"},
        {"exclude_if_present": ".nobackup"},
        {"exclude": f"{source}/list/"},
        {"exclude": "data [[]1[]][*][?]"},
        {"exclude_regexp": "(?i)/upper/.*bak$"},
        {"exclude_regexp": "source|tree$"},
        {"exclude_older_than": "365D"},
    ]
    left_out_by_rules = {
        "a.tmp", "lib/source/three", "cache/one", "lib/cache/two", "private/.nobackup", "private/secret",
        "late/.nobackup", "late/kept?", "list/x y", "list/'quoted'", "list/z", "data [1]*?/four", "UPPER/Note.BAK",
        "old/log", "mount/elsewhere",
    }  # fmt: skip
    taken_by_lists = {"deep/er/keep.txt", "list/z", "cache/one"}
    return {
        "rules": ({"one_file_system": True, "selection": rules}, left_out_by_rules),
        "lists": (
            {
                "selection": [
                    {"exclude_list": str(lists / "out")},
                    {"include_list": str(lists / "in")},
                    {"exclude": "**"},
                ]
            },
            {*FILES, "mount/elsewhere"} - taken_by_lists,
        ),
    }


def test_each_rule_leaves_out_what_it_says(job: Job, playbook: RunPlaybook, source: Path, tmp_path: Path) -> None:
    wanted = selections(source, tmp_path / "lists")
    common = {"source": str(source), "verbosity": "info"}
    tasks: list[dict[str, Any]] = []
    for number, (options, _missing) in enumerate(wanted.values()):
        one = {**job, **common, **options, "target": f"{job['target']}/{number}"}
        one["state_dir"] = f"{job['state_dir']}{number}"
        tasks.append({"permafrost.backup.duplicity_backup": {"job": one}})
        tasks.append({"permafrost.backup.duplicity_info": {"job": one, "files": True}})

    run = playbook(tasks)

    assert run.code == 0, run.output
    everything = {*FILES, "mount/elsewhere"} - {"mount/other"}
    for (name, (_options, missing)), backup, info in zip(
        wanted.items(), run.results("duplicity_backup"), run.results("duplicity_info")
    ):
        there = {one["path"] for one in info["files"]}
        assert everything - there == missing - {"mount/other"}, name
        assert backup["warnings_of_duplicity"] == [], name
        assert backup["unreadable_count"] == 0, name
