"""Looks for secrets wherever they could leak to: processes, containers, images, files."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker

# As gpg folds base64: a line stands for whole bytes.
_LINE = 64
Secrets = Mapping[str, str | bytes]


def of_key(name: str, secret: str, public: str) -> dict[str, str | bytes]:
    """What to look for of an armoured secret key: a line that its public key lacks, as it is and in binary."""
    line = next(one for one in secret.splitlines()[2:] if len(one) == _LINE and one not in public)
    return {f"{name}, armoured": line, f"{name}, binary": base64.b64decode(line)}


@dataclass(frozen=True)
class Hit:
    """A secret that was found. For files also the modes of the file and of its directory."""

    secret: str
    kind: str
    place: str
    mode: int = 0
    directory_mode: int = 0


class Finder:
    """Looks for these secrets, given by name."""

    def __init__(self, secrets: Secrets) -> None:
        self._needles = {
            name: secret if isinstance(secret, bytes) else secret.encode() for name, secret in secrets.items()
        }
        self._longest = max(map(len, self._needles.values()))
        self._client = docker.from_env(timeout=300)

    def text(self, kind: str, place: str, content: str | bytes) -> Iterator[Hit]:
        """In anything that can be read at once."""
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        for name, needle in self._needles.items():
            if needle in raw:
                yield Hit(name, kind, place)

    def processes(self) -> Iterator[Hit]:
        """In the command lines and environments of all processes."""
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                for kind in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        yield from self.text(kind, process.name, (process / kind).read_bytes())

    def containers(self) -> Iterator[Hit]:
        """In what the engine tells of all containers, running or ended, and in their logs."""
        for summary in self._client.api.containers(all=True):
            with contextlib.suppress(docker.errors.APIError):
                inspected = self._client.api.inspect_container(summary["Id"])
                yield from self.text("inspect", inspected["Name"], json.dumps(inspected, ensure_ascii=False))
                with contextlib.suppress(docker.errors.APIError):  # a container without a log
                    yield from self.text("logs", inspected["Name"], self._client.api.logs(summary["Id"]))

    def image(self, name: str) -> Iterator[Hit]:
        """In all layers of an image, its configuration and its history."""
        yield from self._stream("image", name, self._client.api.get_image(name))

    def files(self, *tops: Path | str) -> Iterator[Hit]:
        """In all files below, and in their names."""
        for top in tops:
            for directory, _, names in os.walk(top):
                for name in names:
                    path = Path(directory, name)
                    yield from self.text("file name", str(path), str(path))
                    with contextlib.suppress(OSError):
                        yield from self._file(path)

    def _file(self, path: Path) -> Iterator[Hit]:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return
        above = stat.S_IMODE(path.parent.stat().st_mode)
        with path.open("rb") as handle:
            for hit in self._stream("file", str(path), iter(lambda: handle.read(1 << 20), b"")):
                yield Hit(hit.secret, "file", str(path), stat.S_IMODE(found.st_mode), above)

    def _stream(self, kind: str, place: str, chunks: Iterable[bytes]) -> Iterator[Hit]:
        """Also what lies across two chunks."""
        tail = b""
        for chunk in chunks:
            yield from self.text(kind, place, tail + chunk)
            tail = (tail + chunk)[-self._longest :]


@contextlib.contextmanager
def watching(*looks: Callable[[], Iterator[Hit]]) -> Iterator[set[Hit]]:
    """Look again and again while something runs; what was found fills the set."""
    found: set[Hit] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for look in looks:
                found.update(look())
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
