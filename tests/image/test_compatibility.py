"""What ours writes a stock duplicity restores bit for bit, and the other way round: full, incremental, signatures."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = 3000
# Small, so that a few megabytes already make several volumes.
COMMON = ["--no-encryption", "--allow-source-mismatch", "--numeric-owner", "--volsize", "2"]
MTIME = 1_700_000_000  # whole seconds: duplicity keeps no fractions


def _content(chance: random.Random) -> bytes:
    size = chance.choice([0, 1, 100, 1000, 1024, 5000])
    return chance.randbytes(size) if chance.random() < 0.5 else (b"line of text %d\n" % size) * (size // 16)


def _write(path: Path, content: bytes, chance: random.Random) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(chance.choice([0o600, 0o644, 0o755]))


def _settle(top: Path, mtime: int) -> None:
    for path in sorted(top.rglob("*"), reverse=True):
        os.utime(path, (mtime, mtime), follow_symlinks=False)
    os.utime(top, (mtime, mtime))


def make_tree(top: Path) -> None:
    """A few thousand small files, some odd names, two files larger than a volume."""
    chance = random.Random(14)
    for number in range(FILES):
        _write(top / f"d{number % 37}" / f"f{number}", _content(chance), chance)
    for name in ("späte Grüße", "a b\tc", "-rf", "..."):
        _write(top / "names" / name, _content(chance), chance)
    _write(top / "names" / os.fsdecode(b"not\xff-utf8"), b"bytes", chance)
    _write(top / "random", chance.randbytes(5_000_000), chance)
    _write(top / "text", b"".join(b"%d squared is %d\n" % (n, n * n) for n in range(200_000)), chance)
    (top / "link").symlink_to("d1/f1")
    (top / "empty folder").mkdir()
    _settle(top, MTIME)


def change_tree(top: Path) -> None:
    """Files come, go and change, also in the middle of the large ones, so that librsync has deltas to make."""
    chance = random.Random(15)
    for number in range(0, FILES, 10):
        (top / f"d{number % 37}" / f"f{number}").unlink()
    for number in range(1, FILES, 10):
        _write(top / f"d{number % 37}" / f"f{number}", _content(chance) + b"changed", chance)
    for number in range(200):
        _write(top / "new" / f"n{number}", _content(chance), chance)
    with (top / "random").open("r+b") as file:
        file.seek(2_000_000)
        file.write(chance.randbytes(100_000))
    (top / "link").unlink()
    (top / "link").symlink_to("d2/f2")
    _settle(top, MTIME + 100)


def fingerprint(top: Path) -> dict[str, tuple[object, ...]]:
    """All that a restore must bring back."""
    result: dict[str, tuple[object, ...]] = {}
    for path in top.rglob("*"):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        else:
            content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        # duplicity gives links the time of the restore
        mtime = 0 if path.is_symlink() else int(status.st_mtime)
        key = os.fsencode(path.relative_to(top)).hex()
        result[key] = (stat.S_IFMT(status.st_mode), status.st_mode, mtime, content)
    return result


class Duplicity:
    """One image with its own archive dir, which starts empty as after the loss of a host."""

    def __init__(self, run, image: str, work: Path, name: str) -> None:
        self._run, self._image, self._work, self._name = run, image, work, name
        (work / name).mkdir()

    def __call__(self, *arguments: str) -> str:
        return self._run(
            self._image,
            ["duplicity", *arguments, "--archive-dir", f"/scratch/{self._name}"],
            volumes={str(self._work): {"bind": "/scratch", "mode": "rw"}},
            cap_add=["CHOWN", "DAC_OVERRIDE", "FOWNER"],
        )

    def backup(self, verb: str) -> None:
        self(verb, *COMMON, "/scratch/source", "file:///scratch/target")

    def written(self, source: Path, change: Callable[[Path], None]) -> list[str]:
        """A full and an incremental without compression, so that volumes end at the same places: what both wrote."""
        target = self._work / "target"
        target.mkdir()
        common = [*COMMON, "--no-compression", f"/scratch/{source.name}", "file:///scratch/target"]
        self("full", *common)
        change(source)
        self("incremental", *common)
        # Names differ in their times alone, and so sort in the same way. Manifests name those.
        files = [path for path in sorted(target.iterdir()) if path.suffix != ".manifest"]
        return [f"{path.suffix} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]

    def restore(self, name: str, *options: str) -> dict[str, tuple[object, ...]]:
        self("restore", "--no-encryption", "--numeric-owner", *options, "file:///scratch/target", f"/scratch/{name}")
        return fingerprint(self._work / name)


@pytest.mark.parametrize("direction", ["ours to stock", "stock to ours"])
def test_each_reads_what_the_other_wrote(direction: str, ours: str, stock: str, run, tmp_path: Path) -> None:
    images = (ours, stock) if direction == "ours to stock" else (stock, ours)
    writer, reader = (Duplicity(run, image, tmp_path, name) for image, name in zip(images, ("writer", "reader")))
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()

    make_tree(source)
    first = fingerprint(source)
    assert len(first) > FILES
    writer.backup("full")
    assert len(list(target.glob("*.difftar.gz"))) > 2
    assert reader.restore("after full") == first

    change_tree(source)
    second = fingerprint(source)
    assert second != first
    writer.backup("incremental")
    assert reader.restore("after incremental") == second
    assert reader.restore("first again", "--time", str(_end_of_full(target))) == first

    # The reader goes on with the writer's chain: only signatures that it reads right give deltas that restore right.
    listed = reader("list-current-files", "--no-encryption", "file:///scratch/target")
    assert "new/n199" in listed
    _write(source / "third", b"third", random.Random(16))
    with (source / "random").open("r+b") as file:
        file.write(b"changed at the start")
    _settle(source, MTIME + 200)
    third = fingerprint(source)
    reader.backup("incremental")
    assert len(list(target.glob("duplicity-full.*.manifest"))) == 1
    assert writer.restore("after both") == third

    # Python's gzip, in this process, reads every byte of every file and checks its sums.
    archives = list(target.glob("*.gz"))
    assert {path.name.rsplit(".", 2)[1] for path in archives} == {"difftar", "sigtar"}
    for path in archives:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass


def _odd_tree(top: Path) -> None:
    """And what has another header than most files, or another place in the volumes."""
    make_tree(top)
    chance = random.Random(17)
    _write(top / "names" / ("long " * 30), b"a name beyond a plain header", chance)
    for size in (511, 512, 513, 32 * 1024, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1):
        _write(top / f"{size} bytes", chance.randbytes(size), chance)
    _write(top / "before 1970", b"a time that is not kept", chance)
    os.mkfifo(top / "names" / "fifo")
    _settle(top, MTIME)
    os.utime(top / "before 1970", (-5, -5))


def _one_file(path: Path) -> None:
    path.write_bytes(b"the source itself")
    os.utime(path, (MTIME, MTIME))


def _change_one_file(path: Path) -> None:
    path.write_bytes(b"the source itself, changed")
    os.utime(path, (MTIME + 100, MTIME + 100))


@pytest.mark.parametrize(
    ("make", "change", "least"), [(_odd_tree, change_tree, 13), (_one_file, _change_one_file, 4)], ids=["tree", "file"]
)
def test_volumes_and_signatures_are_byte_for_byte_those_of_stock(
    make: Callable[[Path], None],
    change: Callable[[Path], None],
    least: int,
    ours: str,
    stock: str,
    run,
    tmp_path: Path,
) -> None:
    """Headers, order and content: what makes ours faster does not change what is written. Only compression does."""
    found = []
    for image, name in ((stock, "stock"), (ours, "ours")):
        work = tmp_path / name
        work.mkdir()
        make(work / "source")
        found.append(Duplicity(run, image, work, "archive").written(work / "source", change))
    theirs, same = found
    assert len(theirs) >= least
    assert same == theirs


def _end_of_full(target: Path) -> str:
    """The W3 time of the full backup, out of the name of its manifest."""
    (manifest,) = target.glob("duplicity-full.*.manifest")
    stamp = manifest.name.split(".")[1]
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:{stamp[13:15]}Z"
