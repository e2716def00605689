"""docs/not-preserved.md, row by row, on a real restore; and what a backup says of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import trees
from lab.places import CHECKOUT

from .conftest import Job, RunPlaybook

NOT_KEPT = "awkward/not kept"
ACL = "system.posix_acl_access"
OLD_SECONDS = 1_000_000_000


def documented() -> dict[str, str]:
    """The table: what is not kept, and under which key it is counted."""
    rows = [line.strip("|\n").split("|") for line in (CHECKOUT / "docs/not-preserved.md").read_text().splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 3]
    return {what: key.strip("`") for what, _instead, key in cells[2:]}


def entries(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The tree's root and all below it."""
    for directory, names, files in os.walk(top):
        for name in [".", *files, *(name for name in names if Path(directory, name).is_symlink())]:
            path = Path(directory, name)
            yield path, path.lstat()


def count(top: Path, holds: Callable[[Path, os.stat_result], bool]) -> int:
    """Entries of which something holds."""
    return sum(holds(path, found) for path, found in entries(top))


def is_link_of_several(_path: Path, found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_nlink > 1


def has_part_of_second(_path: Path, found: os.stat_result) -> bool:
    timed = not stat.S_ISLNK(found.st_mode) and not stat.S_ISSOCK(found.st_mode)
    return timed and found.st_mtime_ns % trees.SECOND_NS != 0


def is_old_symlink(_path: Path, found: os.stat_result) -> bool:
    return stat.S_ISLNK(found.st_mode) and found.st_mtime_ns < trees.BASE_NS * 1.1


def has_holes(_path: Path, found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_blocks * 512 < found.st_size


def is_socket(_path: Path, found: os.stat_result) -> bool:
    return stat.S_ISSOCK(found.st_mode)


def has_acl(path: Path, _found: os.stat_result) -> bool:
    return ACL in os.listxattr(path, follow_symlinks=False)


def has_attribute(path: Path, _found: os.stat_result) -> bool:
    return bool(set(os.listxattr(path, follow_symlinks=False)) - {ACL})


def has_old_access(_path: Path, found: os.stat_result) -> bool:
    return int(found.st_atime) == OLD_SECONDS


# What is asked of each entry, and how many lab.trees makes; None where real files decide.
ROWS: dict[str, tuple[Callable[[Path, os.stat_result], bool], int | None]] = {
    "hard links": (is_link_of_several, 3),
    "parts of a second of mtimes": (has_part_of_second, None),
    "mtimes of symbolic links": (is_old_symlink, 6),
    "holes of sparse files": (has_holes, 1),
    "sockets": (is_socket, 1),
    "ACLs": (has_acl, 1),
    "extended attributes, with them file capabilities": (has_attribute, 1),
    "access times": (has_old_access, 1),
}


@pytest.fixture
def source(job: Job) -> Path:
    """A tree with one of each, and an access time that reading it does not move."""
    path = Path(job["source"])
    trees.make(path, files=300)
    # relatime: an access time that is newer than the mtime, and not a day old, stays. An empty file is not even read.
    os.utime(path / "awkward/kinds/empty file", (OLD_SECONDS, OLD_SECONDS - 5))
    return path


def test_the_table_and_the_tests_name_the_same_rows() -> None:
    assert list(documented()) == list(ROWS)


def test_each_row_is_true_and_is_counted(job: Job, playbook: RunPlaybook, source: Path, tmp_path: Path) -> None:
    before = {what: count(source, holds) for what, (holds, _number) in ROWS.items()}
    assert {what: number or before[what] for what, (_holds, number) in ROWS.items()} == before
    assert all(before.values())
    expected = trees.snapshot(source)

    restored = tmp_path / "restored"
    run = playbook(
        [
            {"permafrost.backup.duplicity_backup": {"job": {**job, "storage_class": "STANDARD"}}},
            {"permafrost.backup.duplicity_restore": {"job": job, "dest": str(restored)}},
        ]
    )
    assert run.code == 0, run.output

    counted = {
        what: key for what, key in documented().items() if key in run.result("duplicity_backup")["not_preserved"]
    }
    assert run.result("duplicity_backup")["not_preserved"] == {key: before[what] for what, key in counted.items()}
    assert ROWS.keys() - counted.keys() == {"access times"}
    assert {what: count(restored, holds) for what, (holds, _number) in ROWS.items()} == dict.fromkeys(ROWS, 0)
    assert trees.differences(expected, trees.snapshot(restored)) == []


def test_what_has_nothing_of_it_counts_nothing(job: Job, playbook: RunPlaybook) -> None:
    source = Path(job["source"])
    source.mkdir()
    (source / "file").write_text("plain")
    for path in (source / "file", source):
        os.utime(path, (OLD_SECONDS, OLD_SECONDS))
    run = playbook([{"permafrost.backup.duplicity_backup": {"job": job}}])
    assert set(run.result("duplicity_backup")["not_preserved"].values()) == {0}, run.output
