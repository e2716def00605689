# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The volumes of a restore, fetched into a staging directory of the job and checked before duplicity reads any.

I/O. A file has its final name only once it is whole, so that a killed task fetches no finished volume again. What is
there from an earlier task is hashed, which costs less than a request, and holds after a power failure too.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.permafrost.backup.plugins.module_utils import disk
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    DamagedVolume,
    StagingSpace,
    VolumesFrozen,
    VolumesMissing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import CONNECTIONS

_BLOCK = 1 << 20


class Source(Protocol):
    """What objects are read from."""

    def pieces(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        """The content of an object piece by piece."""


@dataclass(frozen=True)
class Wanted:
    """An object to fetch; ``sha1`` is what its manifest says, None for what no manifest tells of."""

    key: str
    sha1: str | None = None
    version_id: str | None = None

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


@dataclass
class Fetched:
    """What was done: volumes that were read, and those that were there from an earlier task."""

    fetched: int = 0
    kept: int = 0
    size_bytes: int = 0
    elapsed_seconds: float = 0.0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)

    def to_result(self) -> dict[str, Any]:
        return {
            "fetched": self.fetched,
            "kept": self.kept,
            "size_bytes": self.size_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 2),
        }


def place(job: Job) -> Path:
    """The staging directory of a job: named as in the bucket, so that duplicity takes it for one."""
    return Path(job.state_dir, "staged")


def there(job: Job) -> dict[str, int]:
    """The whole files of the staging directory, with their sizes."""
    here = place(job)
    files = here.iterdir() if here.is_dir() else ()
    return {one.name: one.stat().st_size for one in files if not one.name.startswith(".")}


def drop(job: Job) -> None:
    """Remove the staging directory; without one it does nothing. Call under the lock."""
    shutil.rmtree(place(job), ignore_errors=True)


def keep_only(job: Job, names: Iterable[str]) -> None:
    """Remove what another restore needed, and what was cut off. Call under the lock."""
    here, wanted = place(job), set(names)
    for one in here.iterdir() if here.is_dir() else ():
        if one.name not in wanted:
            one.unlink()


def fetch(job: Job, source: Source, wanted: Sequence[Wanted]) -> Fetched:
    """Bring all of these into the staging directory, and nothing else. Call under the lock.

    Every damaged, missing and frozen one is known before this raises DamagedVolume, VolumesMissing or VolumesFrozen;
    what is whole stays.
    """
    disk.make_private(str(place(job)))
    keep_only(job, (one.name for one in wanted))
    done, started, stop = Fetched(), time.monotonic(), threading.Event()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        running = [pool.submit(_bring, place(job), source, one, stop) for one in wanted]
        try:
            for future in as_completed(running):
                future.result().add_to(done)
        except BaseException:  # a signal too: threads would go on to the end of the last object
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    done.elapsed_seconds = time.monotonic() - started
    _require_whole(done)
    return done


def _require_whole(done: Fetched) -> None:
    if done.damaged:
        names = sorted(done.damaged)
        raise DamagedVolume(f"SHA1 mismatch of {len(names)} volumes: {_some(names)}.", volumes=names)
    if done.missing:
        names = sorted(done.missing)
        what = f"{len(names)} objects left the bucket since the plan: {_some(names)}. What was fetched stays."
        raise VolumesMissing(what, volumes=names)
    if done.frozen:
        names = sorted(done.frozen)
        raise VolumesFrozen(
            f"{len(names)} thawed copies expired before they were fetched: {_some(names)}. What was fetched stays.",
            frozen=names,
            thawing=[],
        )


@dataclass(frozen=True)
class _One:
    """What became of one object: ``fetched``, ``kept``, ``damaged``, ``missing`` or ``frozen``."""

    wanted: Wanted
    how: str
    size: int = 0

    def add_to(self, done: Fetched) -> None:
        if self.how == "damaged":
            done.damaged.append(self.wanted.name)
        elif self.how == "missing":
            done.missing.append(self.wanted.key)
        elif self.how == "frozen":
            done.frozen.append(self.wanted.key)
        elif self.wanted.sha1:
            done.fetched += self.how == "fetched"
            done.kept += self.how == "kept"
            done.size_bytes += self.size


class _Stopped(Exception):
    """Another object failed, or the task was asked to end."""


def _bring(here: Path, source: Source, wanted: Wanted, stop: threading.Event) -> _One:
    final, draft = here / wanted.name, here / f".{wanted.name}"
    try:
        if wanted.sha1 and final.exists():
            if _sha1(final, stop) == wanted.sha1:
                return _One(wanted, "kept", final.stat().st_size)
            final.unlink()  # a plan would count it as whole
        size, digest = _write(draft, source.pieces(wanted.key, wanted.version_id), stop)
    except VolumesFrozen:
        return _One(wanted, "frozen")
    except VolumesMissing:
        return _One(wanted, "missing")
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StagingSpace(f"{here} cannot take {wanted.name}: {error.strerror}.") from error
    if wanted.sha1 not in (None, digest):
        draft.unlink()
        return _One(wanted, "damaged")
    draft.replace(final)
    return _One(wanted, "fetched", size)


def _write(path: Path, pieces: Iterator[bytes], stop: threading.Event) -> tuple[int, str]:
    digest, size = hashlib.sha1(usedforsecurity=False), 0
    with path.open("wb") as out:
        for piece in pieces:
            if stop.is_set():
                raise _Stopped
            out.write(piece)
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _sha1(path: Path, stop: threading.Event) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as handle:
        while piece := handle.read(_BLOCK):
            if stop.is_set():
                raise _Stopped
            digest.update(piece)
    return digest.hexdigest()


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
