"""The base image: pulled where a registry answers, else made by debootstrap. `python -m lab.base` makes it early."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lab import engine, packages
from lab.places import BASE_IMAGE, STATE, LabError, lock, say

UPSTREAM, UPSTREAM_TAG = "debian", "trixie-slim"
SUITE = "trixie"
# Between two signs of life of the registry; a blocked network often swallows packets instead of refusing them.
PULL_SILENCE_SECONDS = 20
# As in Debian's own slim images.
SLIMMED = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
DPKG_EXCLUDES = "".join(f"path-exclude /usr/share/{name}/*\n" for name in SLIMMED)
DPKG_EXCLUDES += "path-include /usr/share/doc/*/copyright\n"
APT_SETTINGS = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::AutoRemove::SuggestsImportant "false";
"""


def ensure(host: str) -> None:
    """Have the base image in this engine."""
    if _present(host):
        return
    with lock(STATE / "base.lock" if not os.geteuid() else Path(tempfile.gettempdir()) / "permafrost-lab-base.lock"):
        if not _present(host) and not _pull(host):
            _make(host)


def _client(host: str, timeout: int = 600) -> Any:
    import docker

    return docker.DockerClient(base_url=host, timeout=timeout)


def _present(host: str) -> bool:
    """Whether the image is there; a bare HTTP request, since this is asked at each start."""
    if not host.startswith("unix://"):
        return bool(_client(host).images.list(name=BASE_IMAGE))
    import socket

    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(30)
        channel.connect(host[len("unix://") :])
        channel.sendall(f"GET /images/{BASE_IMAGE}/json HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        return b" 200 " in channel.recv(64)


def _pull(host: str) -> bool:
    """Try the registry; any failure only means that the image is made here."""
    say(f"looking for {UPSTREAM}:{UPSTREAM_TAG} in a registry")
    try:
        api = _client(host, timeout=PULL_SILENCE_SECONDS).api
        for event in api.pull(UPSTREAM, tag=UPSTREAM_TAG, stream=True, decode=True):
            if "error" in event:
                return False
        return bool(api.tag(f"{UPSTREAM}:{UPSTREAM_TAG}", *BASE_IMAGE.split(":")))
    except Exception:  # refused, unknown host, time-out, TLS: each has its own class, none matters
        return False


def _make(host: str) -> None:
    if os.geteuid():
        raise LabError(f"no registry has {UPSTREAM}:{UPSTREAM_TAG}, and only root could make it with debootstrap")
    packages.ensure({"debootstrap": "debootstrap"})
    say(f"no registry answers: making {BASE_IMAGE} with debootstrap (about half a minute)")
    STATE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="base-", dir=STATE) as work:
        root = Path(work) / "root"
        _debootstrap(root)
        _slim(root)
        _import(host, root)


def _debootstrap(root: Path) -> None:
    # Without a mirror on its command line, debootstrap uses its own default, or that of its configuration.
    argv = ["debootstrap", "--variant=minbase", SUITE, str(root)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv)} failed:\n{done.stdout[-2000:]}")


def _slim(root: Path) -> None:
    """What Debian leaves out of its slim images; and let dpkg leave it out of all that is installed later."""
    copyrights = {path: path.read_bytes() for path in (root / "usr/share/doc").glob("*/copyright") if path.is_file()}
    for name in SLIMMED:
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
    for path, text in copyrights.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    for place in ("var/lib/apt/lists", "var/cache/apt", "var/log"):
        for path in _files(root / place):
            path.unlink()
    (root / "etc/dpkg/dpkg.cfg.d/docker").write_text(DPKG_EXCLUDES)
    (root / "etc/apt/apt.conf.d/docker-slim").write_text(APT_SETTINGS)
    # Names of the machine that ran debootstrap have no place in an image.
    for name in ("etc/hostname", "etc/resolv.conf"):
        (root / name).write_text("")


def _files(top: Path) -> Iterator[Path]:
    return (path for path in list(top.rglob("*")) if path.is_file() or path.is_symlink())


def _import(host: str, root: Path) -> None:
    name, tag = BASE_IMAGE.split(":")
    tar = subprocess.Popen(["tar", "-C", str(root), "--numeric-owner", "-c", "."], stdout=subprocess.PIPE)
    stream: IO[bytes] | None = tar.stdout
    _client(host).api.import_image_from_data(stream, repository=name, tag=tag, changes=['CMD ["bash"]'])
    if tar.wait():
        raise LabError("tar could not read the new base image")


if __name__ == "__main__":
    with contextlib.suppress(Exception):  # whatever it is, it is told when the image is needed
        importlib.import_module("docker")  # at once: pip may replace what it needs meanwhile
        ensure(engine.ensure())
