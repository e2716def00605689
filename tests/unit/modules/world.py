"""A host and a bucket for modules under test: only the I/O seam is replaced, and it replies what was recorded."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from ansible_collections.permafrost.backup.plugins.module_utils import (
    archive,
    bucket_making,
    host,
    placing,
    proof,
    s3,
    thawing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.command import STATUS_FILE
from ansible_collections.permafrost.backup.plugins.module_utils.container import Before
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BackendFailed, PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.log import FILE_NAME
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import RESTORE, ContainerSpec
from unit import transcript
from unit.stage import TRANSCRIPTS

VOLUME = b"encrypted"
VOLUME_SHA1 = hashlib.sha1(VOLUME).hexdigest().encode()
SEAL, OTHER_SEAL = b"sealed ", b"sealed with another passphrase "
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class World:
    """What the engine and the bucket reply, and what they were asked."""

    directory: Path
    capture: pytest.CaptureFixture[str]
    replies: dict[str, str] = field(default_factory=dict)  # verb -> transcript
    fails: dict[str, PermafrostError] = field(default_factory=dict)  # verb -> error of the engine
    manifests: str = "life"
    objects: dict[str, S3Object] = field(default_factory=dict)
    specs: list[ContainerSpec] = field(default_factory=list)
    thawed: list[tuple[str, str, int]] = field(default_factory=list)
    thaw_replies: dict[str, Any] = field(default_factory=dict)
    on_list: Callable[[int], None] = lambda _times: None
    lists: list[str] = field(default_factory=list)
    on_restore: Callable[[], None] = lambda: None
    contents: dict[str, bytes] = field(default_factory=dict)  # file name -> what is read instead of what was recorded
    uploads: list[Upload] = field(default_factory=list)
    deleted: list[list[str]] = field(default_factory=list)  # the keys of each request
    who: list[Any] = field(default_factory=list)  # the credentials of each bucket
    labels: dict[str, str] = field(default_factory=lambda: {proof.LABEL: "1"})  # of the image
    proof: proof.Proof | None = field(default_factory=lambda: proof.Proof(files=1, size_bytes=7))  # the answer
    orders: list[dict[str, Any]] = field(default_factory=list)  # what proofs were about
    stored: dict[str, bytes] = field(default_factory=dict)  # what was written, by bucket and key
    jobs: list[dict[str, Any]] = field(default_factory=list)  # requests for jobs of S3 Batch Operations
    fetched: list[str] = field(default_factory=list)  # the names of objects that were read piece by piece
    versions: dict[str, list[S3Object]] = field(default_factory=dict)  # key -> all versions of what was overwritten
    noise: bytes = b"noise"  # what the current versions of these are
    thawed_versions: dict[str, str | None] = field(default_factory=dict)
    bucket_replies: dict[str, Any] = field(default_factory=dict)  # operation of a bucket -> reply, None for "absent"
    bucket_asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def job(self, **changes: Any) -> dict[str, Any]:
        """The options of a task's job."""
        given = {
            "name": "web01-data",
            "source": str(self.directory / "source"),
            "target": "s3://life/web01/data",
            "encryption": {"mode": "none"},
            "state_dir": str(self.directory / "state"),
        }
        return {**given, **changes}

    def run(self, module: ModuleType, options: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        """Run the module through main(), as ansible does, and give what it printed."""
        before = {number: signal.getsignal(number) for number in HANDLED}
        warnings._global_warnings.clear()  # those of the process, which is a task's own but for tests
        try:
            with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit) as ended:
                module.main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        result: dict[str, Any] = json.loads(self.capture.readouterr().out)
        assert (ended.value.code == 0) == (not result.get("failed"))
        assert "diff" in result or result.get("failed") or not result["changed"], "what changes has a diff"
        return result

    def verbs(self) -> list[str]:
        """The verbs that the engine was asked to run."""
        return [spec.verb for spec in self.specs]

    def change(self, part: str, **changes: Any) -> None:
        """Change the objects whose key has that part."""
        self.objects = {key: replace(one, **changes) if part in key else one for key, one in self.objects.items()}

    def seal(self) -> None:
        """The bucket as an encrypted job would have it."""
        self.objects = {f"{key}.gpg": replace(one, key=f"{one.key}.gpg") for key, one in self.objects.items()}

    def content(self, key: str) -> bytes:
        """What lies in the bucket; of sealed manifests the plain text behind SEAL."""
        name = key.rpartition("/")[2]
        if name in self.contents:
            return self.contents[name]
        recorded = transcript.manifests(self.manifests).get(name.removesuffix(".gpg"))
        if recorded is None:
            return VOLUME
        return SEAL + recorded if name.endswith(".gpg") else recorded

    def drop(self, part: str) -> None:
        """Take the objects whose key has that part out of the bucket."""
        self.objects = {key: one for key, one in self.objects.items() if part not in key}


class FakeEngine:
    """Stands in the place of container.Engine."""

    world: World

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self, spec: ContainerSpec, before: Before | None = None) -> Finished:
        self.refuse_others(spec)
        host.prepare(self.job, spec.verb)
        if before:
            spec = before() or spec
        self.world.specs.append(spec)
        if spec.verb == "manifests":
            self._unseal(spec)
        if spec.verb == "prove":
            return self._prove(spec)
        recorded = transcript.load(self.world.replies[spec.verb])
        log = Path(host.run_dir(self.job, spec.verb), FILE_NAME)
        log.write_text(recorded.log, encoding="utf-8", errors="surrogateescape", newline="\n")
        if spec.verb == "info":
            self._bring_manifests()
        if spec.verb == "restore":
            self._restore(spec)
        return Finished(
            exit_code=recorded.exit_code,
            output=recorded.facts["output"],
            log_file=str(log),
            started=datetime.fromisoformat(recorded.facts["started"]),
            finished=datetime.fromisoformat(recorded.facts["finished"]),
            elapsed_seconds=1.5,
            attached=False,
        )

    def _prove(self, spec: ContainerSpec) -> Finished:
        run_dir, now = Path(host.run_dir(self.job, spec.verb)), datetime.now(timezone.utc)
        self.world.orders.append(json.loads((run_dir / proof.ORDER).read_text()))
        answer = self.world.proof
        if answer:
            (run_dir / proof.ANSWER).write_text("".join(f"{line}\n" for line in answer.lines()))
        code = 0 if answer and answer.proven else 1
        return Finished(code, "" if answer else "usage: permafrost", str(run_dir / FILE_NAME), now, now, 0.5, False)

    def image_labels(self) -> dict[str, str]:
        return self.world.labels

    def _bring_manifests(self) -> None:
        """Manifests and signatures; the SHA1 of each volume is that of what the bucket has for all."""
        target = Path(self.job.archive_dir, self.job.name)
        target.mkdir(exist_ok=True)
        for source in (TRANSCRIPTS / self.world.manifests).iterdir():
            (target / source.name).write_bytes(_of_one_volume(source.read_bytes()))
        for key in self.world.objects:
            if ".sigtar" in key:
                (target / f"{key.rpartition('/')[2].partition('.sigtar')[0]}.sigtar.gz").touch()

    def _restore(self, spec: ContainerSpec) -> None:
        into = Path(next(one.source for one in spec.mounts if one.target == RESTORE), "data")
        into.mkdir()
        (into / "restored").write_text("content")
        self.world.on_restore()

    def _unseal(self, spec: ContainerSpec) -> None:
        """gpg's work on copies of manifests, and what it says of each."""
        run_dir = Path(host.run_dir(self.job, spec.verb))
        said = []
        for name in (word.rpartition("/")[2] for word in spec.argv if word.endswith(".gpg")):
            content = (run_dir / name).read_bytes()
            said.append(f"[GNUPG:] FILE_START 3 {name}")
            if content.startswith(OTHER_SEAL):
                said.append("[GNUPG:] ERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE")
            elif content.startswith(SEAL):
                (run_dir / name).with_suffix("").write_bytes(content[len(SEAL) :])
                said.append("[GNUPG:] DECRYPTION_OKAY")
        (run_dir / STATUS_FILE).write_text("\n".join(said), encoding="utf-8")

    def has_run(self, _spec: ContainerSpec) -> bool:
        return False

    def refuse_others(self, spec: ContainerSpec) -> None:
        if spec.verb in self.world.fails:
            raise self.world.fails[spec.verb]
        if spec.verb not in ("restore", "prove"):
            placing.clear(self.job)  # what the engine tidies up when it looks for containers


def _of_one_volume(content: bytes) -> bytes:
    """A manifest whose volumes all have the SHA1 of what the bucket holds for each."""
    return re.sub(rb"Hash SHA1 \w+", b"Hash SHA1 " + VOLUME_SHA1, content)


class FakeBucket:
    """Stands in the place of s3.Bucket."""

    world: World

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self.world.who.append(options.get("credentials"))

    def list(self, prefix: str) -> dict[str, S3Object]:
        self.world.lists.append(prefix)
        self.world.on_list(len(self.world.lists))
        if "list" in self.world.fails:
            raise self.world.fails["list"]
        return {key: one for key, one in self.world.objects.items() if key.startswith(prefix)}

    def objects(self, prefix: str) -> Iterator[S3Object]:
        yield from self.list(prefix).values()

    def versions(self, prefix: str) -> dict[str, list[S3Object]] | None:
        if not self.world.versions:
            return None
        current = {key: [replace(one, version_id="current")] for key, one in self.world.objects.items()}
        found = {**current, **self.world.versions}
        return {key: several for key, several in found.items() if key.startswith(prefix)}

    def read(self, key: str, first: int | None = None, version_id: str | None = None) -> bytes:
        assert key in self.world.objects
        if version_id is None and self.world.versions.get(key):
            return self.world.noise
        return self.world.content(key)[:first]

    def pieces(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        name = key.rpartition("/")[2]
        self.world.fetched.append(name)
        content = _of_one_volume(self.read(key, version_id=version_id))
        yield content[:4]
        yield content[4:]

    def uploads(self, prefix: str) -> list[Upload]:
        if "uploads" in self.world.fails:
            raise self.world.fails["uploads"]
        return [one for one in self.world.uploads if one.key.startswith(prefix)]

    def abort(self, upload: Upload) -> None:
        if "abort" in self.world.fails:
            raise self.world.fails["abort"]
        self.world.uploads.remove(upload)

    def delete(self, keys: Sequence[str]) -> None:
        assert 0 < len(keys) <= s3.DELETE_AT_ONCE
        failed = {key: "InternalError" for key in keys if key in self.world.fails}
        self.world.deleted.append([key for key in keys if key not in failed])
        for key in self.world.deleted[-1]:
            del self.world.objects[key]
        if failed:
            raise BackendFailed("Some were not deleted.", failed=failed)

    def ask(self, operation: str, absent: Sequence[str] = (), **params: Any) -> Any:
        if operation in self.world.fails:
            raise self.world.fails[operation]
        self.world.bucket_asked.append((operation, params))
        return self.world.bucket_replies.get(operation, None if absent else {})

    def thaw(self, key: str, *, tier: str, days: int, version_id: str | None = None) -> str:
        self.world.thawed.append((key, tier, days))
        self.world.thawed_versions[key] = version_id
        reply = self.world.thaw_replies.get(key, "accepted")
        if isinstance(reply, list):  # one after the other
            reply = reply.pop(0)
        if isinstance(reply, PermafrostError):
            raise reply
        return reply

    def put(self, key: str, content: bytes) -> str:
        self.world.stored[f"{self.name}/{key}"] = content
        return "etag-of-the-put"

    def check_batch(self, request: dict[str, Any]) -> None:
        if "batch" in self.world.fails:
            raise self.world.fails["batch"]

    def create_batch(self, request: dict[str, Any]) -> str:
        self.world.jobs.append(request)
        return "job-1"


def make(monkeypatch: pytest.MonkeyPatch, directory: Path, capture: pytest.CaptureFixture[str]) -> Iterator[World]:
    """A world with the recorded life of a job in its bucket."""
    made = World(directory, capture, objects=transcript.listing("life"))
    (directory / "source").mkdir()
    bucket = type("Bucket", (FakeBucket,), {"world": made})
    monkeypatch.setattr(archive, "Engine", type("Engine", (FakeEngine,), {"world": made}))
    monkeypatch.setattr(archive, "Bucket", bucket)
    monkeypatch.setattr(thawing, "Bucket", bucket)
    monkeypatch.setattr(bucket_making, "Bucket", bucket)
    yield made


def later() -> datetime:
    """A moment at which a thawed copy is still there."""
    return datetime.now(timezone.utc) + timedelta(days=1)
