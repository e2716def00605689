"""Paths that people give: with outer slashes, of files, and with every character that a shell would trip over."""

from __future__ import annotations

from pathlib import Path

from integration.errors.playing import Task, play, succeeded
from integration.errors.stage import Stage

NAMES = (
    "with space",
    "new\nline",
    "quote's",
    'double"quote',
    "$(id)",
    "`id`",
    "{{ 1 + 1 }}",
    "umlaut ä 🦭",
    "-leading-dash",
    "--help",
    "back\\slash",
    "*",
)
# What is asked for, and which path of the source it means.
SPELLINGS = {
    "/directory/": "directory",
    "directory//": "directory",
    "/directory/file": "directory/file",
    "directory/file/": "directory/file",
    "directory/file": "directory/file",
    "/": ".",
    ".": ".",
}


def content(path: Path) -> object:
    """A file's bytes, or all files below a directory by their names."""
    if path.is_file():
        return path.read_bytes()
    return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def unsafe(text: str) -> str:
    """As a user writes it who does not want Jinja to read it."""
    return "{% raw %}" + text + "{% endraw %}" if "{{" in text else text


def test_every_path_is_restored_alone(stage: Stage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "directory").mkdir(parents=True)
    (source / "directory" / "file").write_text("in a directory")
    for name in NAMES:
        (source / name).mkdir()
        (source / name / name).write_text(f"in {name}")
    job = stage.job("paths", source=str(source))
    # A directory of each name or, of every other, the file of that name in it.
    odd = [name if number % 2 else f"{name}/{name}" for number, name in enumerate(NAMES)]
    wanted = {**SPELLINGS, **{path: path for path in odd}}
    tasks = {"backup": Task("duplicity_backup", {"job": job})}
    for number, asked in enumerate(wanted):
        options = {"job": job, "path": unsafe(asked), "dest": str(stage.dest / f"path {number}")}
        tasks[str(number)] = Task("duplicity_restore", options)
    done = play(tasks, stage.root)
    succeeded(done["backup"])
    for number, meant in enumerate(wanted.values()):
        result = succeeded(done[str(number)])
        assert result["path"] == ("" if meant == "." else meant)
        assert content(stage.dest / f"path {number}") == content(source / meant)
