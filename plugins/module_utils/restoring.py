# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of duplicity_restore: preflight, restore beside the destination, move into place; and the plan of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    command,
    comparison,
    destination,
    estimate,
    fetching,
    glacier,
    host,
    locking,
    log,
    manifest,
    mounts,
    older,
    placing,
    proving,
    records,
    staging,
    tree,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.container import Before
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    BadInput,
    DestinationNotEmpty,
    DestinationSpace,
    PermafrostError,
    RestoreIncomplete,
    VolumesFrozen,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import FROZEN, THAWING, Plan
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ContainerSpec
from ansible_collections.permafrost.backup.plugins.module_utils.times import moment, to_w3


def plan(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """The verb of glacier_restore_info: what a restore would read, and in which state it is."""
    job = Job.from_params(params["job"])
    at = moment(params["time"], datetime.now(timezone.utc))
    path = command.normal_path(params["path"])
    archive = Archive(job)
    archive.engine.refuse_others(command.restore_dry_run(job, host.run_dir(job, "plan"), path=path, time=at))
    used = older.bring(archive, at)
    made, chosen = archive.plan(path, at)
    archive.require_path(path, chosen)
    if params["fetch"] != estimate.STREAMED:
        made = staging.at_hand(job, made)
    # With which tier the rest will be thawed is not known here, so it counts as the slowest.
    hours = glacier.longest_hours({}, made.volumes)
    warnings = [*used, *glacier.expiry_warnings(made, hours, datetime.now(timezone.utc))]
    return {"changed": False, "plan": made.to_result(), "time": to_w3(chosen), "path": path, "warnings": warnings}


@dataclass(frozen=True)
class _Order:
    """What a task wants. ``time`` is that of the set once it is known."""

    job: Job
    path: str
    time: datetime
    dest: Path
    force: bool
    rate: float
    fetch: str
    prove: bool
    sets: tuple[manifest.BackupSet, ...] = ()

    @property
    def staging(self) -> Path:
        return placing.staging_of(self.job, self.dest)

    @property
    def spec(self) -> ContainerSpec:
        """The run as tasks know each other's: streamed, which is one of two ways to the same end."""
        return command.restore(self.job, self._run_dir, path=self.path, time=self.time, into=str(self.staging))

    @property
    def staged_spec(self) -> ContainerSpec:
        into, staged = str(self.staging), str(fetching.place(self.job))
        return command.restore_staged(self.job, self._run_dir, path=self.path, time=self.time, into=into, staged=staged)

    @property
    def _run_dir(self) -> str:
        return host.run_dir(self.job, "restore")

    @property
    def wish(self) -> dict[str, Any]:
        return proving.wish(self.job, self.path, self.time)

    def known(self, sets: list[manifest.BackupSet]) -> _Order:
        """The same once it is known which sets it reads."""
        return replace(self, time=sets[-1].end, sets=tuple(sets))


def work(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Restore a path, or everything, as it was. Nothing is in place before all of it is."""
    order = _order(params)
    settled = _settle(order)
    if not placing.is_free(order.dest) and not order.force and not placing.remembered(order.job, order.dest):
        raise destination.not_empty(order.dest)
    archive = Archive(order.job)
    archive.engine.refuse_others(order.spec)  # else a first backup that still runs would be told as none
    order = order.known(archive.sets_at(order.time))
    result: dict[str, Any] = {
        "changed": True,
        "dest": str(order.dest),
        "path": order.path,
        "time": to_w3(order.time),
        "command": list(order.spec.argv),
        "warnings": settled,
    }
    held = _held(order)
    if held:
        _tidy(archive, order)
        result.update(changed=bool(settled), restored=held, diff=_diff(order, bool(settled)))
        return {**result, **_proof_of_held(archive, order, check_mode)}
    result["diff"] = _diff(order, True)
    if check_mode:
        _preflight(archive, order, result)
        return result

    def before() -> ContainerSpec:
        made, way = _preflight(archive, order, result)
        if way.is_staged:
            result["fetch"].update(staging.fetch(archive, made, order.sets).to_result())
        else:
            fetching.drop(order.job)
        placing.stage(order.job, order.staging)
        spec = order.staged_spec if way.is_staged else order.spec
        result["command"] = list(spec.argv)
        return spec

    _restore(archive, order, before, result)
    return result


def _diff(order: _Order, changes: bool) -> dict[str, Any]:
    """For --diff, as long as no files are compared: what is at the destination, and which state comes there."""
    if not changes:
        return {"before": {}, "after": {}}
    free = "an empty directory" if order.dest.exists() else "absent"
    return {
        "before": {"dest": free if placing.is_free(order.dest) else "another tree"},
        "after": {"dest": "restored", "path": order.path, "time": to_w3(order.time)},
    }


def _proof_of_held(archive: Archive, order: _Order, check_mode: bool) -> dict[str, Any]:
    """The proof of what the destination holds already: remembered, or made now."""
    if not order.prove:
        return {}
    digest = proving.digest_of(order.dest)
    known = proving.remembered(order.job, order.dest, order.wish, digest)
    if known:
        return {"proof": known}
    sets = list(order.sets)
    proving.require_provable(archive, sets)
    if check_mode:
        return {"changed": True}
    return {"changed": True, "proof": proving.in_place(archive, order.dest, order.path, sets, digest, fails=True)}


def _order(params: dict[str, Any]) -> _Order:
    order = _Order(
        job=Job.from_params(params["job"]),
        path=command.normal_path(params["path"]),
        time=moment(params["time"], datetime.now(timezone.utc)),
        dest=destination.checked(params["dest"]),
        force=params["force"],
        rate=estimate.checked_rate(params["expected_rate"]),
        fetch=params["fetch"],
        prove=params["prove"],
    )
    if order.force:
        destination.refuse_to_replace(order.job, order.dest, order.path)
    return order


def _settle(order: _Order) -> list[str]:
    """Bring to its end what a killed task had begun, and say so: it may be of another destination."""
    record = records.read(order.job, "placing")
    if not record:
        return []
    with locking.locked(order.job, "restore"):
        settled = placing.settle(order.job)
        placing.clear(order.job)
    return [f"A killed task had begun to replace {record['dest']}: that is done now."] if settled else []


def _held(order: _Order) -> dict[str, Any] | None:
    """Counts of what the destination holds, if that is this very restore, unchanged. Else it must be free, or force."""
    if placing.is_free(order.dest):
        return None
    record = placing.remembered(order.job, order.dest) or {}
    same_wish = order.wish.items() <= record.items()
    if same_wish and placing.unchanged(order.dest, record):
        counts: dict[str, Any] = record["counts"]
        return counts
    if order.force:
        return None
    if same_wish:
        raise DestinationNotEmpty(
            f"The destination {order.dest} holds this restore, and was changed since.", dest=str(order.dest)
        )
    if record:
        raise DestinationNotEmpty(
            f"The destination {order.dest} holds another restore: '{record['path']}' of {record['time']} from "
            f"{record['target']}; wanted is '{order.path}' of {to_w3(order.time)} from {order.job.url}.",
            dest=str(order.dest),
        )
    raise destination.not_empty(order.dest)


# --- before ---------------------------------------------------------------------------------------------------------


def _preflight(archive: Archive, order: _Order, result: dict[str, Any]) -> tuple[Plan, estimate.Way]:
    """All that can be known before a byte is written, each with its own message."""
    result["warnings"] += older.bring(archive, order.time)
    made, way = _plan(archive, order)
    result["plan"], result["fetch"] = made.to_result(), {"way": way.name, "why": way.why}
    result["warnings"] += estimate.check_expiry(made, order.rate, datetime.now(timezone.utc))
    result["warnings"] += destination.check_room(order.job, order.dest, made, order.path)
    replaces = not placing.is_free(order.dest)
    if not _list_tells(archive, order, replaces):
        return made, way
    try:
        found = _compared(archive, order, replaces)
    except PermafrostError as error:
        if replaces or isinstance(error, BadInput):
            raise
        # A restore reads no signatures, so it works without those that a list needs.
        result["warnings"].append(
            f"The files of the backup cannot be listed, so that no path and no inodes were checked: {error.what}"
        )
        return made, way
    if order.path and found.roots[1] is None:
        raise archive.path_not_there(order.path, order.time)
    if replaces or mounts.is_point(order.dest):
        destination.refuse_other_kind(order.dest, found.roots[0] or "dir", found.roots[1])
    destination.check_inodes(order.dest, found.new_size)
    if replaces:
        result["replaced"] = found.to_result()
        result["diff"] = found.to_diff(str(order.dest))
    else:
        result["diff"]["after"]["files_and_directories"] = found.new_size
    return made, way


def _plan(archive: Archive, order: _Order) -> tuple[Plan, estimate.Way]:
    """The volumes and the way that they are got: all can be read now, and what comes of them can be proven."""
    if order.prove:
        proving.require_provable(archive, list(order.sets))
    made, _chosen = archive.plan(order.path, order.time)
    way = staging.way(order.job, order.dest, made, order.fetch)
    made = staging.at_hand(order.job, made) if way.is_staged else made
    require_readable(archive, made, order.path, order.time)
    if order.prove:
        proving.bring_signatures(archive, list(order.sets))
    return made, way


def _list_tells(archive: Archive, order: _Order, replaces: bool) -> bool:
    """Whether the backup's list of files, which takes a run, can tell more than is known already."""
    if order.path or replaces or mounts.is_point(order.dest):
        return True
    return not destination.inodes_suffice(order.dest, estimate.most_files(archive.signature_bytes(order.sets)))


def _compared(archive: Archive, order: _Order, replaces: bool) -> comparison.Difference:
    """What a restore takes away and brings, from the backup's list of files: no volume is read."""
    comes = comparison.of_backup(archive.files(order.time), order.path)
    there = tree.entries(str(order.dest), mounted=mounts.is_point(order.dest)) if replaces else ()
    try:
        return comparison.compare(there, comes)
    except OSError as error:
        raise BadInput(f"What is at dest {order.dest} cannot be read: {error}.") from error


def readable_plan(archive: Archive, path: str, time: datetime, reader: str = "restore") -> Plan:
    """The plan of a restore, or of another run that reads the same. Raises VolumesFrozen unless it can start now."""
    made, chosen = archive.plan(path, time)
    require_readable(archive, made, path, chosen, reader)
    return made


def require_readable(archive: Archive, made: Plan, path: str, time: datetime, reader: str = "restore") -> None:
    """Raise VolumesFrozen unless all of the plan can be read now."""
    if not made.ready:
        archive.require_path(path, time)  # else duplicity says so itself, before anything is written
        raise _frozen(made, reader)


def _frozen(made: Plan, reader: str) -> VolumesFrozen:
    frozen, thawing = made.keys(FROZEN), made.keys(THAWING)
    names = ", ".join(key.rpartition("/")[2] for key in (frozen + thawing)[:5])
    more = len(frozen) + len(thawing) - 5
    return VolumesFrozen(
        f"Of {len(made.volumes)} volumes that this {reader} reads, {len(frozen)} are frozen and {len(thawing)} are "
        f"thawing: {names}{f' and {more} more' if more > 0 else ''}.",
        frozen=frozen,
        thawing=thawing,
    )


# --- the run, and after ---------------------------------------------------------------------------------------------


def _restore(archive: Archive, order: _Order, before: Before, result: dict[str, Any]) -> None:
    try:
        with placing.written_meanwhile(order.staging):
            finished, run = archive.run(order.spec, before)
        if finished.exit_code:
            raise destination.where_full(order.job, order.dest, archive.failure(finished, run, order.time))
        _require_whole(run, order)
        _put_in_place(archive, order, finished, result)
    finally:
        _tidy(archive, order)
    result["elapsed_seconds"] = finished.elapsed_seconds
    result["attached"] = finished.attached
    result["warnings_of_duplicity"] = [log.shown(text) for text in run.warnings]


def _tidy(archive: Archive, order: _Order) -> None:
    """Clear the staging directory. A run that goes on, or that the next task is to collect, still needs it."""
    if not records.read(order.job, "staging"):
        return
    with contextlib.suppress(PermafrostError), locking.locked(order.job, "restore", wait_seconds=None):
        if not archive.engine.has_run(order.spec):
            placing.clear(order.job, order.staging)


def _require_whole(run: log.Run, order: _Order) -> None:
    """duplicity goes on after a file that it cannot write, and ends well."""
    if not run.failed_paths and not run.unreadable_count:
        return
    failed = [log.shown(name) for name in run.failed_paths + run.unreadable]
    what = f"{len(failed)} paths could not be restored: {', '.join(failed[:5])}."
    if any("No space left on device" in text for text in run.failures):
        raise DestinationSpace(f"The file system of {order.dest} is full: {what}", paths=failed)
    raise RestoreIncomplete(what, paths=failed)


def _put_in_place(archive: Archive, order: _Order, finished: Finished, result: dict[str, Any]) -> None:
    """Prove the restored data and move them to the destination, unless another task with the same run was first."""
    done = Path(finished.log_file).with_name("in-place")
    data = order.staging / "data"
    with locking.locked(order.job, "restore", wait_seconds=None):
        if done.exists():
            result.update(_told_by_another(order))
            return
        _require_leave(order, data)
        if order.prove:
            result["proof"] = proving.prove(archive, data, order.path, list(order.sets))

        def told(digest: str) -> None:
            if order.prove:
                proving.remember(order.job, order.dest, order.wish, digest, result["proof"])

        counts, warnings = placing.put(order.job, data, order.dest, order.wish, told)
        done.touch()
        fetching.drop(order.job)
    result["restored"] = counts.to_result()
    result["warnings"] += warnings


def _told_by_another(order: _Order) -> dict[str, Any]:
    """What the task that was first has remembered."""
    record = placing.remembered(order.job, order.dest) or {}
    known = proving.remembered(order.job, order.dest, order.wish, record.get("digest", ""))
    return {"restored": record.get("counts"), **({"proof": known} if known else {})}


def _require_leave(order: _Order, data: Path) -> None:
    """Look again: hours may have passed since the first look."""
    if placing.is_free(destination.checked(str(order.dest))):
        return
    if not order.force:
        raise destination.not_empty(order.dest)
    destination.refuse_to_replace(order.job, order.dest, order.path)
    kinds = [next(tree.entries(str(one))).type for one in (order.dest, data)]
    destination.refuse_other_kind(order.dest, *kinds)
