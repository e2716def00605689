"""What tests and the demo use: start the server, talk to it, look inside."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from lab import warm
from lab.places import LabError
from lab.s3.__main__ import ACCESS_KEY, SECRET, SECRET_VARIABLE


class S3Lab:
    """One running server; `with S3Lab() as lab` or `lab = S3Lab.start(log_dir)` and `lab.stop()`."""

    region = "us-east-1"

    def __init__(self, log_dir: Path | str | None = None, host: str = "127.0.0.1", port: int = 0,
                 access_key: str = ACCESS_KEY, secret_key: str = SECRET) -> None:  # fmt: skip
        self.access_key, self.secret_key = access_key, secret_key
        self.endpoint_url = ""
        self._host, self._port = host, port
        self._own_dir = tempfile.TemporaryDirectory(prefix="lab-s3-log-") if log_dir is None else None
        self.log_dir = Path(self._own_dir.name if self._own_dir else str(log_dir))
        self._program: socket.socket | None = None
        self.pid = 0

    @classmethod
    def start(cls, log_dir: Path | str | None = None, **options: Any) -> S3Lab:
        """A running lab; the caller stops it."""
        return cls(log_dir, **options).__enter__()

    def __enter__(self) -> S3Lab:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        ready = self.log_dir / "s3-ready.json"
        ready.unlink(missing_ok=True)
        arguments = ["-m", "lab.s3", "--host", self._host, "--port", str(self._port)]
        arguments += ["--ready-file", str(ready), "--access-key", self.access_key]
        environment = {**os.environ, SECRET_VARIABLE: self.secret_key}
        with self.log_file.open("ab") as log, Path(os.devnull).open("rb") as nothing:
            self._program = warm.start(("lab.s3.app",), arguments, (nothing, log, log), environment)
        told = self._wait(self._program, ready)
        self.endpoint_url, self.pid = told["endpoint_url"], told["pid"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def log_file(self) -> Path:
        """Tracebacks of the server, if any."""
        return self.log_dir / "s3.log"

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.endpoint_url).port or 0

    def _wait(self, program: socket.socket, ready: Path, seconds: float = 60.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not ready.exists():
            if select.select([program], [], [], 0.02)[0] or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"the S3 server did not start: {self.log_file.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(ready.read_text())
        return answer

    def stop(self) -> None:
        """End the server; its data go with it."""
        program, self._program = self._program, None
        if program is not None:
            program.shutdown(socket.SHUT_WR)
            warm.ended(program, None)
        if self._own_dir is not None:
            self._own_dir.cleanup()

    def endpoint_for(self, host: str) -> str:
        """The endpoint as somebody else reaches it, for example a container by the bridge's address."""
        return f"http://{host}:{self.port}"

    def client(self, **overrides: Any) -> Any:
        """A boto3 client of S3 with the default pair."""
        options: dict[str, Any] = {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        }
        return boto3.session.Session().client("s3", **{**options, **overrides})

    def _call(self, verb: str, **arguments: Any) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.endpoint_url).netloc, timeout=120)
        try:
            connection.request("POST", f"/_lab/{verb}", json.dumps(arguments))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise LabError(f"{verb}: {answer.get('error')}")
        return answer["result"]

    def add_key(self, access_key: str, secret: str) -> None:
        """Make a further pair known."""
        self._call("add_key", access_key=access_key, secret=secret)

    def set_policy(self, access_key: str, document: dict[str, Any] | None) -> None:
        """Let a key do only what an identity policy allows; None lets it do all again."""
        self._call("set_policy", access_key=access_key, document=document)

    def mark(self) -> int:
        """The seq of the next S3 request."""
        return int(self._call("mark"))

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The S3 requests from a mark on."""
        entries: list[dict[str, Any]] = self._call("requests", seq=since)
        return entries

    def now(self) -> float:
        """The lab's time, in seconds since the epoch."""
        return float(self._call("now"))

    def advance(self, hours: float = 0, seconds: float = 0) -> float:
        """Let time pass; gives the lab's time afterwards."""
        return float(self._call("advance", seconds=hours * 3600 + seconds))

    def fault(self, operation: str | None = None, key_contains: str | None = None, kind: str = "503",
              count: int | None = None, probability: float = 1.0, seconds: float = 0) -> None:  # fmt: skip
        """Let requests fail: 503, 500, reset, latency, hold, late, skew, or expedited (no capacity).

        ``count`` None is for ever.
        hold lasts until the faults are cleared: a request of a client that is killed meanwhile is served then, too.
        ``seconds`` is how long latency lasts, before a request is served, and how late its answer is after that with
        late; and how far the server's clock is ahead with skew.
        """
        self._call("fault", operation=operation, key_contains=key_contains, kind=kind, count=count,
                   probability=probability, seconds=seconds)  # fmt: skip

    def clear_faults(self) -> None:
        """All is well again."""
        self._call("clear_faults")

    def restore_limit(self, per_second: int | None) -> int | None:
        """Accepted RestoreObject requests a second, None for no limit; gives the limit before."""
        before: int | None = self._call("restore_limit", per_second=per_second)
        return before

    def seed(self, bucket: str, prefix: str, count: int, size_bytes: int,
             storage_class: str = "DEEP_ARCHIVE") -> list[str]:  # fmt: skip
        """Objects `prefix` + number, by count and declared size; gives the first and the last key."""
        keys: list[str] = self._call("seed", bucket=bucket, prefix=prefix, count=count, size_bytes=size_bytes,
                                     storage_class=storage_class)  # fmt: skip
        return keys

    def state(self, bucket: str, prefix: str = "") -> list[dict[str, Any]]:
        """What is in a bucket, in key order."""
        entries: list[dict[str, Any]] = self._call("state", bucket=bucket, prefix=prefix)
        return entries

    def corrupt(self, bucket: str, key: str, offset: int | None = None, count: int = 16,
                keep_checksum: bool = False) -> int:  # fmt: skip
        """Flip bytes of an object in place; gives the offset."""
        return int(self._call("corrupt", bucket=bucket, key=key, offset=offset, count=count,
                              keep_checksum=keep_checksum))  # fmt: skip
