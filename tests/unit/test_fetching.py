"""The staging directory: whole files only, each read once, and a stop at any moment."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors, fetching
from ansible_collections.permafrost.backup.plugins.module_utils.fetching import Wanted
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.stage import job_params


class Objects:
    """A bucket; what is an error is raised after the first piece."""

    def __init__(self, **contents: Any) -> None:
        self.contents, self.read = contents, []

    def pieces(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        name = key.rpartition("/")[2]
        self.read.append(name if version_id is None else f"{name} {version_id}")
        content = self.contents[name]
        yield b"" if isinstance(content, BaseException) else content[:3]
        if isinstance(content, BaseException):
            raise content
        yield content[3:]


def wanted(name: str, content: bytes | None) -> Wanted:
    return Wanted(f"prefix/{name}", content and hashlib.sha1(content).hexdigest())


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job.from_params(job_params(state_dir=str(tmp_path)))


def names(job: Job) -> list[str]:
    return sorted(one.name for one in fetching.place(job).iterdir())


def test_what_is_there_is_kept_and_the_rest_is_read(job: Job) -> None:
    every = [wanted("one", b"first"), wanted("two", b"second"), wanted("manifest", None)]
    objects = Objects(one=b"first", two=b"second", manifest=b"m")
    done = fetching.fetch(job, objects, every)
    assert (done.fetched, done.kept, done.size_bytes) == (2, 0, 11)
    assert names(job) == ["manifest", "one", "two"]
    here = fetching.place(job)
    assert here.stat().st_mode & 0o777 == 0o700
    (here / "two").write_bytes(b"broken")  # of the same size
    (here / "of another wish").touch()
    (here / ".three").touch()
    objects.read.clear()
    done = fetching.fetch(job, objects, every)
    assert (done.fetched, done.kept) == (1, 1)
    assert sorted(objects.read) == ["manifest", "two"]
    assert names(job) == ["manifest", "one", "two"]
    assert fetching.there(job) == {"manifest": 1, "one": 5, "two": 6}
    fetching.drop(job)
    assert fetching.there(job) == {}


def test_every_damaged_one_is_named_and_none_stays(job: Job) -> None:
    objects = Objects(one=b"first", two=b"spoilt", three=b"spoilt too")
    every = [wanted("one", b"first"), wanted("two", b"second"), wanted("three", b"third")]
    with pytest.raises(errors.DamagedVolume) as raised:
        fetching.fetch(job, objects, every)
    assert raised.value.facts["volumes"] == ["three", "two"]
    assert names(job) == ["one"]


def test_expired_copies_are_named_and_the_rest_stays(job: Job) -> None:
    frozen = errors.VolumesFrozen("frozen", frozen=["prefix/two"], thawing=[])
    objects = Objects(one=b"first", two=frozen)
    with pytest.raises(errors.VolumesFrozen) as raised:
        fetching.fetch(job, objects, [wanted("two", b"second"), wanted("one", b"first")])
    assert raised.value.facts["frozen"] == ["prefix/two"]
    assert fetching.there(job) == {"one": 5}


def test_what_left_the_bucket_is_named(job: Job) -> None:
    gone = errors.VolumesMissing("gone", volumes=["prefix/two"])
    with pytest.raises(errors.VolumesMissing) as raised:
        fetching.fetch(job, Objects(one=b"first", two=gone), [wanted("two", b"second"), wanted("one", b"first")])
    assert raised.value.facts["volumes"] == ["prefix/two"]
    assert fetching.there(job) == {"one": 5}


def test_what_is_spoilt_and_cannot_be_had_anew_does_not_stay(job: Job) -> None:
    """By its size a plan would take it for whole, and nobody would ever thaw it."""
    fetching.fetch(job, Objects(one=b"first"), [wanted("one", b"first")])
    (fetching.place(job) / "one").write_bytes(b"xxxxx")
    frozen = errors.VolumesFrozen("frozen", frozen=["prefix/one"], thawing=[])
    with pytest.raises(errors.VolumesFrozen):
        fetching.fetch(job, Objects(one=frozen), [wanted("one", b"first")])
    assert fetching.there(job) == {}


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (errors.AccessRefused("refused"), errors.AccessRefused), (OSError(28, "No space left"), errors.StagingSpace),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)  # fmt: skip
def test_another_failure_ends_it_at_once(job: Job, raised: BaseException, told: type[BaseException]) -> None:
    """Also the reading of what would never end."""
    endless = threading.Event()

    class Endless(Objects):
        def pieces(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
            if not key.endswith("endless"):
                endless.wait(10)
                yield from super().pieces(key, version_id)
                return
            while True:
                endless.set()
                yield b"more"

    with pytest.raises(told):
        fetching.fetch(job, Endless(two=raised), [wanted("endless", b"x"), wanted("two", b"second")])
    assert fetching.there(job) == {}
