"""HTTP/1.1 with keep-alive, as little of it as S3 clients need.

Not werkzeug's server: that closes each connection and waits 10 ms for more input after each request, which alone
keeps it below 100 requests a second on a connection. Not http.server's parser: its e-mail parser costs more time
than the rest of a small request.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import traceback
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path

from lab.s3.bodies import Body
from lab.s3.message import Request, ResetError, Response
from lab.s3.receive import Incoming

REASONS = {status.value: status.phrase for status in HTTPStatus}
Application = Callable[[Request, Incoming, Callable[[], None]], Response]


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], application: Application, data_dir: Path) -> None:
        self.application, self.data_dir = application, data_dir
        super().__init__(address, Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of the server; anything else is, and is told."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


class Connection(socketserver.StreamRequestHandler):
    """The requests of one connection, one after the other."""

    server: Server
    rbufsize = 128 * 1024
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Serve until the client closes."""
        while self._one():
            pass

    def _one(self) -> bool:
        request = self._read_head()
        if request is None:
            return False
        incoming = Incoming(request, self.rfile, self.server.data_dir)
        waiting = request.headers.get("expect", "").lower() == "100-continue"

        def go_on() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        try:
            response = self.server.application(request, incoming, go_on)
        except ResetError:
            # Closing with linger 0 sends RST: the client sees "connection reset", not an end of file.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        # A client that was never told to send its body may send it or not: only a new connection is sure.
        keep = not waiting and request.headers.get("connection", "").lower() != "close"
        if not waiting:
            incoming.drain()
        self._send(request, response, keep)
        return keep

    def _read_head(self) -> Request | None:
        line = self.rfile.readline(65537)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(None, 2)
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(65537)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return Request.parse(method, target, headers)

    def _send(self, request: Request, response: Response, keep: bool) -> None:
        body, headers = response.body, {name.lower(): value for name, value in response.headers.items()}
        if request.method == "HEAD" or response.status in (204, 304):
            body = b""
        if request.method != "HEAD" and response.status not in (204, 304):
            headers["content-length"] = str(len(body))
        elif request.method == "HEAD":
            headers.setdefault("content-length", "0")
        headers |= {"date": formatdate(usegmt=True), "server": "AmazonS3"}
        headers.setdefault("x-amz-request-id", "LAB")
        if not keep:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if isinstance(body, Body):
            self.connection.sendall(head)
            body.send(self.connection, 0, len(body))
        else:
            self.connection.sendall(head + body)
