"""archive_dir.py: manifests in the archive directory."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import archive_dir, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit import transcript


def test_manifests_are_read_without_their_file_lists(job: Job) -> None:
    recorded = transcript.manifests("life")
    for name, content in recorded.items():
        assert b"\nFilelist " in content
        Path(job.archive, f"m-{name}").write_bytes(content)
    found = archive_dir.manifests(job)
    assert found == {name: content[: content.index(b"Filelist ")] for name, content in recorded.items()}
    assert all(content.endswith(b"\n") for content in found.values())


def test_volumes_behind_the_file_list_count(job: Job) -> None:
    """A run that was killed at its very end had written the list; its resumption writes the last volume anew."""
    (name, *_rest) = transcript.manifests("life")
    volume = b"Volume 1:\n    StartingPath   .  \n    EndingPath     b  \n"
    volume += b"    Hash SHA1 8e850deaced4b46dae705387adf434096a85906a\n"
    files = b"Filelist 1\n    new      b\n"
    resumed = b"Hostname web01\nLocaldir /source\n" + volume.replace(b"8e85", b"0000") + files + volume + files
    Path(job.archive, f"m-{name}").write_bytes(resumed)
    found = archive_dir.manifests(job)[name]
    assert files not in found
    assert [one.sha1 for one in manifest.parse_manifest(found)] == ["8e850deaced4b46dae705387adf434096a85906a"]


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
