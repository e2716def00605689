"""The image's own gzip and tar headers give what Python's would, or what Python's reads."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.places import CHECKOUT

FILES = CHECKOUT / "roles" / "duplicity_image" / "files"
STANDARD, STANDARD_ADDFILE = tarfile.TarInfo.tobuf, tarfile.TarFile.addfile
NAMES = st.text(st.sampled_from("ab/é \udcff"), max_size=120)
NUMBERS = st.sampled_from([0, 1, 1000, 8**7 - 1, 8**7, 65536, 1_700_000_000, 8**11 - 1, 8**11])

# Pieces that compress and pieces that do not, of all lengths around the bounds of fast_gzip.py.
MIXED = """
import gzip, io, random, sys
from gzip import GzipFile
standard = GzipFile.__mro__[2]
chance = random.Random(14)
text = b"".join(b"%d squared is %d\\n" % (n, n * n) for n in range(60000))
stored = 0
for turn in range(150):
    out, written = io.BytesIO(), b""
    with GzipFile(None, "wb", 6, out) as stream:
        for _ in range(chance.randrange(20)):
            length = chance.choice([0, 1, 32767, 32768, 65535, 65536, 131072, 131073, chance.randrange(400000)])
            noise = chance.randbytes(length)
            piece = chance.choice([text[:length], noise, noise[: length // 2] + text[:length]])
            written += piece
            stream.write(piece)
    assert standard(fileobj=io.BytesIO(out.getvalue())).read() == written
    stored = max(stored, len(out.getvalue()) / max(len(written), 1))
random_bytes = random.Random(1).randbytes(1 << 22)
out = io.BytesIO()
with GzipFile(None, "wb", 6, out) as stream:
    for start in range(0, len(random_bytes), 66048):
        stream.write(random_bytes[start : start + 66048])
assert len(out.getvalue()) < len(random_bytes) * 1.001, "what does not compress is stored"
assert standard is not GzipFile and standard.__module__ == "gzip", standard
print("all equal")
"""


SIZES = """
import gzip, io, random
words = [b"alpha ", b"beta ", b"gamma ", b"delta "]
chance = random.Random(1)
text = b"".join(chance.choice(words) for _ in range(300_000))
out = io.BytesIO()
with gzip.GzipFile(None, "wb", 6, out) as stream:
    stream.write(text)
assert gzip.decompress(out.getvalue()) == text
print(len(out.getvalue()))
"""

RATE = """
import time
from boto3.s3.transfer import TransferConfig
print(TransferConfig(multipart_chunksize=1).max_bandwidth, TransferConfig().multipart_chunksize)
"""

GROWS = """
import io
from duplicity import cached_ops, diffdir
class Growing(io.BytesIO):
    pieces = [b"all ", b"there was", b"", b" and what came later"]
    def read(self, length=-1):
        return self.pieces.pop(0)
source = diffdir.FileWithReadCounter(Growing())
print([source.read(64), source.read(64)])
print([cached_ops.getpwuid(987654)[0], cached_ops.getgrgid(987654)[0], cached_ops.getpwuid.cache_info().currsize])
"""


SMALL = """
import io, os, tarfile
import fast_files
from duplicity import diffdir, path
class Count:
    SourceFileSize = RawDeltaSize = 0
def written(name, after=lambda: None):
    one, count, out = path.Path(b"/tmp", (name,)), Count(), io.BytesIO()
    signatures = tarfile.TarFile("signatures", "w", out)
    after()
    data = fast_files.block(one, signatures, count)
    return data and len(data), data and data[512:528], signatures.offset, len(out.getvalue()), count.SourceFileSize
def append(text):
    with open("/tmp/file", "a") as out:
        out.write(text)
append("at first")
print(*written(b"file"))
print(*written(b"file", lambda: append(", then more")))
print(*written(b"file", lambda: append("x" * 65536)))
print(*written(b"file", lambda: os.unlink("/tmp/file")))
os.symlink("/proc/sys/kernel/ostype", "/tmp/link")
print(*written(b"link"))
one = path.Path(b"/proc", (b"sys", b"kernel", b"ostype"))
print(one.getsize(), fast_files.block(one, tarfile.TarFile("signatures", "w", io.BytesIO()), Count())[512:518])
"""


@pytest.fixture(scope="module")
def fast() -> Iterator[Any]:
    """fast_tar.py, as it patches tarfile; afterwards tarfile is itself again."""
    spec = importlib.util.spec_from_file_location("fast_tar", FILES / "fast_tar.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    tarfile.TarInfo.tobuf, tarfile.TarFile.addfile = STANDARD, STANDARD_ADDFILE


def bytes_or_error(tobuf: Any, info: tarfile.TarInfo, errors: str) -> bytes | str:
    try:
        return tobuf(info, tarfile.PAX_FORMAT, "utf-8", errors)
    except (UnicodeError, ValueError) as error:
        return repr(error)


@given(
    names=st.tuples(NAMES, NAMES, NAMES, NAMES),
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    mtime=st.one_of(NUMBERS, st.just(1.5), st.just(-1)),
    mode=st.integers(0, 0o177777),
    kind=st.sampled_from([b"0", b"1", b"2", b"3", b"5", b"6", b"\0"]),
    errors=st.sampled_from(["replace", "surrogateescape"]),
)
def test_a_tar_header_is_byte_for_byte_that_of_python(
    fast: Any, names: Any, numbers: Any, mtime: Any, mode: int, kind: bytes, errors: str
) -> None:
    info = tarfile.TarInfo(names[0])
    info.linkname, info.uname, info.gname = names[1:]
    info.size, info.uid, info.gid = numbers
    info.mtime, info.mode, info.type = mtime, mode, kind
    assert bytes_or_error(fast.tobuf, info, errors) == bytes_or_error(STANDARD, info, errors)


@given(
    files=st.lists(
        st.tuples(NAMES, st.binary(max_size=1100) | st.none(), st.sampled_from([b"0", b"2", b"5"])), max_size=8
    )
)
def test_a_tar_is_byte_for_byte_that_of_python(fast: Any, files: Any) -> None:
    def written(addfile: Any) -> bytes:
        out = io.BytesIO()
        with tarfile.TarFile("arbitrary", "w", out, errors="replace") as archive:
            for name, content, kind in files:
                info = tarfile.TarInfo(name)
                info.type, info.size = kind, len(content or b"")
                addfile(archive, info, content and io.BytesIO(content))
        return out.getvalue()

    assert written(fast.addfile) == written(STANDARD_ADDFILE)


def test_gzip_files_are_read_by_python(ours: str, run: Any) -> None:
    assert "all equal" in run(ours, ["python3", "-c", MIXED])


def test_the_level_of_compression_can_be_chosen(ours: str, run: Any) -> None:
    levels = {level: {"PERMAFROST_COMPRESSION_LEVEL": str(level)} for level in (1, 2, 6, 9)}
    sizes = {level: int(run(ours, ["python3", "-c", SIZES], environment=env)) for level, env in levels.items()}
    assert int(run(ours, ["python3", "-c", SIZES])) == sizes[2]
    assert sizes[9] < sizes[6] < sizes[2] <= sizes[1]


def test_the_rate_of_uploads_can_be_limited(ours: str, run: Any) -> None:
    assert run(ours, ["python3", "-c", RATE]).split()[0] == "None"
    limited = run(ours, ["python3", "-c", RATE], environment={"PERMAFROST_UPLOAD_RATE": "1048576"})
    assert limited.split() == ["1048576", str(8 * 1024 * 1024)]


def test_a_small_file_is_taken_as_it_is_found_and_what_is_none_is_left_to_duplicity(ours: str, run: Any) -> None:
    """Whatever it was when it was listed. Nothing is written or counted for one that was left."""
    assert run(ours, ["python3", "-c", SMALL]).splitlines() == [
        "1024 b'at first\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00' 1024 1024 8",
        "1024 b'at first, then m' 1024 1024 19",
        *3 * ["None None 0 0 0"],
        "0 b'Linux\\n'",
    ]


def test_a_file_ends_where_it_was_first_found_to_end_and_unknown_owners_are_looked_up_once(ours: str, run: Any) -> None:
    """What came later would be in the signature but not in the backup, and so no later incremental would bring it."""
    assert run(ours, ["python3", "-c", GROWS]).splitlines() == ["[b'all there was', b'']", "['', '', 1]"]
