"""Where a task of ECS gets the credentials of its role: an HTTP server that wants a token."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType

from lab.s3.client_api import S3Lab

ACCESS_KEY, SECRET, SESSION = "ASIATASKROLE00000001", "secret-of-the-task-role", "session-of-the-task-role"


class TaskRoleLab:
    """`with TaskRoleLab(s3) as role`: role.url hands a key pair that S3 knows to whoever has the token."""

    token = "token-of-the-task"

    def __init__(self, s3: S3Lab) -> None:
        s3.add_key(ACCESS_KEY, SECRET)
        self.asked: list[int] = []
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/role"

    def __enter__(self) -> TaskRoleLab:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        lab = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("Authorization") == lab.token
                lab.asked.append(200 if known else 403)
                names = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration")
                reply = dict(zip(names, (ACCESS_KEY, SECRET, SESSION, "2999-01-01T00:00:00Z"), strict=True))
                self.send_response(lab.asked[-1])
                self.end_headers()
                self.wfile.write(json.dumps(reply if known else {}).encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """The tests say what was asked."""

        return Handler
