"""extra_args.py: what the job does not have passes; what it has, or what would undo it, is refused by every name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import command
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.extra_args import SUCCESSORS, checked_extra_args
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.stage import job_params

OPTIONS = st.sampled_from(sorted(SUCCESSORS))
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)


def refusal(*words: str) -> str:
    with pytest.raises(BadInput) as caught:
        checked_extra_args(words)
    return caught.value.what


@pytest.mark.parametrize(
    "words",
    [
        (), ("--copy-links",), ("--timeout", "30"), ("--timeout=30",), ("--exclude-device-files",),
        ("--max-blocksize", "4096", "--copy-links"), ("--no-restore-ownership",), ("--s3-multipart-max-procs=2",),
        ("--rename", "a b", "c=d --volsize"), ("--ignore-errors",), ("--par2-options=--volsize 3",),
    ],
)  # fmt: skip
def test_what_passes(words: tuple[str, ...]) -> None:
    assert checked_extra_args(list(words)) == words


@given(OPTIONS, st.booleans(), VALUES)
def test_what_the_job_has_is_refused_with_what_to_use(option: str, one_word: bool, value: str) -> None:
    words = (f"{option}={value}",) if one_word else (option, value or "x")
    assert refusal(*words) == f"job.extra_args: {option} cannot be given here. In its place: {SUCCESSORS[option]}."
    assert refusal("--timeout", "30", *words).startswith(f"job.extra_args: {option} cannot")


@given(OPTIONS, st.data())
def test_beginnings_of_its_name_are_refused_too(option: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(3, len(option)))
    assert "cannot be given here" in refusal(option[:length])


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("-v9", "job.verbosity"), ("-v", "job.verbosity"), ("-rpath", "path of duplicity_restore"),
        ("-t3D", "time of duplicity_restore"), ("-V", "would do nothing else"), ("-h", "would do nothing else"),
        ("--help-backup", "would do nothing else"), ("--vers", "would do nothing else"),
        ("--exclude-o", "job.selection"), ("--s3-use", "job.storage_class"),
    ],
)  # fmt: skip
def test_short_names_and_families(word: str, place: str) -> None:
    assert place in refusal(word)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("",), "an empty word"), (("--timeout", ""), "an empty word"), (("--x\0",), "a NUL"),
        (("--timeout 30",), "more than one word"), (("/etc",), "begins with '/etc', which is no option"),
        (("--",), "'--' is no option"), (("-",), "'-' is no option"), (("--=x",), "'--=x' is no option"),
    ],
)  # fmt: skip
def test_no_options(words: tuple[str, ...], told: str) -> None:
    assert told in refusal(*words)


def test_they_stand_in_the_command_line_before_what_is_backed_up() -> None:
    job = Job.from_params(job_params(extra_args=["--timeout", "30"]))
    argv = command.backup(job, "/run-dir", full=False, dry_run=False).argv
    assert argv[argv.index("--timeout") + 1] == "30"
    assert argv.index("--timeout") < argv.index(job.source_in_container)
