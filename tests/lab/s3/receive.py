"""Read a request's body: once, with bounded memory, hashing on the way."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
import zlib
from pathlib import Path
from typing import IO, Any, Protocol, cast

from werkzeug.serving import DechunkedInput

from lab.s3.bodies import CHUNK, Body, FileBody
from lab.s3.message import Request, S3Error

IN_MEMORY = 256 * 1024  # larger bodies go to a file


class Source(Protocol):
    """What a body is read from."""

    def readinto(self, view: memoryview) -> int:
        """Fill the view, as far as there is something."""

    def readline(self) -> bytes:
        """One line."""


class Limited:
    """A connection, up to Content-Length."""

    def __init__(self, raw: io.BufferedIOBase, length: int) -> None:
        self.raw, self.left = raw, length

    def readinto(self, view: memoryview) -> int:
        """As the connection's, but not past the end of the body."""
        count = self.raw.readinto(view[: self.left]) if self.left else 0
        if self.left and not count:
            raise ConnectionError("the client went away in the middle of a body")
        self.left -= count
        return int(count)

    def readline(self) -> bytes:
        """A line of the aws-chunked framing."""
        line = self.raw.readline(min(self.left, 65536))
        self.left -= len(line)
        return line


class AwsChunked:
    """Takes the aws-chunked framing off; afterwards `trailers` holds the trailing headers."""

    def __init__(self, source: Source) -> None:
        self.source, self.left, self.done = source, 0, False
        self.trailers: dict[str, str] = {}

    def readinto(self, view: memoryview) -> int:
        """The next bytes of the decoded body."""
        if not self.left and not self.done:
            self.left = int(self.source.readline().split(b";")[0].strip(), 16)
            if not self.left:
                self._read_trailers()
        if self.done:
            return 0
        count = self.source.readinto(view[: self.left])
        self.left -= count
        if not self.left:
            self.source.readline()
        return count

    def readline(self) -> bytes:
        """Nothing is framed inside a chunk, so there are no lines to read."""
        raise io.UnsupportedOperation("readline")

    def _read_trailers(self) -> None:
        self.done = True
        while (line := self.source.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.trailers[name.strip().lower()] = value.strip()


class _Crc32:
    """zlib's CRC-32 with the interface of a hash."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: Any) -> None:
        self.value = zlib.crc32(data, self.value)

    def digest(self) -> bytes:
        return self.value.to_bytes(4, "big")


# CRC32C and CRC64NVME need a native library that the lab does without: such checksums are taken as given.
CHECKSUMS: dict[str, Any] = {"crc32": _Crc32, "sha1": hashlib.sha1, "sha256": hashlib.sha256}
KNOWN = (*CHECKSUMS, "crc32c", "crc64nvme")


class Incoming:
    """The body that a request announces, not yet read."""

    def __init__(self, request: Request, raw: io.BufferedIOBase, data_dir: Path) -> None:
        self.request, self.data_dir = request, data_dir
        headers = request.headers
        self.chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self.length = int(headers.get("content-length") or 0)
        dechunked: Any = io.BufferedReader(DechunkedInput(cast(IO[bytes], raw)), CHUNK) if self.chunked else None
        self.source: Source = dechunked or Limited(raw, self.length)
        self.count = 0

    @property
    def announced(self) -> bool:
        """Whether there is a body at all."""
        return self.chunked or self.length > 0

    def drain(self) -> None:
        """Read and forget what is left, so that the connection can carry the next request."""
        view = memoryview(bytearray(min(CHUNK, max(self.length, 4096))))
        while count := self.source.readinto(view):
            self.count += count

    def receive(self, as_object: bool) -> bytes | Body:
        """The whole body, verified; only an object's body may come as a file."""
        if not self.announced:
            return b""
        headers = self.request.headers
        framed = headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
        source = AwsChunked(self.source) if framed else self.source
        size = int(headers.get("x-amz-decoded-content-length") or self.length)
        hashes = {"md5": hashlib.md5(usedforsecurity=False)}
        algorithm = _algorithm(headers)
        if algorithm in CHECKSUMS:
            hashes[algorithm] = CHECKSUMS[algorithm]()
        body = self._copy(source, hashes, size, as_object)
        if isinstance(source, AwsChunked):
            self._unframe(source.trailers, len(body))
        self._verify(hashes, body, algorithm)
        return body

    def _copy(self, source: Source, hashes: dict[str, Any], size: int, as_object: bool) -> bytes | Body:
        """From the connection to memory or to a file, through one buffer."""
        view = memoryview(bytearray(min(CHUNK, size) if size else CHUNK))
        small = not as_object or (size <= IN_MEMORY and not self.chunked)
        sink: Any = io.BytesIO() if small else tempfile.NamedTemporaryFile(dir=self.data_dir, delete=False, buffering=0)
        body = None if small else FileBody(Path(sink.name), 0, "")  # removes the file if the client goes away
        with sink:
            while count := source.readinto(view):
                self.count += count
                for hash_ in hashes.values():
                    hash_.update(view[:count])
                sink.write(view[:count])
            if body is None:
                return bytes(sink.getvalue())
        body.size, body.md5 = self.count, hashes["md5"].hexdigest()
        extra = next((name for name in hashes if name != "md5"), None)
        body.checksum = (extra.upper(), hashes[extra].digest()) if extra else None
        return body

    def _unframe(self, trailers: dict[str, str], size: int) -> None:
        """Make the headers say what a plain request would say."""
        headers = self.request.headers
        headers.update({name: value for name, value in trailers.items() if name.startswith("x-amz-checksum-")})
        headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        headers["content-length"] = str(size)

    def _verify(self, hashes: dict[str, Any], body: bytes | Body, algorithm: str) -> None:
        headers = self.request.headers
        stated = headers.get("content-md5")
        if stated and stated != base64.b64encode(hashes["md5"].digest()).decode():
            raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        stated = headers.get(f"x-amz-checksum-{algorithm}")
        if stated and algorithm in hashes and stated != base64.b64encode(hashes[algorithm].digest()).decode():
            text = f"The {algorithm.upper()} you specified did not match the calculated checksum."
            raise S3Error(400, "BadDigest", text)
        # Of a large body the SHA-256 is not recomputed: MD5 or CRC above found any damage, and it costs seconds a GiB.
        stated = headers.get("x-amz-content-sha256", "")
        if len(stated) == 64 and isinstance(body, bytes) and hashlib.sha256(body).hexdigest() != stated:
            text = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise S3Error(400, "XAmzContentSHA256Mismatch", text)
        # moto would compute a checksum that was announced but not sent, over a body that it cannot read.
        if algorithm and stated is not None and f"x-amz-checksum-{algorithm}" in headers:
            headers["x-amz-sdk-checksum-algorithm"] = algorithm.upper()
        else:
            headers.pop("x-amz-sdk-checksum-algorithm", None)


def _algorithm(headers: dict[str, str]) -> str:
    """The checksum that the client sends, by header or trailer, in lower case; empty without one."""
    trailer = headers.get("x-amz-trailer", "").lower()
    for name in KNOWN:
        if f"x-amz-checksum-{name}" in headers or trailer == f"x-amz-checksum-{name}":
            return name
    return ""
