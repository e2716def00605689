"""Directory trees to back up: real files of this machine and awkward ones, changes to them, and an exact comparison.

Needs root, since odd owners and modes are part of it. All names are bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import socket
import stat
import struct
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

SAMPLES = (Path(sysconfig.get_paths()["stdlib"]), Path("/usr/lib/python3"), Path("/usr/share"))
LARGEST_BYTES = 4 << 20
# Old enough that a restore cannot hit it by chance; with a part below the second.
BASE_NS = 1_600_000_000_123_456_789
SECOND_NS = 1_000_000_000
OWNER = (12345, 54321)

NAMES = (
    b"with space",
    b" leading and trailing ",
    b"new\nline",
    b"quote's",
    b'double"quote',
    b"$(id)",
    b"`id`",
    b"${HOME} $HOME",
    b"back\\slash",
    b"*glob?[a-z]",
    b"-leading-dash",
    b"--help",
    b"a=b;c&d|e>f",
    b"#hash %41 {brace}",
    b"...",
    b"tab\tcr\resc\x1b[31m",
    "umlaut ä ö ü ß".encode(),
    "日本語 🦭".encode(),
    "e\u0301 decomposed".encode(),
    b"invalid \xff\xfe utf-8",
    b"latin1 \xe4",
    b"long-" + b"x" * 250,
)
MODES = (0o000, 0o444, 0o600, 0o755, 0o4755, 0o2755, 0o6711, 0o1644)
DIRECTORY_MODES = (0o500, 0o700, 0o1777, 0o2775)


@dataclass(frozen=True)
class Entry:
    """What must come back. Sizes and hashes are of files, targets of links, device numbers of devices."""

    type: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int | None = None
    sha256: str | None = None
    target: bytes | None = None
    device: tuple[int, int] | None = None


# --- making ---------------------------------------------------------------------------------------------------------


def make(dest: Path, *, sample: Path | None = None, files: int = 2000) -> None:
    """Make the tree at `dest`, which must not exist: `files` real files below `sample`, awkward ones in `awkward`."""
    dest.mkdir(mode=0o755)
    _copy_sample(dest / "sample", (sample,) if sample else SAMPLES, files)
    awkward = dest / "awkward"
    awkward.mkdir()
    _names(awkward / "names")
    _links(awkward / "links")
    _modes(awkward / "modes")
    _kinds(awkward / "kinds")
    _not_kept(awkward / "not kept")
    _turning(dest)
    os.chown(dest, *OWNER)
    dest.chmod(0o750)
    _touch(dest, 1)


def _copy_sample(to: Path, sources: tuple[Path, ...], count: int) -> None:
    """Files in the order of their names; when a machine has too few, the same ones once more."""
    to.mkdir()
    every = ((source, name) for source in sources if source.is_dir() for name in _real_files(source))
    found = list(itertools.islice(every, count))
    if not found and count:
        raise FileNotFoundError(f"no files to copy below {', '.join(map(str, sources))}")
    made: set[str] = set()
    for number in range(count):
        source, name = found[number % len(found)]
        target = f"{to}/{number // len(found)}/{source.name}/{name}"
        parent = target.rpartition("/")[0]
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        shutil.copyfile(f"{source}/{name}", target)
        moment = BASE_NS + number * 7919 * SECOND_NS // 1000
        os.utime(target, ns=(moment, moment))


def _real_files(source: Path) -> Iterator[str]:
    for directory, subdirectories, names in os.walk(source):
        subdirectories[:] = sorted(set(subdirectories) - {"__pycache__"})
        for name in sorted(names):
            path = f"{directory}/{name}"
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_BYTES:
                yield os.path.relpath(path, source)


def _write(path: Path, content: bytes, number: int = 0) -> None:
    path.write_bytes(content)
    _touch(path, number)


def _touch(path: Path, number: int) -> None:
    """Times far from now, and of parts of a second."""
    moment = BASE_NS + number * 1009 * SECOND_NS
    os.utime(path, ns=(moment, moment), follow_symlinks=False)


def _names(top: Path) -> None:
    top.mkdir()
    for number, name in enumerate(NAMES):
        _write(top / os.fsdecode(name), b"content of " + name, number)
        directory = top / os.fsdecode(name[:200] + b" d")
        directory.mkdir()
        _write(directory / os.fsdecode(name), name * 50, number)
    deep = top
    for _ in range(6):
        deep = deep / ("deep-" + "y" * 90)
        deep.mkdir()
    _write(deep / "at the end of a path of more than 500 bytes", b"deep", 3)


def _links(top: Path) -> None:
    top.mkdir()
    _write(top / "file", b"linked to", 1)
    links = {"relative": "file", "absolute": "/etc/hostname", "dangling": "no/such thing", "up": "..", "loop": "loop"}
    for name, target in links.items():
        (top / name).symlink_to(target)
    (top / os.fsdecode(b"odd \xfe target")).symlink_to(os.fsdecode(b"target \xff\n$(id)"))
    os.lchown(top / "relative", *OWNER)
    os.link(top / "file", top / "hard link")
    os.link(top / "file", top / "third name")
    for path in top.iterdir():
        _touch(path, 2)


def _modes(top: Path) -> None:
    top.mkdir()
    for number, mode in enumerate(MODES):
        path = top / f"file {mode:04o}"
        _write(path, f"{mode:o}\n".encode(), number)
        os.chown(path, *OWNER)  # before chmod: it takes setuid away
        path.chmod(mode)
    for number, mode in enumerate(DIRECTORY_MODES):
        path = top / f"directory {mode:04o}"
        path.mkdir()
        _write(path / "inside", b"inside", number)
        os.chown(path, 0, OWNER[1])
        path.chmod(mode)
        _touch(path, number)
    _write(top / "largest owner", b"", 9)
    os.chown(top / "largest owner", 2**31 - 2, 2**31 - 2)


def _kinds(top: Path) -> None:
    top.mkdir()
    _write(top / "empty file", b"", 1)
    _write(top / "one zero byte", b"\0", 2)
    (top / "empty directory" / "nested").mkdir(parents=True)
    os.mkfifo(top / "fifo", 0o620)
    _touch(top / "fifo", 3)
    _write(top / "old", b"from 1970", 0)
    os.utime(top / "old", ns=(1_500_000_000, 1_500_000_000))
    _write(top / "young", b"from 2036", 0)
    os.utime(top / "young", ns=(2_090_000_000 * SECOND_NS + 999_999_999,) * 2)
    with contextlib.suppress(PermissionError):  # a container without CAP_MKNOD
        os.mknod(top / "device", 0o640 | stat.S_IFCHR, os.makedev(1, 3))
        _touch(top / "device", 4)


def _not_kept(top: Path) -> None:
    """What duplicity does not keep, beside hard links and parts of a second (docs/not-preserved.md)."""
    top.mkdir()
    with (top / "sparse").open("wb") as handle:
        handle.truncate(3 << 20)
        handle.seek(1 << 20)
        handle.write(b"an island")
    make_socket(top / "socket")
    _write(top / "xattr", b"has an extended attribute", 5)
    _write(top / "acl", b"has an ACL", 6)
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(top / "xattr", "user.permafrost", b"lost")
        set_acl(top / "acl")


def make_socket(path: Path) -> None:
    """A socket, also where the path is longer than an address may be."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as short, socket.socket(socket.AF_UNIX) as listener:
        (Path(short) / "d").symlink_to(path.parent)
        listener.bind(f"{short}/d/{path.name}")


def set_acl(path: Path) -> None:
    """Let one more user read a file, as setfacl does: the kernel's format of linux/posix_acl_xattr.h, version 2."""
    nobody = 0xFFFFFFFF
    entries = [(0x01, 6, nobody), (0x02, 4, OWNER[0]), (0x04, 4, nobody), (0x10, 4, nobody), (0x20, 4, nobody)]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)


# --- changing -------------------------------------------------------------------------------------------------------


def change(dest: Path, round: int) -> None:
    """Change, add and delete files, and what they are; the same for the same tree and round (1, 2, …)."""
    sample = dest / "sample"
    files = sorted(path for path in sample.rglob("*") if path.is_file() and not path.is_symlink())
    for number, path in enumerate(files):
        turn = (number + round) % 97
        if turn in (0, 1):
            _rewrite(path, round, appended=bool(turn))
        elif turn == 2:
            path.unlink()
    added = sample / f"added in round {round}"
    added.mkdir()
    kept = [path for path in files if path.exists()]
    for number in range(len(kept) // 12 + 3):
        content = kept[(number * 31 + round) % len(kept)].read_bytes() if kept else b""
        _write(added / f"new {number}", content + f"new in round {round}\n".encode(), round * 10_000 + number)
    _change_kinds(dest, round)
    _turning(dest, round)
    _touch(dest, 1 + round)


def next_second() -> None:
    """duplicity's times are whole seconds: two sets of one second would be one, and a file of that second unchanged."""
    time.sleep(1.05 - time.time() % 1)


def _rewrite(path: Path, round_: int, *, appended: bool) -> None:
    content = path.read_bytes()
    half = len(content) // 2
    note = f"changed in round {round_}\n".encode()
    _write(path, content + note if appended else content[:half] + note + content[half:], round_ * 10_000)


def _change_kinds(dest: Path, round_: int) -> None:
    """Metadata without content, links, and an awkward name each round."""
    awkward = dest / "awkward"
    (awkward / "modes" / "file 0600").chmod((0o640, 0o4750, 0o400)[round_ % 3])
    os.chown(awkward / "modes" / "file 0755", OWNER[0] + round_, OWNER[1])
    link = awkward / "links" / "relative"
    link.unlink()
    link.symlink_to(f"target of round {round_}")
    _touch(link, round_)
    (awkward / "names" / os.fsdecode(NAMES[round_ % len(NAMES)])).unlink(missing_ok=True)
    _write(awkward / "names" / os.fsdecode(b"again\n\xff %d" % round_), b"again", round_)


def _turning(dest: Path, round_: int = 0) -> None:
    """A file that is a directory in odd rounds."""
    path = dest / "turning"
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if round_ % 2:
        path.mkdir()
        _write(path / "inside", b"now a directory", round_)
    else:
        _write(path, b"a file", round_)


# --- comparing ------------------------------------------------------------------------------------------------------


def snapshot(path: Path | str | bytes) -> dict[bytes, Entry]:
    """Everything below a directory, or one file, by its path relative to it; the root itself is `.`."""
    top = os.fsencode(path)
    found = {b".": _entry(top, os.lstat(top))}
    pending = [(top, b"")] if found[b"."].type == "directory" else []
    while pending:
        directory, prefix = pending.pop()
        with os.scandir(directory) as children:
            for child in children:
                name = prefix + child.name
                found[name] = _entry(child.path, child.stat(follow_symlinks=False))
                if found[name].type == "directory":
                    pending.append((child.path, name + b"/"))
    return found


def _entry(path: bytes, found: os.stat_result) -> Entry:
    mode = found.st_mode
    common = (stat.S_IMODE(mode), found.st_uid, found.st_gid, int(found.st_mtime))
    if stat.S_ISREG(mode):
        return Entry("file", *common, size=found.st_size, sha256=_sha256(path))
    if stat.S_ISLNK(mode):
        return Entry("symlink", *common, target=os.fsencode(Path(os.fsdecode(path)).readlink()))
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        kind = "character device" if stat.S_ISCHR(mode) else "block device"
        return Entry(kind, *common, device=(os.major(found.st_rdev), os.minor(found.st_rdev)))
    kinds = {stat.S_IFDIR: "directory", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
    return Entry(kinds[stat.S_IFMT(mode)], *common)


def _sha256(path: bytes) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def differences(expected: dict[bytes, Entry], actual: dict[bytes, Entry]) -> list[str]:
    """What a restore got wrong, one line each.

    Of what duplicity does not keep, sockets may be absent and mtimes of symbolic links differ; an Entry holds nothing
    else of it.
    """
    wanted = kept(expected)
    lines = [f"{_shown(path)}: missing" for path in sorted(wanted.keys() - actual.keys())]
    lines += [f"{_shown(path)}: was not in the source" for path in sorted(actual.keys() - wanted.keys())]
    for path in sorted(wanted.keys() & actual.keys()):
        lines += [f"{_shown(path)}: {text}" for text in _differing(wanted[path], actual[path])]
    return lines


def kept(found: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """What of a snapshot a backup holds."""
    return {path: entry for path, entry in found.items() if entry.type != "socket"}


def _differing(expected: Entry, actual: Entry) -> Iterator[str]:
    for one in fields(Entry):
        wanted, got = getattr(expected, one.name), getattr(actual, one.name)
        if one.name == "mtime" and expected.type == "symlink":
            continue
        if wanted != got:
            show = oct if one.name == "mode" else repr
            yield f"{one.name} is {show(got)} instead of {show(wanted)}"


def is_utf8(name: bytes) -> bool:
    """Whether a name is valid UTF-8."""
    return name == name.decode("utf-8", "replace").encode()


def below(found: dict[bytes, Entry], path: str) -> dict[bytes, Entry]:
    """The part of a snapshot that a restore of this path brings, by paths relative to it."""
    top = os.fsencode(path)
    inside = {name[len(top) + 1 :]: entry for name, entry in found.items() if name.startswith(top + b"/")}
    return {b".": found[top], **inside}


def some_directory(found: dict[bytes, Entry]) -> str:
    """A directory of the sample with a few dozen files, from its middle: what somebody would want back."""
    parents = Counter(name.rpartition(b"/")[0] for name, one in found.items() if one.type == "file")
    fitting = sorted(name for name, count in parents.items() if name.startswith(b"sample/0/") and 20 <= count <= 60)
    plain = [name.decode() for name in fitting if re.fullmatch(rb"[\w./-]+", name)]
    return plain[len(plain) // 2]


def _shown(path: bytes) -> str:
    return ascii(path)[2:-1]
