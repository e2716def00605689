# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a job has in its bucket, and its runs of duplicity: engine, bucket and host brought together for the modules.

I/O; what the facts mean is decided by manifest.py, glacier.py, log.py and diagnosis.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from ansible_collections.permafrost.backup.plugins.module_utils import (
    archive_dir,
    command,
    diagnosis,
    differences,
    disk,
    glacier,
    host,
    locking,
    log,
    manifest,
    openpgp,
    versions,
)
from ansible_collections.permafrost.backup.plugins.module_utils.container import Before, Engine
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    EncryptionMismatch,
    KeysChanged,
    ManifestUnreadable,
    PathNotInBackup,
    PermafrostError,
    PlanDisagrees,
    SecretKeyMismatch,
    SecretKeyMissing,
    VolumesMissing,
    WrongKeyPassphrase,
    WrongPassphrase,
)
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import CONNECTIONS, Bucket
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ContainerSpec

# The job's encryption does not open what is in the bucket, or must not add to it.
SECRETS_REFUSED = (
    EncryptionMismatch,
    KeysChanged,
    SecretKeyMismatch,
    SecretKeyMissing,
    WrongKeyPassphrase,
    WrongPassphrase,
)


_Found = TypeVar("_Found")


class Runner(Protocol):
    """What runs duplicity: the engine of this host, or the container that this program is in already."""

    def run(self, spec: ContainerSpec, before: Before | None = None) -> Finished:
        """Run to the end, whatever the exit code is; ``before`` as in Engine.run."""

    def has_run(self, spec: ContainerSpec) -> bool:
        """Whether ``run`` would attach to a run of another task, or collect its result."""

    def refuse_others(self, spec: ContainerSpec) -> None:
        """Raise Busy when another verb of the job runs."""

    def image_labels(self) -> dict[str, str]:
        """The labels of the job's image, which tell what its own program can do."""


class Archive:
    """One job's bucket prefix, archive directory and runner. Each is asked at most once for what does not change.

    ``source`` is where this program sees the source, when that is not the host's own path.
    """

    def __init__(self, job: Job, runner: Runner | None = None, source: str | None = None) -> None:
        self.job = job
        self.source = source or str(job.source)
        self._runner = runner
        self.rewrites: list[glacier.S3Object] = []  # the volumes that a resumed backup writes anew
        self.older: dict[str, glacier.S3Object] = {}  # by name, what is used in the place of the current version
        self.new_secrets = False  # whether the backup that was prepared begins a chain of other secrets

    @cached_property
    def engine(self) -> Runner:
        return self._runner or Engine(self.job)

    @cached_property
    def bucket(self) -> Bucket:
        job = self.job
        return Bucket(
            job.bucket,
            credentials=job.credentials,
            endpoint_url=job.endpoint_url,
            region=job.region,
            ca_bundle=job.ca_bundle,
            connections=CONNECTIONS,
        )

    def listing(self) -> dict[str, glacier.S3Object]:
        """The job's objects by file name (without the key prefix), as they are now. What is nested is another job's."""
        return {**self._own(self.bucket.list(self.job.key_prefix)), **self.older}

    def use_older(self) -> dict[str, glacier.S3Object]:
        """From now on, use the versions that sets had stored where current ones are newer; by name, which these are."""
        found = self._own(self.bucket.versions(self.job.key_prefix) or {})
        if all(len(several) == 1 for several in found.values()):
            return {}
        current = self._own(self.bucket.list(self.job.key_prefix))
        sets = [one for chain in self.collection(current).chains for one in chain.sets]
        self.older = versions.stored(sets, current, found)
        return self.older

    def _own(self, objects: dict[str, _Found]) -> dict[str, _Found]:
        cut = len(self.job.key_prefix)
        return {key[cut:]: found for key, found in objects.items() if "/" not in key[cut:]}

    def read(self, name: str) -> bytes:
        """A small object of the job: the version that is used."""
        return self.bucket.read(self.job.key_prefix + name, version_id=self._version(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """The same of a large one, piece by piece."""
        return self.bucket.pieces(self.job.key_prefix + name, version_id=self._version(name))

    def _version(self, name: str) -> str | None:
        return self.older[name].version_id if name in self.older else None

    def collection(self, listing: Iterable[str]) -> manifest.Collection:
        """The chains that the names of a listing make up."""
        return manifest.collect(listing, self.job.file_prefixes)

    def run(self, spec: ContainerSpec, before: Before | None = None) -> tuple[Finished, log.Run]:
        """Run to the end, whatever the exit code is. ``before`` as in Engine.run."""
        finished = self.engine.run(spec, before)
        return finished, log.summarize(self._events(finished))

    def succeed(self, spec: ContainerSpec, time: datetime | None = None) -> tuple[Finished, log.Run]:
        """Run to the end; an exit code other than 0 raises the error that it stands for. ``time`` as in failure."""
        finished, run = self.run(spec)
        if finished.exit_code:
            raise self.failure(finished, run, time)
        return finished, run

    def verify(
        self, spec: ContainerSpec, before: Callable[[], None], path: str, time: datetime
    ) -> tuple[Finished, log.Run, differences.Verified]:
        """Run a verify to its end. duplicity ends with 1 for differences, and for a volume that is not there."""
        finished, run = self.run(spec, before)
        found = differences.summarize(self._events(finished), path)
        if finished.exit_code not in (0, 1) or run.errors or found.compared is None:
            raise self.failure(finished, run, time)
        return finished, run, found

    def failure(self, finished: Finished, run: log.Run, time: datetime | None = None) -> PermafrostError:
        """The error of a failed run on the chain at ``time``, or on the newest.

        duplicity names a wrong passphrase in many ways, and gpg in one: ask it.
        """
        if not _killed(finished) and (self.job.encrypted or re.search("gpg|GPG", finished.output)):
            try:
                self.check_passphrase(self.listing(), time)
            except SECRETS_REFUSED as error:
                return error
            except PermafrostError:
                pass  # it could not be asked now, and is not what went wrong
        return disk.where_full(self.job, self._of_keys(self._diagnosed(finished, run)))

    def _diagnosed(self, finished: Finished, run: log.Run) -> PermafrostError:
        error = diagnosis.failure(finished.exit_code, run, finished.output)
        return diagnosis.of_memory(error, finished.out_of_memory, self.job.limits.memory)

    def _of_keys(self, error: PermafrostError) -> PermafrostError:
        """gpg lacks a secret key in the same words when none was given and when others were."""
        if isinstance(error, SecretKeyMissing) and self.job.encryption.secret_keys:
            return SecretKeyMismatch(error.what, **error.facts)
        return error

    def _events(self, finished: Finished) -> Iterator[log.Event]:
        path = Path(finished.log_file)
        if not path.exists():  # duplicity refused its command line before it opened the log
            return
        # Only "\n" ends a line: a carriage return in a file name must not begin a new one.
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            yield from log.parse(lines)

    # --- manifests --------------------------------------------------------------------------------------------------

    def manifests(self, sets: list[manifest.BackupSet]) -> dict[str, list[manifest.Volume]]:
        """The volumes that the manifests of these sets of one chain list.

        The container brings what the host does not have yet: of this chain alone, since others may have other secrets.
        """
        self.forget_finished_parts(sets)
        self._drop_unusable(sets)
        if any(volumes is None for volumes in self._local(sets).values()):
            time = max(one.end for one in sets)
            self.succeed(command.fetch_metadata(self.job, host.run_dir(self.job, "info"), time=time), time)
        read = self._local(sets, fetched=True)
        lacking = [stem for stem, volumes in read.items() if volumes is None]
        if lacking:
            # duplicity only warns of a manifest that it cannot read, and goes on without it.
            self.check_passphrase(self.listing(), max(one.end for one in sets))
            raise ManifestUnreadable(f"These manifests are not whole: {_some(lacking)}.", manifests=lacking)
        return {stem: volumes or [] for stem, volumes in read.items()}

    def forget_finished_parts(self, sets: list[manifest.BackupSet]) -> None:
        """A run that was killed once its manifest was in the bucket leaves local parts of a set that is complete.

        duplicity would take the set for an interrupted one, and never fetch its manifest.
        """
        complete = {f"{one.manifest_stem}.part" for one in sets}
        with locking.locked(self.job, "info"):
            self.engine.refuse_others(command.fetch_metadata(self.job, host.run_dir(self.job, "info")))
            if complete & set(archive_dir.partial_manifests(self.job)):
                archive_dir.forget_partial(self.job)

    def _local(
        self, sets: list[manifest.BackupSet], *, fetched: bool = False
    ) -> dict[str, list[manifest.Volume] | None]:
        local = archive_dir.manifests(self.job)
        return {
            one.manifest_stem: manifest.usable_volumes(local.get(one.manifest_stem), one, fetched=fetched)
            for one in sets
        }

    def _drop_unusable(self, sets: list[manifest.BackupSet]) -> None:
        """Make duplicity fetch anew what was cut off on this host: it would believe the local copy."""
        for stem, volumes in self._local(sets).items():
            if volumes is None:
                archive_dir.forget_manifest(self.job, stem)

    def check_encryption(self, listing: dict[str, glacier.S3Object]) -> None:
        """Before a backup: raise unless its encryption is that of the newest manifest of the bucket.

        duplicity itself never reads one before a full, and would start a chain that the old secrets do not open.
        """
        newest = self._newest(listing)
        if newest is None:
            return
        given = self.job.encryption
        content = self._manifest(newest) if self.job.encrypted else b""
        found = openpgp.recipients(content)
        if given.mode == "gpg" and not (found and given.fits(found)):
            whom = _for_whom(found)
            raise KeysChanged(f"{newest.manifest} is encrypted {whom}, and not for job.encryption.encrypt_keys.")
        if given.mode == "symmetric":
            self._open(newest, content)

    def check_passphrase(self, listing: dict[str, glacier.S3Object], time: datetime | None = None) -> None:
        """Raise unless what the job has opens the last manifest of the chain at ``time``, or the newest of all.

        A backup host without secret keys has nothing to open one with, and passes.
        """
        newest = self._newest(listing, time)
        if newest is None or not self.job.encrypted:
            return
        if self.job.encryption.mode == "symmetric" or self.job.encryption.secret_keys:
            self._open(newest, self._manifest(newest))

    def _newest(self, listing: dict[str, glacier.S3Object], time: datetime | None = None) -> manifest.BackupSet | None:
        """The last complete set until ``time``. EncryptionMismatch when only one of it and the job is encrypted."""
        sets = [one for chain in self.collection(listing).chains for one in chain.sets]
        newest = max((one for one in sets if not time or one.end <= time), key=lambda one: one.end, default=None)
        if newest and str(newest.manifest).endswith(".gpg") != self.job.encrypted:
            found = "not encrypted" if self.job.encrypted else "encrypted"
            raise EncryptionMismatch(
                f"{newest.manifest} is {found}, and the job's encryption.mode is {self.job.encryption.mode}."
            )
        return newest

    def _manifest(self, one: manifest.BackupSet) -> bytes:
        return self.read(str(one.manifest))

    def _open(self, one: manifest.BackupSet, content: bytes) -> None:
        """Let gpg open a manifest as it is in the bucket."""
        found, mode = openpgp.recipients(content), self.job.encryption.mode
        if found and found.passphrase != (mode == "symmetric"):
            raise KeysChanged(
                f"{one.manifest} is encrypted {_for_whom(found)}, and the job's encryption.mode is {mode}."
            )
        spec = command.open_manifest(self.job, host.run_dir(self.job, "passphrase"), "manifest.gpg")
        finished = self.engine.run(spec, lambda: host.write_file(self.job, "passphrase", "manifest.gpg", content))
        if not finished.exit_code:
            return
        if _killed(finished):
            raise self._diagnosed(finished, log.Run())
        what = f"gpg cannot open {one.manifest}: {' '.join(finished.output.split())[-200:]}."
        if mode == "gpg":
            error = self._of_keys(diagnosis.failure(finished.exit_code, log.summarize([]), finished.output))
            raise type(error)(what, manifest=one.manifest)
        raise WrongPassphrase(what, manifest=one.manifest)

    def sets_at(self, time: datetime) -> list[manifest.BackupSet]:
        """The sets that a restore as of ``time`` reads, by a listing of now."""
        return manifest.sets_at(self.collection(self.listing()), time)

    def signature_bytes(self, sets: Iterable[manifest.BackupSet]) -> int:
        """How much the signatures of these sets take in the bucket."""
        listing = self.listing()
        return sum(listing[one.signature].size_bytes for one in sets if one.signature in listing)

    def time_of_set(self, time: datetime) -> datetime:
        """The time of the set that a restore as of ``time`` gives."""
        return self.sets_at(time)[-1].end

    # --- the plan of a restore --------------------------------------------------------------------------------------

    def plan(self, path: str, time: datetime) -> tuple[glacier.Plan, datetime]:
        """The volumes that a restore of ``path`` at ``time`` reads, and the time of the set that this is.

        Asked from duplicity itself, compared with the manifests, sized and classed from one listing.
        """
        listing = self.listing()
        sets = manifest.sets_at(self.collection(listing), time)
        chosen = sets[-1].end
        self.forget_finished_parts(sets)
        self._drop_unusable(sets)
        spec = command.restore_dry_run(self.job, host.run_dir(self.job, "plan"), path=path, time=chosen)
        finished, run = self.run(spec)
        if run.required_volumes is None:
            error = self.failure(finished, run, chosen)
            if not isinstance(error, VolumesMissing):
                raise error
        needed = manifest.needed_volumes(sets, self._of_plan(sets), manifest.path_index(path))
        missing = glacier.missing_volumes(needed, listing)
        if missing:
            raise VolumesMissing(f"The bucket lacks {len(missing)} volumes: {_some(missing)}.", volumes=missing)
        if sorted(run.required_volumes or []) != sorted(str(one.name) for one in needed):
            names = [one.name for one in needed]
            raise PlanDisagrees("The plan is not certain.", manifests=names, dry_run=run.required_volumes)
        wanted = [(self.job.key_prefix + str(one.name), one.sha1) for one in needed]
        by_key = {found.key: found for found in listing.values()}
        return glacier.make_plan(self.job.bucket, wanted, by_key, datetime.now(timezone.utc)), chosen

    def _of_plan(self, sets: list[manifest.BackupSet]) -> dict[str, list[manifest.Volume]]:
        """The volumes of the sets' manifests. Plain ones are read from the bucket, so that a new host needs no run."""
        read = self._local(sets)
        if not self.job.encrypted:
            lacking = [one for one in sets if read[one.manifest_stem] is None]
            read.update(
                {one.manifest_stem: manifest.usable_volumes(self._head(one), one, fetched=True) for one in lacking}
            )
        if None in read.values():
            return self.manifests(sets)
        return {stem: volumes or [] for stem, volumes in read.items()}

    def _head(self, one: manifest.BackupSet) -> bytes:
        """A manifest of the bucket without its lists of files."""
        return b"".join(manifest.without_files(_lines(self.pieces(str(one.manifest)))))

    def require_path(self, path: str, time: datetime) -> None:
        """Raise PathNotInBackup: a thaw for a path that is not there would be paid in vain."""
        if not path:
            return
        wanted = os.fsencode(path)
        if not any(found.path == wanted for found in self.files(time)):
            raise self.path_not_there(path, time)

    def path_not_there(self, path: str, time: datetime) -> PathNotInBackup:
        """What is said of a path that the backup at ``time`` lacks."""
        return PathNotInBackup(f"'{path}' is not in the backup of {time:%Y-%m-%dT%H:%M:%SZ}.", path=path)

    def files(self, time: datetime) -> Iterator[log.ListedFile]:
        """The files of the backup at ``time``, one at a time."""
        finished, _run = self.succeed(command.list_files(self.job, host.run_dir(self.job, "list"), time=time), time)
        for event in self._events(finished):
            found = log.listed_file(event)
            if found:
                yield found


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of what comes in pieces."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _killed(finished: Finished) -> bool:
    """Such an end says nothing of secrets."""
    return finished.out_of_memory or finished.exit_code == diagnosis.KILLED


def _for_whom(found: openpgp.Recipients | None) -> str:
    if found is None:
        return "for nobody that can be known"
    names = [f"{one} (hidden)" if one == "0" * 16 else one for one in sorted(found.key_ids)]
    keys = [f"for key {', '.join(names)}"] if names else []
    return " and ".join(keys + (["with a passphrase"] if found.passphrase else []))


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
