"""options.py and flags.py: old flags become today's, each with a warning, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.extra_args import RENAMED, SUCCESSORS
from permafrost import options
from permafrost.flags import translate

URL = "boto3+s3://bucketname/backup-folder"
WORDS = st.sampled_from(
    ["--volsize", "9", "--progress", "-v", "-v9", "-r", "a b", "--name=x", "--rename", "full", "/src", URL, "-1", "-"]
)


def today(*words: str) -> tuple[list[str], tuple[str, ...]]:
    found = translate(options.read(words), "/nobody")
    return [*found.ahead, *found.line.words], found.warnings


@given(st.lists(WORDS | st.text(max_size=4)))
def test_reading_keeps_every_word(words: list[str]) -> None:
    assert options.read(words).words == words


@pytest.mark.parametrize(
    ("words", "verb", "source"),
    [
        (["/src", URL], "backup", "/src"),
        (["--volsize", "9", "full", "--name", "inc", "/src", "--progress", URL], "full", "/src"),
        (["inc", "/src", URL, "--exclude", "/src/a"], "incremental", "/src"),
        (["-v", "i", "-t3D", URL, "/to"], "restore", None),
        (["vb", URL, "/src"], "verify", "/src"),
        (["remove-all-but-n-full", "7", URL], "remove-all-but-n-full", None),
        (["--rename", "a", "b", "ls", URL], "list-current-files", None),
        (["a"], "", None),
    ],
)
def test_verb_and_places(words: list[str], verb: str, source: str | None) -> None:
    line = options.read(words)
    assert (line.verb, line.source) == (verb, source)
    assert line.url == (None if verb == "" else URL)


def test_beginnings_of_names_and_the_last_value() -> None:
    line = options.read(["--arch", "/a", "--archive-dir=/b", "--vols", "5", "-vd"])
    assert (line.value("--archive-dir"), line.value("--volsize"), line.value("--verbosity")) == ("/b", "5", "d")


def test_the_word_behind_a_removed_flag_stays() -> None:
    flags = ("--s3-use-multiprocessing", "--s3-european-buckets", "--s3-use-new-style")
    words, warnings = today(flags[0], "--volsize", "1024", flags[1], "collection-status", flags[2], URL)
    assert words == ["--volsize", "1024", "collection-status", URL]
    assert [one.split()[0] for one in warnings] == [*flags]
    assert "job.region" in warnings[1]


def test_a_removed_flag_with_a_value_goes_with_it() -> None:
    assert today("st", "--s3-multipart-max-timeout", "5", URL)[0] == ["st", URL]
    assert today("st", "--s3-multipart-max-timeout=5", URL)[0] == ["st", URL]


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_every_old_flag_goes_with_a_warning_that_names_its_successor(old: str) -> None:
    words, (warning,) = today("collection-status", old, URL)
    assert old not in words
    assert words[0] == "collection-status"
    assert old in warning
    assert all(word in warning for word in RENAMED[old]) or "removed" in warning
    assert old in SUCCESSORS


@pytest.mark.parametrize(
    ("given_words", "expected"),
    [
        (["--file-to-restore", "smallfiles/"], ["--path-to-restore=smallfiles"]),
        (["--file-to-restore=a/b"], ["--path-to-restore=a/b"]),
        (["--file-to-restore", "a b/c"], ["--path-to-restore", "a b/c"]),
        (["--path-to-restore", "/a//"], ["--path-to-restore=a"]),
        (["--path=a/"], ["--path-to-restore=a"]),
        (["-r", "a/"], ["--path-to-restore=a"]),
        (["-r/"], []),
        (["--path-to-restore", "a"], ["--path-to-restore", "a"]),
    ],
)
def test_paths_to_restore(given_words: list[str], expected: list[str]) -> None:
    words, warnings = today("restore", *given_words, URL, "/to")
    assert words == ["restore", *expected, URL, "/to"]
    assert bool(warnings) == (words != ["restore", *given_words, URL, "/to"])


def test_concurrency_that_is_given_counts() -> None:
    assert today("/s", URL, "--asynchronous-upload")[0] == ["/s", URL, "--concurrency", "1"]
    words, (warning,) = today("/s", URL, "--asynchronous-upload", "--concurrency", "4")
    assert words == ["/s", URL, "--concurrency", "4"]
    assert "left out" in warning


def test_old_lists() -> None:
    words, _warnings = today("--exclude-globbing-filelist", "/list", "--include-filelist-stdin", "/s", URL)
    assert words == ["--exclude-filelist", "/list", "--include-filelist", "/dev/stdin", "/s", URL]


@pytest.mark.parametrize(
    ("source", "given_words", "excluded"),
    [
        ("/mnt/backup/src", ["--archive-dir", "/mnt/backup/src/config"], ["/mnt/backup/src/config"]),
        ("/mnt/backup/src//", ["--archive-dir=/mnt/backup/src/./config/"], ["/mnt/backup/src/config"]),
        ("/mnt/backup/src/data", ["--archive-dir", "/mnt/backup/src/config"], []),
        ("/mnt/backup/src", ["--archive-dir", "/mnt/backup/src-config"], []),
        ("/data", ["--archive-dir", "/a", "--log-file", "/data/logs/x.log"], ["/data/logs"]),
        ("/data", ["--archive-dir", "/a", "--log-file", "/data/x.log"], ["/data/x.log"]),
        ("/data", ["--archive-dir", "/data/a[1]*", "--log-file", "/data/l/x"], ["/data/a[[]1][*]", "/data/l"]),
        ("/", [], ["/nobody/.cache/duplicity"]),
    ],
)
def test_its_own_directories_inside_the_source(source: str, given_words: list[str], excluded: list[str]) -> None:
    rest = [*given_words, "--include", "/x", source, URL]
    words, warnings = today(*rest)
    assert words == [*(word for one in excluded for word in ("--exclude", one)), *rest]
    assert len(warnings) == len(excluded)
    assert all(one in warning for one, warning in zip(excluded, warnings))


def test_nothing_is_excluded_where_nothing_is_walked() -> None:
    archive = ["--archive-dir", "/mnt/recovered/config"]
    for words in (["collection-status", URL], ["restore", URL, "/mnt/recovered"]):
        assert today(*archive, *words) == ([*archive, *words], ())


def test_deleting_without_force_is_told() -> None:
    for words in (["remove-all-but-n-full", "7"], ["ro", "6M"], ["cleanup"]):
        _words, (warning,) = today(*words, URL)
        assert "only lists" in warning
        assert today(*words, URL, "--force")[1] == ()
