"""Very many small requests in little time: over connections that stay, replies read and forgotten."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterable
from datetime import datetime, timezone
from urllib.parse import quote, urlsplit

from lab.s3.client_api import S3Lab
from lab.s3.message import Request
from lab.s3.signature import sign

CONNECTIONS = 8
# A larger body is left unread; its request counts all the same.
_READ = 1 << 20


def thaw_body(tier: str, days: int) -> bytes:
    """The content of RestoreObject."""
    parameters = f"<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"
    return f"<RestoreRequest><Days>{days}</Days>{parameters}</RestoreRequest>".encode()


def restores(s3: S3Lab, bucket: str, keys: Iterable[str], tier: str, days: int) -> None:
    """RestoreObject for each key."""
    body = thaw_body(tier, days)
    _rush(s3, "POST", [f"/{bucket}/{quote(key)}?restore=" for key in keys], body)


def gets(s3: S3Lab, bucket: str, keys: Iterable[str]) -> None:
    """GetObject for each key."""
    _rush(s3, "GET", [f"/{bucket}/{quote(key)}" for key in keys])


def _signed(s3: S3Lab, method: str, target: str, body: bytes) -> bytes:
    headers = {
        "host": urlsplit(s3.endpoint_url).netloc,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}",
    }
    request = Request(method, target, headers)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [
        f"authorization: {sign(request, s3.access_key, s3.secret_key, s3.region)}",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _rush(s3: S3Lab, method: str, targets: list[str], body: bytes = b"") -> None:
    place = urlsplit(s3.endpoint_url)
    left = iter(targets)

    def send() -> None:
        connection: socket.socket | None = None
        for target in left:
            if connection is None:
                connection = socket.create_connection((place.hostname or "", place.port or 80))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_signed(s3, method, target, body))
            if not _read(connection):
                connection.close()
                connection = None
        if connection:
            connection.close()

    threads = [threading.Thread(target=send) for _number in range(CONNECTIONS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def _read(connection: socket.socket) -> bool:
    """One reply; false when its body was left unread."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(1 << 16)
        if not piece:
            raise ConnectionError("the server went away")
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
    if left > _READ:
        return False
    while left > 0:
        left -= len(connection.recv(left))
    return True
