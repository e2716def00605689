# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restore from older versions: the manifests and signatures that a backup had stored go to the archive directory.

I/O; which versions these are is decided by versions.py. duplicity reads current objects only, and believes what the
archive directory has, so with the right ones there it plans, lists and proves as ever. Volumes are staged by version.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import (
    archive_dir,
    command,
    disk,
    host,
    integrity,
    manifest,
    records,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.errors import ManifestUnreadable
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

# What of the archive directory was brought, by name in the bucket: the version.
_RECORD = "older_versions"


def bring(archive: Archive, time: datetime) -> list[str]:
    """Use older versions where the bucket has them; what was overwritten below the prefix, as a warning."""
    older = archive.use_older()
    if not older:
        return []
    archive_dir.refuse_foreign(archive.job)
    known = records.read(archive.job, _RECORD) or {}
    wanted = [(name, place) for name, place in _metadata(archive, time) if _lacks(known, archive, name, place)]
    sealed = [(name, place) for name, place in wanted if name.endswith(".gpg")]
    for name, place in wanted:
        if not name.endswith(".gpg"):
            _keep(place, archive.pieces(name), name)
    if sealed:
        _open(archive, sealed)
    if wanted:
        records.write(archive.job, _RECORD, {**known, **{name: older[name].version_id for name, _place in wanted}})
    return [
        f"{len(older)} objects of the job {archive.job.name} were overwritten after their sets were complete. Their "
        "older versions are used, of which the sets consist."
    ]


def _metadata(archive: Archive, time: datetime) -> Iterator[tuple[str, Path]]:
    """The overwritten manifests and signatures of the chain at ``time``, and where duplicity looks for them here."""
    found = archive.collection(archive.listing())
    start = manifest.sets_at(found, time)[0].end
    job, places = archive.job, {}
    for one in (one for chain in found.chains if chain.start == start for one in chain.sets):
        places[str(one.manifest)] = Path(job.archive, job.file_prefixes.manifest + one.manifest_stem)
        places[str(one.signature)] = Path(job.archive, f"{job.file_prefixes.signature}{one.signature_stem}.gz")
    for name, place in places.items():
        # A backup host without secret keys has nothing to open them with, but copies of its own.
        if name in archive.older and not (name.endswith(".gpg") and _only_seals(job)):
            yield name, place


def _only_seals(job: Job) -> bool:
    return job.encryption.mode == "gpg" and not job.encryption.secret_keys


def _lacks(known: dict[str, str], archive: Archive, name: str, place: Path) -> bool:
    return known.get(name) != archive.older[name].version_id or not place.is_file()


def _open(archive: Archive, sealed: list[tuple[str, Path]]) -> None:
    """Let gpg open them all in one run."""
    names = {f"{number}.gpg": one for number, one in enumerate(sealed)}
    run_dir = Path(host.run_dir(archive.job, "manifests"))

    def before() -> None:
        for number, (name, _place) in names.items():
            disk.write_pieces(run_dir / number, archive.pieces(name))

    finished = archive.engine.run(command.open_manifests(archive.job, str(run_dir), list(names)), before)
    place = Path(finished.log_file).parent
    try:
        _take(archive, names, place)
    finally:
        for number in names:
            (place / number).unlink(missing_ok=True)
            (place / number).with_suffix("").unlink(missing_ok=True)


def _take(archive: Archive, opened: dict[str, tuple[str, Path]], results: Path) -> None:
    """What gpg opened goes to its place, if that is all of it."""
    status = results / command.STATUS_FILE
    states = integrity.decrypted(status.read_text(encoding="utf-8", errors="replace") if status.exists() else "")
    failed = [name for number, (name, _place) in opened.items() if states.get(number) != integrity.OPENED]
    if failed:
        archive.check_passphrase(archive.listing())  # it tells a wrong passphrase from a damaged file
        raise ManifestUnreadable(f"gpg cannot open older versions: {', '.join(failed[:5])}.", manifests=failed)
    for number, (name, place) in opened.items():
        with (results / number).with_suffix("").open("rb") as plain:
            _keep(place, iter(lambda handle=plain: handle.read(1 << 20), b""), name.removesuffix(".gpg"))


def _keep(place: Path, pieces: Iterator[bytes], name: str) -> None:
    """Write a file of the archive directory. Signatures lie there compressed, whatever they are in the bucket."""
    disk.make_private(str(place.parent))
    draft = place.with_name(f".{place.name}")
    if place.suffix == ".gz" and not name.endswith(".gz"):
        with gzip.open(draft, "wb", compresslevel=1) as out:
            for piece in pieces:
                out.write(piece)
    else:
        disk.write_pieces(draft, pieces)
    draft.replace(place)
