# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_prove: a tree against the signatures of its time; and the record of what was proven."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    archive_dir,
    command,
    destination,
    disk,
    host,
    manifest,
    mounts,
    older,
    proof,
    records,
    tree,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, CannotProve, ProofFailed
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.times import moment, to_w3

_PROOFS = "proofs"
_NO_DIFF: dict[str, dict[str, str]] = {"before": {}, "after": {}}
_NO_OWNERS = "--no-restore-ownership"


def wish(job: Job, path: str, time: datetime) -> dict[str, Any]:
    """All that decides what a restore brings: two of equal wishes bring the same."""
    prefixes = job.file_prefixes
    return {
        "target": job.url,
        "endpoint_url": job.endpoint_url,
        "file_prefixes": [prefixes.volume, prefixes.manifest, prefixes.signature],
        "extra_args": list(job.extra_args),
        "path": path,
        "time": to_w3(time),
    }


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Prove a tree that is in place, unless that was done and it did not change."""
    job, path = Job.from_params(params["job"]), command.normal_path(params["path"])
    at, dest = moment(params["time"], datetime.now(timezone.utc)), destination.checked(params["dest"])
    if not os.path.lexists(dest):
        raise BadInput(f"There is nothing at dest {dest}.")
    archive = Archive(job)
    archive.engine.refuse_others(command.prove(job, host.run_dir(job, "prove"), below=str(dest.parent)))
    warnings = older.bring(archive, at)
    sets = archive.sets_at(at)
    time = sets[-1].end
    diff = {"before": {"proof": "none"}, "after": {"proof": "made", "path": path, "time": to_w3(time)}}
    result: dict[str, Any] = {"changed": True, "dest": str(dest), "path": path, "time": to_w3(time), "diff": diff}
    result["warnings"] = warnings
    digest = digest_of(dest)
    known = remembered(job, dest, wish(job, path, time), digest)
    if known:
        return {**result, "changed": False, "diff": _NO_DIFF, **known}
    require_provable(archive, sets)
    archive.require_path(path, time)
    if check_mode:
        return result
    result.update(in_place(archive, dest, path, sets, digest, fails=params["on_difference"] == "fail"))
    return {**result, "changed": result["proven"], "diff": diff if result["proven"] else _NO_DIFF}


def in_place(
    archive: Archive, dest: Path, path: str, sets: list[manifest.BackupSet], digest: str, *, fails: bool
) -> dict[str, Any]:
    """Prove what is at a destination, and remember it when it is proven. ``digest`` was taken before."""
    bring_signatures(archive, sets)
    found = prove(archive, dest, path, sets, fails=fails)
    if found["proven"]:
        remember(archive.job, dest, wish(archive.job, path, sets[-1].end), digest, found)
    return found


def digest_of(dest: Path) -> str:
    """All metadata of a tree as one word, by which it is known again."""
    try:
        return tree.summary(str(dest), mounted=mounts.is_point(dest))[0]
    except OSError as error:
        raise BadInput(f"What is at dest {dest} cannot be read: {error}.") from error


# --- the proof ------------------------------------------------------------------------------------------------------


def require_provable(archive: Archive, sets: list[manifest.BackupSet]) -> None:
    """Raise CannotProve when the image has no program for it, or the bucket not all signatures."""
    if proof.LABEL not in archive.engine.image_labels():
        raise CannotProve(f"The image {archive.job.image} has no program that proves a restore.")
    lost = [one.signature_stem for one in sets if one.signature is None]
    if lost:
        raise CannotProve(f"The bucket lacks signatures: {', '.join(lost[:5])}.", signatures=lost)


def prove(
    archive: Archive, place: Path, path: str, sets: list[manifest.BackupSet], *, fails: bool = True
) -> dict[str, Any]:
    """Compare what lies at a place with the signatures of the sets. Raises ProofFailed if it differs and ``fails``."""
    job, mounted = archive.job, mounts.is_point(place)
    order = {
        "tree": place.name,
        "path": path,
        "signatures": _signatures(job, sets),
        "owners": _NO_OWNERS not in job.extra_args,
        "root_mtime": not mounted,
        "ignored": sorted({one.name for one in place.iterdir()} - {*mounts.contents(place)}) if mounted else [],
    }
    spec = command.prove(job, host.run_dir(job, "prove"), below=str(place.parent))
    given = Path(host.run_dir(job, "prove"), proof.ORDER)
    finished = archive.engine.run(spec, lambda: _write(given, order))
    found = _answer(finished)
    result = {**found.to_result(), "elapsed_seconds": finished.elapsed_seconds}
    if fails and not found.proven:
        raise _differs(place, path, sets, result)
    return result


def _write(path: Path, order: dict[str, Any]) -> None:
    path.write_text(json.dumps(order), encoding="utf-8")


def bring_signatures(archive: Archive, sets: list[manifest.BackupSet]) -> None:
    """Let the container bring the signatures that the host lacks.

    To be done before a restore: a run that is no restore clears away what a restore has built.
    """
    job, time = archive.job, sets[-1].end
    if _lost(job, sets):
        archive.succeed(command.fetch_metadata(job, host.run_dir(job, "info"), time=time), time)


def _signatures(job: Job, sets: list[manifest.BackupSet]) -> list[str]:
    """Where the signatures are, below the archive directory's place."""
    lost = _lost(job, sets)
    if lost:
        raise CannotProve(f"These signatures are not on the host: {', '.join(lost[:5])}.", signatures=lost)
    return [f"{job.archive_name}/{archive_dir.signature(job, one.signature_stem)}" for one in sets]


def _lost(job: Job, sets: list[manifest.BackupSet]) -> list[str]:
    return [one.signature_stem for one in sets if archive_dir.signature(job, one.signature_stem) is None]


def _answer(finished: Finished) -> proof.Proof:
    answer = Path(finished.log_file).with_name(proof.ANSWER)
    found = None
    if answer.exists():
        with answer.open(encoding="utf-8") as lines:
            found = proof.read(lines)
    if found is None:
        said = " ".join(finished.output.split())[-300:]
        raise CannotProve(f"The proof ended with exit code {finished.exit_code}: {said}.", exit_code=finished.exit_code)
    return found


def _differs(place: Path, path: str, sets: list[manifest.BackupSet], result: dict[str, Any]) -> ProofFailed:
    named = ", ".join(f"{one['path']} ({one['kind']})" for one in result["differences"][:5])
    count = result["difference_count"]
    more = f" and {count - 5} more" if count > 5 else ""
    of = f"'{path}'" if path else "the whole tree"
    error = ProofFailed(
        f"{count} differences between {place} and {of} as of {to_w3(sets[-1].end)}: {named}{more}.",
        difference_count=count,
        difference_kinds=result["difference_kinds"],
    )
    error.result = {"proof": result}
    return error


# --- what was proven ------------------------------------------------------------------------------------------------


def remember(job: Job, dest: Path, wished: dict[str, Any], digest: str, found: dict[str, Any]) -> None:
    """Keep a proof beside the archive directory."""
    disk.make_private(str(Path(job.state_dir, _PROOFS)))
    known = {name: found[name] for name in ("files", "directories", "others", "size_bytes", "elapsed_seconds")}
    now = to_w3(datetime.now(timezone.utc))
    record = {**wished, "dest": str(dest), "digest": digest, "proven_at": now, "counts": known}
    records.write(job, _record_of(dest), record)


def remembered(job: Job, dest: Path, wished: dict[str, Any], digest: str) -> dict[str, Any] | None:
    """The proof of this very tree, or None when there is none or the tree was changed since."""
    record = records.read(job, _record_of(dest)) or {}
    if {**wished, "dest": str(dest), "digest": digest}.items() <= record.items():
        return {**_NO_DIFFERENCE, **record["counts"], "proven_at": record["proven_at"]}
    return None


_NO_DIFFERENCE: dict[str, Any] = {"proven": True, "difference_count": 0, "difference_kinds": {}, "differences": []}


def _record_of(dest: Path) -> str:
    return f"{_PROOFS}/{hashlib.sha256(os.fsencode(dest)).hexdigest()[:32]}"
