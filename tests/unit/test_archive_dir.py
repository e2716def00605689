"""archive_dir.py: manifests in the archive directory."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import archive_dir
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit import transcript


def test_manifests_are_read_up_to_their_file_lists(job: Job) -> None:
    recorded = transcript.manifests("life")
    for name, content in recorded.items():
        assert b"\nFilelist " in content
        Path(job.archive, f"m-{name}").write_bytes(content)
    found = archive_dir.manifests(job)
    assert found == {name: content[: content.index(b"Filelist ")] for name, content in recorded.items()}
    assert all(content.endswith(b"\n") for content in found.values())


def test_one_that_was_cut_off_anywhere_shows_it(job: Job) -> None:
    (name, content), *_rest = transcript.manifests("life").items()
    path = Path(job.archive, f"m-{name}")
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        if content[length - 1 : length] != b"\n":
            assert not archive_dir.manifests(job)[name].endswith(b"\n"), content[:length]


def test_an_empty_one_holds_nothing(job: Job) -> None:
    (name, *_rest) = transcript.manifests("life")
    Path(job.archive, f"m-{name}").touch()
    assert archive_dir.manifests(job) == {name: b""}
