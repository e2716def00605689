# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the manifests that lie in the bucket, each for itself: one that is damaged does not hide the others.

I/O. Archive.manifests is for runs that need all of them, and believes the archive directory. Here the bucket counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import archive_dir, command, host, integrity, log
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import WrongPassphrase
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import READABLE, S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.integrity import Reading
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import BackupSet

# Names of copies in one command line of gpg.
_TOGETHER = 1000

Readings = Iterator[tuple[BackupSet, Reading]]


def read_manifests(archive: Archive, sets: list[BackupSet], listing: dict[str, S3Object]) -> Readings:
    """Each set with what its manifest in the bucket says. Raises when the job's secrets open none of them."""
    encryption = archive.job.encryption
    sealed = []
    for one in sets:
        reason = _unreadable(archive, listing[str(one.manifest)])
        if reason:
            yield one, _local(archive, one, reason)
        elif not _encrypted(one):
            yield one, integrity.read(_fetch(archive, one), one)
        elif encryption.mode == "gpg" and not encryption.secret_keys:
            yield one, _unopened(archive, one)
        else:
            sealed.append(one)
    any_opened = False
    for at in range(0, len(sealed), _TOGETHER):
        for one, state, reading in _opened(archive, sealed[at : at + _TOGETHER], any_opened):
            any_opened = any_opened or state == integrity.OPENED
            yield one, reading


def _encrypted(one: BackupSet) -> bool:
    return str(one.manifest).endswith(".gpg")


def _fetch(archive: Archive, one: BackupSet) -> bytes:
    return archive.read(str(one.manifest))


def _unreadable(archive: Archive, found: S3Object) -> str | None:
    """Why the object is not read, or None."""
    if not found.size_bytes:
        return "It has no byte."
    if found.state(datetime.now(timezone.utc)) not in READABLE:
        return f"It is in {found.storage_class}, where it cannot be read."
    if found.key.endswith(".gpg") and not archive.job.encrypted:
        return "It is encrypted, and the job's encryption.mode is none."
    return None


def _local(archive: Archive, one: BackupSet, reason: str) -> Reading:
    """The volumes by the copy on this host, if there is one: the fault of the bucket's stays."""
    content = archive_dir.manifest(archive.job, one.manifest_stem)
    return replace(integrity.read(content, one) if content else Reading(), fault=reason)


def _unopened(archive: Archive, one: BackupSet) -> Reading:
    """A manifest that only the owner of the secret key can open: the copy on this host stands for it."""
    content = archive_dir.manifest(archive.job, one.manifest_stem)
    reading = integrity.read(content, one) if content else Reading(fault="The archive directory has no copy of it.")
    return replace(reading, unchecked=reading.fault is not None)


def _opened(archive: Archive, sets: list[BackupSet], others_opened: bool) -> Iterator[tuple[BackupSet, str, Reading]]:
    names = {f"{number}.gpg": one for number, one in enumerate(sets)}
    run_dir = host.run_dir(archive.job, "manifests")

    def before() -> None:
        for name, one in names.items():
            host.write_file(archive.job, "manifests", name, _fetch(archive, one))

    finished = archive.engine.run(command.open_manifests(archive.job, run_dir, list(names)), before)
    place = Path(finished.log_file).parent
    try:
        states = _states(archive, finished)
        if not others_opened and set(states.values()) == {integrity.REFUSED}:
            _refuse(archive, sets)
        for name, one in names.items():
            state = states.get(name, integrity.BROKEN)
            yield one, state, _reading(archive, one, state, place / name[: -len(".gpg")])
    finally:
        for name in names:
            (place / name).unlink(missing_ok=True)
            (place / name[: -len(".gpg")]).unlink(missing_ok=True)


def _refuse(archive: Archive, sets: list[BackupSet]) -> None:
    if archive.job.encryption.mode == "gpg":
        archive.check_passphrase(archive.listing())  # it tells another key from a key that its passphrase does not open
        return
    raise WrongPassphrase(f"gpg can open none of {len(sets)} manifests.", manifest=str(sets[-1].manifest))


def _states(archive: Archive, finished: Finished) -> dict[str, str]:
    try:
        status = Path(finished.log_file).with_name(command.STATUS_FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise archive.failure(finished, log.Run()) from None  # gpg did not start
    return integrity.decrypted(status)


def _reading(archive: Archive, one: BackupSet, state: str, plain: Path) -> Reading:
    if state == integrity.OPENED:
        return integrity.read(plain.read_bytes(), one)
    reason = (
        "The job's passphrase or key does not open it." if state == integrity.REFUSED else "gpg says it is damaged."
    )
    return _local(archive, one, reason)
