"""Collections without Galaxy: unpacked from the `ansible` wheel, which any package index has."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

from lab.places import CHECKOUT, COLLECTIONS, LAB, LabError, lock, say

WANTED = ("amazon/aws", "ansible/posix", "community/docker", "community/library_inventory_filtering_v1")
ROOT = COLLECTIONS / "ansible_collections"
LINK = ROOT / "permafrost" / "backup"
STAMP = COLLECTIONS / ".stamp"


def _stamp() -> str:
    return f"{version('ansible-core')} {' '.join(WANTED)}\n"


def _ready() -> bool:
    return STAMP.exists() and STAMP.read_text() == _stamp() and LINK.resolve() == CHECKOUT


def ensure() -> None:
    """Have the collections that this one needs, and a link to this one."""
    if _ready():
        return
    with lock(LAB / "collections.lock"):
        if _ready():
            return
        say("unpacking collections from the ansible package")
        with tempfile.TemporaryDirectory(dir=LAB) as work:
            _unpack(_download(Path(work)))
        LINK.parent.mkdir(parents=True, exist_ok=True)
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(CHECKOUT)
        STAMP.write_text(_stamp())


def _download(work: Path) -> Path:
    """The wheel made for this ansible-core: release N of the package goes with core 2.(N + 7)."""
    release = int(version("ansible-core").split(".")[1]) - 7
    argv = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
    argv += ["--only-binary=:all:", "--dest", str(work), f"ansible=={release}.*"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise LabError(f"could not download ansible {release} for its collections:\n{done.stdout[-2000:]}")
    return next(work.glob("ansible-*.whl"))


def _unpack(wheel: Path) -> None:
    prefixes = tuple(f"ansible_collections/{name}/" for name in WANTED)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(COLLECTIONS, [name for name in archive.namelist() if name.startswith(prefixes)])
