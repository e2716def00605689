"""A container registry with TLS and a password: Debian's docker-registry, in a container of the lab.

Reached by the address of the engine's bridge, from hosts and from this machine alike.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import secrets
import ssl
import tarfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import docker
from docker.errors import NotFound

from lab import recipes
from lab.authority import Authority
from lab.places import LabError

CONTEXT = Path(__file__).with_name("registry_image")
PORT = "5000/tcp"
START_SECONDS = 120


def bridge_address(client: Any) -> str:
    """Where containers on the engine's bridge find this machine."""
    return str(client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])


class Registry:
    """One running registry; `with Registry(NAME) as registry`, where NAME is the container's."""

    user = "lab"

    def __init__(self, name: str) -> None:
        self._name = name
        self.password = f"registry-{secrets.token_hex(8)}"
        self.authority = Authority()
        self.address = ""
        self._client = docker.from_env(timeout=120)
        self._container: Any = None

    def __enter__(self) -> Registry:
        image = recipes.ensure("registry", CONTEXT)
        host = bridge_address(self._client)
        self._remove_stale()
        self._container = self._client.containers.create(
            image,
            name=self._name,
            environment={"LAB_REGISTRY_USER": self.user},
            ports={PORT: (host, None)},
            labels={"permafrost.lab": "registry"},
        )
        try:
            pair = self.authority.server(host)
            files = {"server.pem": pair.certificate, "server.key": pair.key, "password": self.password.encode()}
            self._container.put_archive("/lab", _tar(files))
            self._container.start()
            self._container.reload()
            self.address = f"{host}:{self._container.ports[PORT][0]['HostPort']}"
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove it, with all that was pushed."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            self._container = None
        self._client.close()

    def _remove_stale(self) -> None:
        """One whose owner was killed."""
        try:
            self._client.containers.get(self._name).remove(force=True, v=True)
        except NotFound:
            return

    def get(self, path: str) -> Any:
        """An answer of its API, such as `_catalog` or `NAME/tags/list`."""
        status, body = self._ask(f"/v2/{path}")
        if status != 200:
            raise LabError(f"the registry answers {status} to {path}: {body[:200]!r}")
        return json.loads(body)

    def _ask(self, path: str) -> tuple[int, bytes]:
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        connection = http.client.HTTPSConnection(self.address, timeout=10, context=context)
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        try:
            connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self._ask("/v2/")[0] == 200:
                    return
            except OSError:
                pass
            self._container.reload()
            if self._container.status != "running" or time.monotonic() > deadline:
                raise LabError(f"the registry did not start: {self._container.logs(tail=20).decode(errors='replace')}")
            time.sleep(0.1)


def _tar(files: dict[str, bytes]) -> bytes:
    """The folder tls with these files, for root only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"tls/{name}")
            entry.size, entry.mode = len(content), 0o600
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
