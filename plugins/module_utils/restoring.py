# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_restore: plan, preflight, restore beside the destination, move into place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import command, glacier, host, log
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.container import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    DestinationNotEmpty,
    PermafrostError,
    RestoreIncomplete,
    VolumesFrozen,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import FROZEN, THAWING, Plan
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.times import moment, to_w3


def plan(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """The verb of glacier_restore_info: what a restore would read, and in which state it is."""
    job = Job.from_params(params["job"])
    at = moment(params["time"], datetime.now(timezone.utc))
    path = command.normal_path(params["path"])
    archive = Archive(job)
    archive.engine.refuse_others(command.restore_dry_run(job, host.run_dir(job, "plan"), path=path, time=at))
    made, chosen = archive.plan(path, at)
    archive.require_path(path, chosen)
    # With which tier the rest will be thawed is not known here, so it counts as the slowest.
    warnings = glacier.expiry_warnings(made, glacier.longest_hours({}, made.volumes), datetime.now(timezone.utc))
    return {"changed": False, "plan": made.to_result(), "time": to_w3(chosen), "path": path, "warnings": warnings}


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restore a path, or everything, as it was. Nothing is in place before all of it is."""
    job = Job.from_params(params["job"])
    at = moment(params["time"], datetime.now(timezone.utc))
    path = command.normal_path(params["path"])
    dest = Path(_destination(params["dest"]))
    _require_free(dest)
    archive = Archive(job)
    staging = dest.parent / f".{dest.name}.{job.name}.permafrost-restore"

    def restore_of(time: datetime) -> command.ContainerSpec:
        return command.restore(job, host.run_dir(job, "restore"), path=path, time=time, into=str(staging))

    archive.engine.refuse_others(restore_of(at))  # else a first backup that still runs would be told as none
    chosen = archive.time_of_set(at)
    spec = restore_of(chosen)
    result = {
        "changed": True,
        "dest": str(dest),
        "path": path,
        "time": to_w3(chosen),
        "command": list(spec.argv),
    }
    if check_mode:
        result["plan"] = _readable_plan(archive, path, chosen).to_result()
        archive.require_path(path, chosen)
        return result

    def before() -> None:
        result["plan"] = _readable_plan(archive, path, chosen).to_result()
        host.stage(job, staging)

    result.update(_restore(archive, spec, chosen, before, staging, dest))
    return result


def _readable_plan(archive: Archive, path: str, time: datetime) -> Plan:
    made, chosen = archive.plan(path, time)
    if not made.ready:
        archive.require_path(path, chosen)  # else duplicity says so itself, before anything is written
        raise _frozen(made)
    return made


def _destination(dest: str) -> str:
    if not dest.startswith("/") or ".." in dest.split("/"):
        raise BadInput(f"dest '{dest}' is not an absolute path without '..'.")
    return os.path.normpath(dest)


def _require_free(dest: Path) -> None:
    if not dest.parent.is_dir():
        raise BadInput(f"The parent directory of dest {dest} does not exist.")
    if dest.is_mount():
        raise BadInput(f"dest {dest} is a mount point and cannot be replaced in one step: name a directory below it.")
    if dest.is_symlink() or (dest.exists() and (not dest.is_dir() or any(dest.iterdir()))):
        raise DestinationNotEmpty(f"The destination {dest} exists and is not an empty directory.", dest=str(dest))


def _frozen(made: Plan) -> VolumesFrozen:
    frozen, thawing = made.keys(FROZEN), made.keys(THAWING)
    names = ", ".join(key.rpartition("/")[2] for key in (frozen + thawing)[:5])
    more = len(frozen) + len(thawing) - 5
    return VolumesFrozen(
        f"Of {len(made.volumes)} volumes that this restore reads, {len(frozen)} are frozen and {len(thawing)} are "
        f"thawing: {names}{f' and {more} more' if more > 0 else ''}.",
        frozen=frozen,
        thawing=thawing,
    )


def _restore(
    archive: Archive,
    spec: command.ContainerSpec,
    time: datetime,
    before: Callable[[], None],
    staging: Path,
    dest: Path,
) -> dict[str, Any]:
    try:
        finished, run = archive.run(spec, before)
        if finished.exit_code:
            raise archive.failure(finished, run, time)
        if run.failed_paths or run.unreadable_count:
            failed = [log.shown(name) for name in run.failed_paths + run.unreadable]
            raise RestoreIncomplete(
                f"{len(failed)} paths could not be restored: {', '.join(failed[:5])}.", paths=failed
            )
        _put_in_place(archive.job, finished, staging, dest)
    finally:
        # A run that goes on, or that the next task is to collect, still needs it; then the next task clears it.
        with contextlib.suppress(PermafrostError), host.locked(archive.job, "restore", wait_seconds=None):
            if not archive.engine.has_run(spec):
                host.clear_stage(archive.job, staging)
    return {
        "elapsed_seconds": finished.elapsed_seconds,
        "attached": finished.attached,
        "warnings_of_duplicity": [log.shown(text) for text in run.warnings],
    }


def _put_in_place(job: Job, finished: Finished, staging: Path, dest: Path) -> None:
    """Move the restored data to the destination, unless another task that waited for the same run was first."""
    done = Path(finished.log_file).with_name("in-place")
    with host.locked(job, "restore", wait_seconds=None):
        if not done.exists():
            _require_free(dest)
            _move_in(staging / "data", dest)
            done.touch()


def _move_in(restored: Path, dest: Path) -> None:
    """One rename on one file system; an empty directory that was there gives way."""
    if dest.is_dir() and (restored.is_symlink() or not restored.is_dir()):
        with contextlib.suppress(FileNotFoundError):
            dest.rmdir()
    restored.rename(dest)
