"""Images that only the lab needs: built once for each recipe, and found again by its hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import docker
from docker.errors import BuildError, ImageNotFound

from lab.places import RUN, LabError, lock, say


def ensure(name: str, context: Path, target: str | None = None, also: tuple[Path, ...] = ()) -> str:
    """Have `permafrost-lab/NAME` of this context and other files (and its stage `target`); gives its full name."""
    client = docker.from_env(timeout=900)
    authority = os.environ.get("LAB_CA_FILE")
    files = {path.name: path.read_bytes() for path in (*sorted(context.iterdir()), *also)}
    files["ca.pem"] = Path(authority).read_bytes() if authority else b""
    base = client.images.get(os.environ["LAB_BASE_IMAGE"])
    reference = f"permafrost-lab/{name}:{_digest(files, base.id, target or '')}"
    # Shared by all checkouts, as the engine is.
    with lock((RUN if RUN.is_dir() else Path(tempfile.gettempdir())) / f"permafrost-lab-{name}.lock"):
        if not _present(client, reference):
            say(f"making the image {reference}")
            _build(client, files, context, tag=reference, target=target)
    client.close()
    return reference


def _digest(files: dict[str, bytes], *others: str) -> str:
    total = hashlib.sha256()
    for name, content in files.items():
        total.update(f"{name} {len(content)}\n".encode() + content)
    total.update("\n".join(others).encode())
    return total.hexdigest()[:12]


def _present(client: Any, reference: str) -> bool:
    try:
        return bool(client.images.get(reference))
    except ImageNotFound:
        return False


def _build(client: Any, files: dict[str, bytes], context: Path, **settings: Any) -> None:
    with tempfile.TemporaryDirectory() as work:
        place = Path(work) / "context"
        shutil.copytree(context, place)  # with the modes of its files
        for name, content in files.items():
            (place / name).write_bytes(content)
        try:
            client.images.build(
                path=str(place), buildargs={"BASE": os.environ["LAB_BASE_IMAGE"]}, rm=True, forcerm=True, **settings
            )
        except BuildError as error:
            log = "".join(str(line.get("stream", line.get("error", ""))) for line in error.build_log)
            raise LabError(f"the image {settings['tag']} could not be built:\n{log[-3000:]}") from error
