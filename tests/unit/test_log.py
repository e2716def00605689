"""log.py on machine logs of the real duplicity."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import log
from unit import transcript
from unit.awkward import NAMES


def is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def escape(name: bytes) -> str:
    """duplicity's util.escape, written anew."""
    text = os.fsdecode(name).encode("unicode-escape", "replace").decode("utf8", "replace")
    return "'" + text.replace("'", "\\x27") + "'"


def listed() -> list[log.ListedFile]:
    return [found for event in transcript.load("list").events() if (found := log.listed_file(event))]


def test_names_come_back_byte_for_byte() -> None:
    found = {one.path for one in listed()}
    wanted = {b"awkward/" + name for name in NAMES}
    assert not all(is_utf8(name) for name in wanted)
    assert wanted <= found
    assert found - wanted == {
        b".", b"awkward", b"etc", b"etc/new", b"etc/nginx", b"etc/nginx/nginx.conf", b"zeta", b"zeta/large",
    }  # fmt: skip


def test_types_and_times_of_listed_files() -> None:
    by_path = {one.path: one for one in listed()}
    assert by_path[b"etc"].type == "dir"
    assert by_path[b"etc/new"].type == "reg"
    assert all(one.mtime.tzinfo is not None for one in listed())


def test_no_name_forges_an_event() -> None:
    assert [event for event in transcript.load("list").events() if event.level == "ERROR"] == []


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_unescape_is_the_inverse_of_duplicity(name: bytes) -> None:
    assert log.unescape(escape(name)) == name


@given(st.lists(st.tuples(st.sampled_from(["NOTICE", "WARNING", "ERROR"]), st.integers(1, 99), st.text(), st.text())))
def test_any_text_comes_back_from_a_stanza(stanzas: list[tuple[str, int, str, str]]) -> None:
    """The writer is duplicity's MachineFormatter, written anew."""
    written = ""
    for level, code, name, text in stanzas:
        extra = escape(name.encode("utf-8", "replace"))
        written += (f"{level} {code} {extra}" + f"\n{text}".replace("\n", "\n. ") + "\n") + "\n"
    events = list(log.parse(written.split("\n")))
    assert [(one.level, one.code, one.text) for one in events] == [
        (level, code, text) for level, code, _, text in stanzas
    ]
    assert [log.unescape(one.extra) for one in events] == [name.encode("utf-8", "replace") for _, _, name, _ in stanzas]


@pytest.mark.parametrize("name", transcript.names())
def test_every_line_of_a_transcript_belongs_to_an_event(name: str) -> None:
    recorded = transcript.load(name)
    heads = [line for line in recorded.log.split("\n") if line[:1] in "EWNI" and line.split(" ")[0].isupper()]
    assert len(recorded.events()) == len(heads)


def test_statistics_of_a_full() -> None:
    run = transcript.load("full").run()
    files = len(NAMES) + 3
    assert run.statistics["new_files"] == run.statistics["source_files"] == files + 5  # and the directories
    assert run.statistics["new_bytes"] > len(NAMES) * 700_000 + 3 * 1024 * 1024
    assert run.statistics["errors"] == 0
    assert run.elapsed_seconds > 0
    assert (run.full, run.last_full, run.skipped, run.resumed) == (True, False, False, False)


def test_statistics_of_an_incremental() -> None:
    run = transcript.load("incremental").run()
    counts = {name: run.statistics[name] for name in ("new_files", "deleted_files", "changed_files")}
    assert counts == {
        "new_files": 2,
        "deleted_files": 1,
        "changed_files": 1,
    }  # new: a file, and its directory by its mtime
    assert (run.full, run.last_full, run.skipped) == (False, True, False)


def test_skipped_and_resumed() -> None:
    assert transcript.load("skipped").run().skipped
    assert not transcript.load("full").run().skipped
    assert transcript.load("resumed").run().resumed
    assert not transcript.load("full").run().resumed


@pytest.mark.parametrize(
    ("name", "full", "deltas"),
    [("check-first", True, True), ("check-unchanged", False, False), ("check-changed", False, True)],
)
def test_dry_runs_tell_what_would_be_done(name: str, full: bool, deltas: bool) -> None:
    run = transcript.load(name).run()
    assert (run.full or not run.last_full) == full
    assert (run.statistics["delta_entries"] > 0) == deltas


def test_unreadable_files_are_named_and_counted() -> None:
    run = transcript.load("unreadable").run()
    assert [name.rpartition("/")[2] for name in run.unreadable] == ["locked", "secret", "secret-\udce9"]
    assert run.unreadable_count == 3
    assert transcript.load("full").run().unreadable_count == 0


def test_names_are_bounded_and_counts_are_not() -> None:
    stanza = "WARNING 10 '/source/{}'\n. Error accessing possibly locked file /source/{}\n\n"
    text = "".join(stanza.format(number, number) for number in range(log.Run.KEEP + 5))
    run = log.summarize(log.parse(text.split("\n")))
    assert (len(run.unreadable), run.unreadable_count) == (log.Run.KEEP, log.Run.KEEP + 5)


@pytest.mark.parametrize("text", ["Error listing directory /source/a", "Error [Errno 5] getting delta for a"])
def test_warnings_without_a_code_of_their_own_name_unreadable_files_too(text: str) -> None:
    run = log.summarize([log.Event("WARNING", log.WARN_GENERIC, "", text)])
    assert run.unreadable_count == 1
    assert run.unreadable[0].endswith("a")


def test_paths_that_a_restore_could_not_rebuild() -> None:
    event = log.Event("WARNING", 12, "'etc/it\\x27s'", "Error 'Operation not permitted' processing etc/it's")
    assert log.summarize([event]).failed_paths == ["etc/it's"]


def test_required_volumes() -> None:
    whole = transcript.load("plan-whole").run().required_volumes or []
    some = transcript.load("plan-path").run().required_volumes or []
    assert set(some) < set(whole)
    assert set(whole) == {name for name in transcript.file_names("life") if ".difftar" in name}
    assert transcript.load("volume-missing").run().required_volumes is None


def test_warnings_of_an_encrypted_run_are_not_told_as_trouble() -> None:
    assert transcript.load("full-encrypted").run().warnings == []


def test_shown_is_always_printable() -> None:
    assert log.shown(os.fsdecode(b"latin1-\xe9")) == "latin1-\\xe9"
    assert log.shown("\u6c34") == "\u6c34"


PROGRESS = """\
NOTICE 16 209536141 1 16 5 62852922 0
. 199.8MB 00:00:01 [59.9MB/s] [======>                                  ] 16% ETA 5sec

NOTICE 16 838144648 4 65 2 149724226 0
. 799.3MB 00:00:04 [142.8MB/s] [==========================>              ] 65% ETA 2sec

NOTICE 1
. Something else

NOTICE 16 9428"""


def test_progress_is_the_newest_whole_stanza() -> None:
    lines = PROGRESS.split("\n")
    assert log.progress(lines[1:]) == {
        "bytes": 838144648,
        "percent": 65,
        "seconds_left": 2,
        "bytes_per_second": 149724226,
    }


def test_without_a_stanza_nothing_is_known() -> None:
    assert log.progress([]) == {"bytes": 0, "percent": None, "seconds_left": None, "bytes_per_second": None}
