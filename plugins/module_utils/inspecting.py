# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_info: chains, sets, sizes, ages, missing volumes, interrupted sets, files, changes."""

from __future__ import annotations

import fnmatch
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    archive_dir,
    billed,
    command,
    host,
    log,
    manifest,
    records,
    sampling,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import SECRETS_REFUSED, Archive
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    ManifestUnreadable,
    PermafrostError,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, missing_volumes
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.times import moment, to_w3


def work(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Look at the bucket; nothing is changed and nothing thawed."""
    job = Job.from_params(params["job"])
    now = datetime.now(timezone.utc)
    at = moment(params["time"], now)
    archive = Archive(job)
    archive.engine.refuse_others(command.fetch_metadata(job, host.run_dir(job, "info")))
    listing = archive.listing()
    found = archive.collection(listing)
    manifests, refused = _manifests(archive, found)
    result = {
        "changed": False,
        "chains": [_chain_facts(chain, manifests, refused, listing) for chain in found.chains],
        "interrupted": [set_facts(one, listing) for one in found.interrupted],
        "orphaned": [set_facts(one, listing) for one in found.orphaned],
        "unknown": found.unknown,
        "size_bytes": _by_class(list(listing), listing),
        "object_count": len(listing),
        "stored": [one.to_result() for one in billed.summed(listing.values())],
        "newest_volumes": _newest_volumes(found, listing),
        "last_run": records.read(job, "last_run"),
        "last_success": records.read(job, "last_success"),
        "last_drill": records.read(job, "last_drill"),
        "history": records.history(job),
    }
    result.update(_ages(found, result["last_success"], now))
    if params["files"]:
        chosen = manifest.sets_at(found, at)[-1].end
        result["files_time"] = to_w3(chosen)
        result.update(_files(archive, chosen, params["pattern"], params["limit"]))
    if params["sample"] is not None:
        chosen = manifest.sets_at(found, at)[-1].end
        result.update(files_time=to_w3(chosen), sample=_sample(archive, chosen, params["sample"], params["seed"]))
    if params["changes"]:
        chain = manifest.sets_at(found, moment(params["changes"], now))
        if chain[0].end in refused:
            raise refused[chain[0].end]
        one = chain[-1]
        result.update(changes_time=to_w3(one.end), changes_kind=one.kind)
        result.update(_changes(job, one, params["pattern"], params["limit"]))
    return result


def _manifests(
    archive: Archive, found: manifest.Collection
) -> tuple[dict[str, list[manifest.Volume]], dict[datetime, PermafrostError]]:
    """The manifests of all chains, and by its start why a chain's cannot be opened: its secrets may be older ones.

    Raises when that goes for all chains.
    """
    read: dict[str, list[manifest.Volume]] = {}
    refused: dict[datetime, PermafrostError] = {}
    for chain in found.chains:
        try:
            read.update(archive.manifests(chain.sets))
        except SECRETS_REFUSED as error:
            refused[chain.start] = error
    if refused and not read:
        raise refused[max(refused)]
    return read, refused


def _newest_volumes(found: manifest.Collection, listing: dict[str, S3Object]) -> list[dict[str, Any]]:
    """What a restore of the newest set reads, by class."""
    names = [name for one in (found.chains[-1].sets if found.chains else []) for name in one.volumes.values()]
    return [one.to_result() for one in billed.summed(listing[name] for name in names)]


def _ages(found: manifest.Collection, success: dict[str, Any] | None, now: datetime) -> dict[str, int | None]:
    """How old the newest full is, and the last success that this host knows of; None where there is none."""
    full = max((chain.start for chain in found.chains), default=None)
    ended = moment(success["finished"], now) if success else None
    return {
        "last_full_age_seconds": None if full is None else int((now - full).total_seconds()),
        "last_success_age_seconds": None if ended is None else int((now - ended).total_seconds()),
    }


def _changes(job: Job, one: manifest.BackupSet, pattern: str, limit: int) -> dict[str, Any]:
    """What a set's manifest says that was new, changed or deleted; counts are exact, names stop at ``limit``."""
    changes: list[dict[str, str]] = []
    counts = {"new": 0, "changed": 0, "deleted": 0}
    announced: int | None = None
    matched = 0
    for found in manifest.changes(archive_dir.manifest_lines(job, one.manifest_stem)):
        if not isinstance(found, manifest.Change):
            announced = found
            continue
        counts[found.kind] += 1
        name = _shown(found.path)
        if fnmatch.fnmatchcase(name, pattern):
            matched += 1
            if len(changes) < limit:
                changes.append({"path": name, "kind": found.kind})
    if announced is None:
        return dict.fromkeys(("changes", "change_counts", "changes_matched_count"))
    if sum(counts.values()) != announced:
        what = f"{one.manifest_stem} lists {sum(counts.values())} of {announced} files."
        raise ManifestUnreadable(what, manifests=[one.manifest_stem])
    return {"changes": changes, "change_counts": counts, "changes_matched_count": matched}


def _shown(path: bytes) -> str:
    return log.shown(path.decode("utf-8", "surrogateescape"))


def set_facts(one: manifest.BackupSet, listing: dict[str, S3Object]) -> dict[str, Any]:
    """A set as a task result: kind, time, volumes, and bytes by storage class."""
    names = [*one.volumes.values(), *(name for name in (one.manifest, one.signature) if name)]
    return {
        "kind": one.kind,
        "time": to_w3(one.end),
        "complete": one.complete,
        "volumes": len(one.volumes),
        "size_bytes": _by_class(names, listing),
    }


def _chain_facts(
    chain: manifest.Chain,
    manifests: dict[str, list[manifest.Volume]],
    refused: dict[datetime, PermafrostError],
    listing: dict[str, S3Object],
) -> dict[str, Any]:
    sets: list[dict[str, Any]] = []
    for one in chain.sets:
        if chain.start in refused:
            sets.append({**set_facts(one, listing), "missing": None})
            continue
        needed = manifest.needed_volumes([one], manifests, ())
        missing = missing_volumes(needed, listing)
        if one.signature is None:
            missing.append(one.manifest_stem.replace(".manifest", " signatures"))
        sets.append({**set_facts(one, listing), "missing": missing})
    return {
        "start": to_w3(chain.start),
        "end": to_w3(chain.end),
        "sets": sets,
        "missing_count": None if chain.start in refused else sum(len(one["missing"]) for one in sets),
        "unreadable": refused[chain.start].what if chain.start in refused else None,
    }


def _by_class(names: list[str], listing: dict[str, S3Object]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name in names:
        found = listing[name]
        sizes[found.storage_class] = sizes.get(found.storage_class, 0) + found.size_bytes
    return sizes


def _files(archive: Archive, time: datetime, pattern: str, limit: int) -> dict[str, Any]:
    """Files whose path matches; counts are exact, names stop at ``limit`` so that a result stays small."""
    files: list[dict[str, str]] = []
    count = matched = 0
    for found in archive.files(time):
        count += 1
        name = _shown(found.path)
        if fnmatch.fnmatchcase(name, pattern):
            matched += 1
            if len(files) < limit:
                files.append({"path": name, "mtime": to_w3(found.mtime), "type": found.type})
    return {"files": files, "file_count": count, "matched_count": matched}


def _sample(archive: Archive, time: datetime, count: int, seed: str) -> list[str]:
    """Regular files that a restore can be asked for by their names."""
    if count < 0:
        raise BadInput(f"sample is {count}: 0 or more is wanted.")
    if not count:
        return []
    files = (found.path for found in archive.files(time) if found.type == "reg")
    return sampling.sample((name for name in map(_asked_for, files) if name), count, seed)


def _asked_for(path: bytes) -> str:
    """The path as a restore is given it; empty for one that cannot be given."""
    try:
        return command.normal_path(path.decode())
    except (BadInput, UnicodeDecodeError):
        return ""
