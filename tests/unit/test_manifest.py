"""manifest.py on what the real duplicity wrote, and against models of its writer and of the volume rule."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import errors, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import Volume
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp
from unit import transcript
from unit.awkward import NAMES

Index = tuple[bytes, ...]
EPOCH = datetime(2026, 11, 1, tzinfo=timezone.utc)
PARTS = st.one_of(
    st.sampled_from([b"a", b"a b", b"b'", b'"', b"\\x41", b"\xff", b"a!"]), st.binary(min_size=1, max_size=4)
)
PATHS = st.lists(
    PARTS.filter(lambda part: not set(part) & {0, 0x2F} and part not in (b".", b"..")), min_size=1, max_size=4
)


def quote(raw: bytes) -> bytes:
    """duplicity's manifest.Quote, written anew."""
    if not re.search(rb"(\s|[\\\"'])", raw):
        return raw
    parts = [b"\\x%02x" % byte if re.match(rb"(\s|[\\\"'])", bytes([byte])) else bytes([byte]) for byte in raw]
    return b'"' + b"".join(parts) + b'"'


def written(volumes: list[Volume]) -> bytes:
    """A manifest as duplicity's Manifest.to_string writes it."""
    content = b"Hostname web01\nLocaldir /source\n"
    for one in volumes:
        start, end = (quote(b"/".join(index)) if index else b"." for index in (one.start, one.end))
        content += b"Volume %d:\n    StartingPath   %s  \n    EndingPath     %s 7\n" % (one.number, start, end)
        content += b"    Hash SHA1 %s\n" % one.sha1.encode() if one.sha1 else b""
    return content + b"Filelist 1\n    new      Volume\\x201:\n"


# --- quoting --------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1))
def test_unquote_is_the_inverse_of_quote(raw: bytes) -> None:
    if raw.startswith(b'"'):
        assert quote(raw) != raw  # a field that begins with a quote is always a quoted one
    assert manifest.unquote(quote(raw)) == raw


@given(st.lists(st.tuples(PATHS, PATHS, st.sampled_from([None, "ab12"])), max_size=8))
def test_a_written_manifest_is_read_back(rows: list[tuple[list[bytes], list[bytes], str | None]]) -> None:
    volumes = [Volume(number, tuple(one), tuple(two), sha1) for number, (one, two, sha1) in enumerate(rows, 1)]
    assert manifest.parse_manifest(written(volumes)) == volumes


def test_the_first_volume_begins_with_the_root() -> None:
    assert manifest.parse_manifest(written([Volume(1, (), (b"a",), "0")])) == [Volume(1, (), (b"a",), "0")]


# --- manifests of the real duplicity ----------------------------------------------------------------------------------


def full_manifest() -> list[Volume]:
    return next(volumes for name, volumes in transcript.parsed_manifests("life").items() if "-full." in name)


def test_boundaries_of_volumes_are_names_of_files() -> None:
    volumes = full_manifest()
    known = {(b"awkward", name) for name in NAMES}
    known |= {(), (b"awkward",), (b"etc",), (b"etc", b"hosts"), (b"etc", b"nginx"), (b"etc", b"nginx", b"nginx.conf")}
    known |= {(b"zeta",), (b"zeta", b"large")}
    assert {index for one in volumes for index in (one.start, one.end)} <= known
    quoted = sum(quote(b"/".join(one.start)) != b"/".join(one.start) for one in volumes)
    assert quoted >= 5, "the recorded chain must have boundaries that duplicity quotes"


def test_volumes_are_in_order_and_have_hashes() -> None:
    volumes = full_manifest()
    assert [one.number for one in volumes] == list(range(1, len(volumes) + 1))
    assert volumes[0].start == ()
    assert all(one.start <= one.end for one in volumes)
    assert all(one.end <= other.start for one, other in zip(volumes, volumes[1:]))
    assert all(re.fullmatch("[0-9a-f]{40}", one.sha1 or "") for one in volumes)


def test_a_resumed_manifest_counts_what_was_written_last() -> None:
    (content,) = transcript.manifests("resumed").values()
    numbers = [int(number) for number in re.findall(rb"(?m)^Volume (\d+):", content)]
    assert numbers != sorted(numbers), "the recorded run must have begun below what was listed"
    (volumes,) = transcript.parsed_manifests("resumed").values()
    assert [one.number for one in volumes] == list(range(1, numbers[-1] + 1))
    twice = [number for number in set(numbers) if numbers.count(number) == 2]
    hashes = re.findall(rb"Hash SHA1 (\w+)", content)
    for number in twice:
        last = max(index for index, other in enumerate(numbers) if other == number)
        assert volumes[number - 1].sha1 == hashes[last].decode()


def test_volumes_above_the_last_listed_number_are_void() -> None:
    listed = [Volume(number, (b"a",), (b"b",), str(number)) for number in (1, 2, 3, 2)]
    assert [one.number for one in manifest.parse_manifest(written(listed))] == [1, 2]


def test_the_rule_gives_what_the_dry_run_listed() -> None:
    collection = manifest.collect(transcript.file_names("life"))
    sets = manifest.sets_at(collection, datetime.max.replace(tzinfo=timezone.utc))
    parsed = transcript.parsed_manifests("life")
    for name, path in (("plan-whole", ""), ("plan-path", "etc/nginx"), ("plan-no-such-path", "no/such")):
        needed = manifest.needed_volumes(sets, parsed, manifest.path_index(path))
        assert sorted(str(one.name) for one in needed) == sorted(transcript.load(name).run().required_volumes or [])


# --- the volume rule --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packed:
    """A model of a backup: every path with its number of blocks, and the volume of each block."""

    volumes: list[Volume]
    contents: dict[int, set[Index]]


@st.composite
def backups(draw: st.DrawFn) -> Packed:
    """Paths with all their parents, sorted as tuples, in blocks that are cut at random into volumes."""
    paths = {tuple(path) for path in draw(st.lists(PATHS, max_size=12))}
    tree = sorted({()} | {path[:length] for path in paths for length in range(1, len(path) + 1)})
    blocks = [path for path in tree for _block in range(draw(st.integers(1, 3)))]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(blocks) - 1)), max_size=8)) - {len(blocks)})
    edges = [0, *cuts, len(blocks)]
    chunks = [blocks[low:high] for low, high in zip(edges, edges[1:])]
    volumes = [Volume(number, chunk[0], chunk[-1], "0") for number, chunk in enumerate(chunks, 1)]
    return Packed(volumes, {number: set(chunk) for number, chunk in enumerate(chunks, 1)})


@given(backups(), st.data())
def test_the_rule_takes_every_volume_that_holds_the_path_or_something_below(
    packed: Packed, data: st.DataObject
) -> None:
    everything = sorted(set().union(*packed.contents.values()))
    path = data.draw(st.one_of(st.sampled_from(everything), PATHS.map(tuple)))
    needed = {one.number for one in packed.volumes if one.needed_for(path)}
    holding = {
        number for number, paths in packed.contents.items() if any(found[: len(path)] == path for found in paths)
    }
    assert holding <= needed
    # Minimal: without looking inside, a volume that is taken could hold the path by its range alone.
    for one in packed.volumes:
        could = one.start[: len(path)] == path or one.end[: len(path)] == path or one.start < path < one.end
        assert (one.number in needed) == could


@given(backups())
def test_the_whole_tree_needs_every_volume(packed: Packed) -> None:
    assert all(one.needed_for(()) for one in packed.volumes)


@pytest.mark.parametrize("path", ["a/b", "/a/b", "a/b/", "//a/b//"])
def test_outer_slashes_do_not_count(path: str) -> None:
    assert manifest.path_index(path) == (b"a", b"b")
    assert manifest.path_index(path.encode()) == (b"a", b"b")


# --- names ------------------------------------------------------------------------------------------------------------

STAMPS = st.integers(0, 10**9).map(lambda seconds: EPOCH + timedelta(seconds=seconds))


@given(STAMPS, STAMPS, st.integers(1, 10**6), st.sampled_from(["", ".gz", ".gpg", ".zst"]))
def test_parse_name_of_all_kinds(start: datetime, end: datetime, number: int, tail: str) -> None:
    one, two = to_stamp(start), to_stamp(end)
    cases = {
        f"duplicity-full.{two}.vol{number}.difftar{tail}": manifest.FileName("volume", None, end, number),
        f"duplicity-inc.{one}.to.{two}.vol{number}.difftar{tail}": manifest.FileName("volume", start, end, number),
        f"duplicity-full.{two}.manifest{tail}": manifest.FileName("manifest", None, end),
        f"duplicity-inc.{one}.to.{two}.manifest{tail}": manifest.FileName("manifest", start, end),
        f"duplicity-full-signatures.{two}.sigtar{tail}": manifest.FileName("signature", None, end),
        f"duplicity-new-signatures.{one}.to.{two}.sigtar{tail}": manifest.FileName("signature", start, end),
        f"duplicity-full.{two}.manifest.part": manifest.FileName("manifest", None, end, partial=True),
    }
    for name, parsed in cases.items():
        assert manifest.parse_name(name) == parsed


@pytest.mark.parametrize(
    "name",
    [
        "", "readme.txt", "duplicity-full.20261101T000000Z", "xduplicity-full.20261101T000000Z.manifest",
        "duplicity-full.20261101T000000Z.vol.difftar.gz", "duplicity-full.20261101T000000Z.jsonstat",
        "duplicity-full.20261101T000000Z.manifest\n", "sub/duplicity-full.20261101T000000Z.manifest",
    ],
)  # fmt: skip
def test_other_names_are_unknown(name: str) -> None:
    assert manifest.parse_name(name) is None
    assert manifest.collect([name]).unknown == [name]


@pytest.mark.parametrize("stamp", ["20261301T000000Z", "20260230T000000Z", "20260101T250000Z"])
def test_an_impossible_time_is_an_unknown_name(stamp: str) -> None:
    assert manifest.collect([f"duplicity-full.{stamp}.manifest"]).unknown


@given(st.text())
def test_no_name_breaks_the_parser(name: str) -> None:
    assert manifest.collect([name]).unknown == [name]


# --- chains -----------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[list[int]]:
    """Chains as the hours of their sets: each begins after the last of the one before."""
    lengths = draw(st.lists(st.integers(1, 4), max_size=4))
    hours = iter(sorted(draw(st.sets(st.integers(0, 1000), min_size=sum(lengths), max_size=sum(lengths)))))
    return [[next(hours) for _set in range(length)] for length in lengths]


def names_of(history: list[list[int]]) -> list[str]:
    names = []
    for chain in history:
        stamps = [to_stamp(EPOCH + timedelta(hours=hour)) for hour in chain]
        names += [f"duplicity-full.{stamps[0]}.{part}" for part in ("manifest", "vol1.difftar.gz", "vol2.difftar.gz")]
        names.append(f"duplicity-full-signatures.{stamps[0]}.sigtar.gz")
        for one, two in zip(stamps, stamps[1:]):
            names += [f"duplicity-inc.{one}.to.{two}.{part}" for part in ("manifest", "vol1.difftar.gz")]
            names.append(f"duplicity-new-signatures.{one}.to.{two}.sigtar.gz")
    return names


def hours_of(chains: list[manifest.Chain]) -> list[list[int]]:
    return [[round((one.end - EPOCH).total_seconds() / 3600) for one in chain.sets] for chain in chains]


@given(histories(), st.randoms())
def test_chains_come_back_in_any_order_of_names(history: list[list[int]], chance: random.Random) -> None:
    names = names_of(history)
    chance.shuffle(names)
    found = manifest.collect(names)
    assert hours_of(found.chains) == history
    assert (found.interrupted, found.orphaned, found.unknown) == ([], [], [])
    assert all(one.signature and one.volumes for chain in found.chains for one in chain.sets)


@given(histories().filter(bool), st.data())
def test_a_set_without_its_manifest_is_interrupted_and_those_behind_it_orphaned(
    history: list[list[int]], data: st.DataObject
) -> None:
    chain = data.draw(st.sampled_from(history))
    victim = data.draw(st.integers(0, len(chain) - 1))
    stamp = to_stamp(EPOCH + timedelta(hours=chain[victim]))
    gone = next(name for name in names_of(history) if re.search(rf"(full\.|to\.){stamp}\.manifest", name))
    found = manifest.collect([name for name in names_of(history) if name != gone])
    left = [one if one is not chain else one[:victim] for one in history]
    assert hours_of(found.chains) == [one for one in left if one]
    assert [to_stamp(one.end) for one in found.interrupted] == [stamp]
    assert len(found.orphaned) == len(chain) - victim - 1


@given(histories().filter(bool), st.integers(0, 1100))
def test_sets_of_a_time(history: list[list[int]], hour: int) -> None:
    found = manifest.collect(names_of(history))
    at = EPOCH + timedelta(hours=hour)
    usable = [chain for chain in history if chain[0] <= hour]
    if not usable:
        with pytest.raises(errors.BeforeFirstBackup):
            manifest.sets_at(found, at)
        return
    assert hours_of([manifest.Chain(manifest.sets_at(found, at))]) == [[one for one in usable[-1] if one <= hour]]


def test_no_chain_at_all() -> None:
    with pytest.raises(errors.NoBackup):
        manifest.sets_at(manifest.collect([]), EPOCH)


def test_a_partial_manifest_does_not_complete_a_set() -> None:
    found = manifest.collect(
        ["duplicity-full.20261101T000000Z.manifest.part", "duplicity-full.20261101T000000Z.vol1.difftar"]
    )
    assert not found.chains
    assert [one.complete for one in found.interrupted] == [False]


def test_the_interrupted_set_of_a_killed_run() -> None:
    found = manifest.collect(transcript.file_names("interrupted"))
    assert not found.chains
    assert len(found.interrupted) == 1
    assert not found.unknown


def test_a_volume_that_the_bucket_lacks_has_no_name() -> None:
    names = [name for name in transcript.file_names("life") if ".vol2." not in name]
    found = manifest.collect(names)
    needed = manifest.needed_volumes(found.chains[0].sets, transcript.parsed_manifests("life"), ())
    lost = [one for one in needed if one.name is None]
    assert [one.number for one in lost] == [2, 2]
    assert all(one.described_as.endswith(".vol2") for one in lost)


def test_a_manifest_that_was_cut_off_is_not_used() -> None:
    """At every byte: it is the whole manifest, or none."""
    block = b"Volume %d:\n    StartingPath   a \n    EndingPath     b \n    Hash SHA1 0123\n"
    content = b"Hostname web\nLocaldir /source\nFilelist 0\n" + block % 1 + block % 2
    backup_set = manifest.BackupSet(None, datetime(2026, 11, 1, tzinfo=timezone.utc), {1: "one", 2: "two"})
    whole = manifest.usable_volumes(content, backup_set)
    assert whole is not None
    assert [volume.number for volume in whole] == [1, 2]
    assert manifest.usable_volumes(None, backup_set) is None
    for cut in range(content.rindex(b"    EndingPath") + len(b"    EndingPath     b ")):
        assert manifest.usable_volumes(content[:cut], backup_set) is None
    backup_set.volumes[3] = "left behind by an interrupted run, or what was cut off"
    assert manifest.usable_volumes(content, backup_set) is None
    assert manifest.usable_volumes(content, backup_set, fetched=True) == whole


def listed(content: bytes) -> list[manifest.Change | int]:
    return list(manifest.changes(content.splitlines(keepends=True)))


def test_the_list_of_files_of_a_manifest() -> None:
    (inc,) = [content for name, content in transcript.manifests("life").items() if "inc" in name]
    assert listed(inc) == [
        3,
        manifest.Change(b"etc/hosts", "deleted"),
        manifest.Change(b"etc/new", "new"),
        manifest.Change(b"etc/nginx/nginx.conf", "changed"),
    ]


def test_awkward_names_in_the_list_of_files() -> None:
    (full,) = [content for name, content in transcript.manifests("life").items() if "full" in name]
    count, *files = list(manifest.changes(re.findall(rb"[^\n]*\n", full)))
    assert count == len(files) == len(NAMES) + 3
    found = {one.path for one in files if isinstance(one, manifest.Change)}
    assert {b"awkward/" + name for name in NAMES} <= found
    assert manifest.listed_files(full) == (count, count)


def test_a_list_of_files_before_the_volumes() -> None:
    """As duplicity writes a manifest anew."""
    content = b"Hostname a\nFilelist 2\n    new      a\n    changed  b\nVolume 1:\n    StartingPath   .  \n"
    content += b"    EndingPath     b  \n    Hash SHA1 00\n"
    assert len(listed(content)) == 3
    assert [volume.number for volume in manifest.parse_manifest(content)] == [1]
    assert manifest.listed_files(content[: content.index(b"    changed")]) == (2, 1)
    assert manifest.listed_files(b"Hostname a\n") == (None, 0)


def test_volumes_behind_a_list_of_files_stay() -> None:
    once, again = b"Volume 1:\n    Hash SHA1 1\n", b"Volume 1:\n    Hash SHA1 2\n"
    text = once + b"Filelist 1\n    new      a\n" + again + b"Filelist 0\n"
    assert b"".join(manifest.without_files(text.splitlines(keepends=True))) == once + again
