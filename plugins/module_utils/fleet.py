# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What hosts answered becomes the state of a fleet: one row a job, what is wrong with it, and the points of charts.

Pure. Of a job and of a result only what is named here gets any further, so no secret can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import costs, offers, prices
from ansible_collections.permafrost.backup.plugins.module_utils.billed import Objects
from ansible_collections.permafrost.backup.plugins.module_utils.calendars import longest_gap, span
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import STORAGE_CLASSES
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Terms
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Prices, plain
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS, SCHEDULE
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval, is_interval, moment, to_w3

BROKEN, NOTICE, FINE = "broken", "notice", "fine"
_LEVELS = (BROKEN, NOTICE, FINE)
# As many points as a chart of one job, and one of the fleet, can show.
_JOB_POINTS = 60
_FLEET_DAYS = 180
_DAY = timedelta(days=1)
_TEXT = 600

_PROMISES = ("target", "full_if_older_than", "on_unreadable", "scheduler", "state")
_RUN = ("started", "finished", "exit_code", "cause", "unreadable_count", "proven")

Facts = dict[str, Any]


# --- what a host says ------------------------------------------------------------------------------------------------


def seen(jobs: Iterable[Mapping[str, Any]], looks: Iterable[Mapping[str, Any]], max_age: str | None) -> list[Facts]:
    """Each look of duplicity_info with what its job promises; ``looks`` are the results of a loop over names."""
    by_name = {job.get("name"): job for job in jobs}
    return [
        {
            "job": str(look.get("item")),
            "promise": _promise(by_name.get(look.get("item"), {}), max_age),
            "found": _found(look) if "chains" in look else None,
            "failure": None if "chains" in look else _failure(look),
        }
        for look in looks
    ]


def _promise(job: Mapping[str, Any], max_age: str | None) -> Facts:
    schedule = {**{name: one["default"] for name, one in SCHEDULE["options"].items()}, **(job.get("schedule") or {})}
    return {
        **{name: job.get(name, JOB_OPTIONS[name].get("default")) for name in _PROMISES},
        "schedule": {name: schedule[name] for name in ("backup", "random_delay")},
        "max_age": max_age,
    }


def _found(look: Mapping[str, Any]) -> Facts:
    backups = [run for run in look["history"] if run["verb"] == "backup"]
    return {
        "chains": [_chain(chain) for chain in look["chains"]],
        "interrupted": [one["time"] for one in look["interrupted"]],
        "orphaned_count": len(look["orphaned"]),
        "size_bytes": dict(look["size_bytes"]),
        "stored_objects": list(look["stored"]),
        "newest_volumes": list(look["newest_volumes"]),
        **{name: _run(look.get(name)) for name in ("last_run", "last_success", "last_drill")},
        "durations": [[run["time"], run["elapsed_seconds"], run["exit_code"] == 0] for run in backups[-_JOB_POINTS:]],
    }


def _chain(chain: Mapping[str, Any]) -> Facts:
    sets = [[one["time"], sum(one["size_bytes"].values())] for one in chain["sets"]]
    return {**{name: chain[name] for name in ("start", "end", "missing_count", "unreadable")}, "sets": sets}


def _run(record: Mapping[str, Any] | None) -> Facts | None:
    return None if record is None else {name: record.get(name) for name in _RUN}


def _failure(look: Mapping[str, Any]) -> Facts:
    """Why there is nothing to show: the collection's own error, or what Ansible says of the host."""
    error = look.get("error") or {}
    said = " ".join(str(look.get("msg") or "").split())[:_TEXT]
    if look.get("unreachable"):
        return {"kind": "unreachable", "text": said, "next_step": "Check that Ansible reaches the host, and run again."}
    if "cause" in error:
        text = f"{error['what']} {error['meaning']}"
        return {"kind": str(error["cause"]), "text": text[:_TEXT], "next_step": str(error["next_step"])}
    return {"kind": "look_failed", "text": said, "next_step": "Run the playbook for this host with -vvv."}


# --- the fleet -------------------------------------------------------------------------------------------------------


def status(hosts: Mapping[str, list[Facts] | None], now: datetime, table: Prices | None = None) -> Facts:
    """The state of a fleet: rows, the worst first; ``None`` is a host that did not come so far as to look.

    With prices each row says what its job costs.
    """
    rows: list[Facts] = []
    for host, jobs in hosts.items():
        rows += [_silent(host)] if jobs is None else [_row(host, one, now, table) for one in jobs]
    rows.sort(key=lambda row: (_LEVELS.index(row["verdict"]), row["host"], row["job"] or ""))
    return {
        "generated": to_w3(now),
        "counts": {level: sum(row["verdict"] == level for row in rows) for level in _LEVELS},
        "host_count": len(hosts),
        "job_count": sum(row["job"] is not None for row in rows),
        "hosts_without_jobs": sorted(host for host, jobs in hosts.items() if jobs == []),
        "size_bytes": _added(row["size_bytes"] for row in rows),
        "cost": _fleet_cost(rows, table),
        "stored": _fleet_stored(rows),
        "durations": _fleet_durations(rows),
        "rows": rows,
    }


def _empty(host: str, job: str | None, target: str | None) -> Facts:
    """A row of which nothing is known but its name."""
    unknown = (
        "last_success", "last_success_age_seconds", "max_age_seconds", "last_full", "last_full_age_seconds",
        "full_if_older_than", "full_max_age_seconds", "chain_count", "newest_chain_sets", "unreadable_count",
        "missing_count", "last_drill", "drill_cause", "last_proven", "month_usd",
    )  # fmt: skip
    names = ("interrupted", "stored", "durations", "problems", "restores")
    lists: Facts = {"size_bytes": {}, **{name: [] for name in names}}
    return {"host": host, "job": job, "target": target, "looked": False, **dict.fromkeys(unknown), **lists}


def _silent(host: str) -> Facts:
    text = "The host took no part in the look, or its jobs could not be read."
    step = "Look at what the playbook printed of this host."
    return _judged({**_empty(host, None, None), "problems": [_problem("look_failed", BROKEN, text, step)]})


def _row(host: str, one: Facts, now: datetime, table: Prices | None) -> Facts:
    promise, found, failure = one["promise"], one["found"], one["failure"]
    row = _empty(host, one["job"], promise["target"])
    row.update(_limits(promise))
    if failure:
        # A backup that runs keeps others away from its directory, and is as it should be.
        level = NOTICE if failure["kind"] == "busy" else BROKEN
        row["problems"] = [_problem(failure["kind"], level, failure["text"], failure["next_step"])]
        return _judged(row)
    row.update(_facts(found, now))
    if table:
        row.update(_cost(found, table))
    row["problems"] = [*_overdue(row, promise), *_damage(row, found), *_runs(row, found, promise)]
    return _judged(row)


def _judged(row: Facts) -> Facts:
    """The row with its verdict: that of its worst problem."""
    levels = [problem["level"] for problem in row["problems"]]
    return {**row, "verdict": min(levels, key=_LEVELS.index, default=FINE)}


def _limits(promise: Facts) -> Facts:
    """How old the last success and the last full may be."""
    age = max_age(promise)
    period = interval(promise["full_if_older_than"]) if is_interval(str(promise["full_if_older_than"])) else None
    return {
        "max_age_seconds": int(age.total_seconds()),
        "full_if_older_than": promise["full_if_older_than"],
        # duplicity makes a full at the first run after the period, which may be that much later.
        "full_max_age_seconds": None if period is None else int((period + age).total_seconds()),
    }


def max_age(promise: Facts) -> timedelta:
    """When a success is too old: half as long again as the schedule's longest gap, and its random delay.

    A job that something else runs, or whose schedule is of an unknown form, counts as daily. Raises BadTime.
    """
    if promise["max_age"]:
        return interval(str(promise["max_age"]))
    schedule = promise["schedule"]
    gap = longest_gap(str(schedule["backup"])) if promise["scheduler"] != "none" else None
    return 1.5 * (gap or _DAY) + span(str(schedule["random_delay"]))


def _facts(found: Facts, now: datetime) -> Facts:
    chains, drill = found["chains"], found["last_drill"]
    newest = max(chains, key=lambda chain: str(chain["start"]), default=None)
    success = found["last_success"]["finished"] if found["last_success"] else None
    if success is None:  # a host that was set up anew has no records, and the bucket has its sets
        success = max((str(chain["end"]) for chain in chains), default=None)
    full = newest["start"] if newest else None
    missing = [chain["missing_count"] for chain in chains]
    return {
        "looked": True,
        "last_success": success,
        "last_success_age_seconds": _age(success, now),
        "last_full": full,
        "last_full_age_seconds": _age(full, now),
        "chain_count": len(chains),
        "newest_chain_sets": len(newest["sets"]) if newest else 0,
        "size_bytes": found["size_bytes"],
        "unreadable_count": (found["last_run"] or {}).get("unreadable_count"),
        "missing_count": None if None in missing else sum(missing),
        "interrupted": found["interrupted"],
        "last_drill": drill["finished"] if drill else None,
        "drill_cause": drill["cause"] if drill else None,
        "last_proven": drill["proven"] if drill else None,
        "stored": _thinned(_running_sum(chains), _JOB_POINTS),
        "durations": found["durations"],
    }


def _age(time: str | None, now: datetime) -> int | None:
    return None if time is None else int((now - moment(time, now)).total_seconds())


# --- what it costs ---------------------------------------------------------------------------------------------------


def _cost(found: Facts, table: Prices) -> Facts:
    """A month of all that lies there, and a restore of the newest set, when all of it is frozen, tier by tier."""
    stored, volumes = ([Objects.of_result(one) for one in found[name]] for name in ("stored_objects", "newest_volumes"))
    if any(one.storage_class not in STORAGE_CLASSES for one in (*stored, *volumes)):
        return {}  # a class that no table has
    month = prices.total(line for one in stored for line in costs.stored(one, table, prices.MONTH_DAYS))
    offered = offers.of_frozen([one.amount for one in volumes], table, Terms()) if volumes else {}
    return {
        "month_usd": plain(month),
        "restores": [{"tier": tier, "total_usd": plain(prices.total(lines))} for tier, lines in offered.items()],
    }


def _fleet_cost(rows: list[Facts], table: Prices | None) -> Facts | None:
    """A month of all jobs of which it is known."""
    if table is None:
        return None
    month = sum((Decimal(row["month_usd"]) for row in rows if row["month_usd"] is not None), Decimal(0))
    return {"month_usd": plain(month), "region": table.region, "prices_date": table.date}


# --- what is wrong ---------------------------------------------------------------------------------------------------


def _problem(kind: str, level: str, text: str, next_step: str) -> Facts:
    return {"kind": kind, "level": level, "text": text, "next_step": next_step}


def _overdue(row: Facts, promise: Facts) -> list[Facts]:
    """A success or a full that should have been. Nobody promised any of a job that was taken off its host."""
    if promise["state"] == "absent":
        return []
    step = "Look at the job's timer and at the log of its last run, or run permafrost.backup.backup."
    if row["last_success_age_seconds"] is None:
        return [_problem("never", BROKEN, "No backup of this job is known.", step)]
    found = []
    if row["last_success_age_seconds"] > row["max_age_seconds"]:
        limit_hours = round(row["max_age_seconds"] / 3600)
        text = f"The last success was at {row['last_success']}, and none may be older than {limit_hours} hours."
        found.append(_problem("stale", BROKEN, text, step))
    full_limit = row["full_max_age_seconds"]
    if row["last_full_age_seconds"] is None:
        found.append(_problem("no_full", BROKEN, "The bucket holds no complete chain.", "Run duplicity_backup."))
    elif full_limit is not None and row["last_full_age_seconds"] > full_limit:
        text = f"The last full is of {row['last_full']}, and full_if_older_than is {row['full_if_older_than']}."
        found.append(_problem("full_too_old", BROKEN, text, "Run duplicity_backup with full: true."))
    return found


def _damage(row: Facts, found: Facts) -> list[Facts]:
    """What the bucket lacks, or holds and no restore uses."""
    problems = []
    for chain in found["chains"]:
        newest = chain["start"] == row["last_full"]
        named = f"chain of {chain['start']}"
        if chain["missing_count"]:
            text = f"The bucket lacks volumes or signatures of the {named}, {chain['missing_count']} in all."
            step = "Restore older versions of the objects, or make a new full."
            problems.append(_problem("missing_volumes", BROKEN, text, step))
        if chain["unreadable"]:
            text = f"The manifests of the {named} do not open: {str(chain['unreadable'])[:_TEXT]}"
            step = "Look with the secrets that the chain was made with."
            problems.append(_problem("manifest_unreadable", BROKEN if newest else NOTICE, text, step))
    if found["interrupted"]:
        text = f"An interrupted set of {', '.join(found['interrupted'][-3:])} lies in the bucket."
        problems.append(_problem("interrupted", NOTICE, text, "The next backup resumes or replaces it."))
    if found["orphaned_count"]:
        text = f"Incrementals lie in the bucket without the set that they build on, {found['orphaned_count']} in all."
        step = "permafrost.backup.cleanup with orphans=true takes them away."
        problems.append(_problem("orphaned", NOTICE, text, step))
    return problems


def _runs(row: Facts, found: Facts, promise: Facts) -> list[Facts]:
    """What the last run and the last drill left to be said."""
    problems = []
    last = found["last_run"] or {}
    if row["unreadable_count"]:
        level = BROKEN if promise["on_unreadable"] == "fail" else NOTICE
        text = f"The last run could not read {row['unreadable_count']} of the source's files and directories."
        problems.append(_problem("unreadable", level, text, "Make them readable or leave them out by job.selection."))
    elif last.get("cause"):
        text = f"The last run, of {last['started']}, failed: {last['cause']}."
        problems.append(_problem("last_run_failed", NOTICE, text, "Look at the cause in docs/errors.md."))
    if row["drill_cause"]:
        text = f"The last restore drill, of {row['last_drill']}, failed: {row['drill_cause']}."
        problems.append(_problem("drill_failed", BROKEN, text, "Look at the cause in docs/errors.md."))
    return problems


# --- charts ----------------------------------------------------------------------------------------------------------


def _added(sizes: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in sizes:
        for name, size in one.items():
            total[name] = total.get(name, 0) + size
    return dict(sorted(total.items()))


def _running_sum(chains: Iterable[Facts]) -> list[list[Any]]:
    """How what lies in the bucket today has come together: time of a set, and bytes of all sets until then."""
    points, total = [], 0
    for time, size in sorted(one for chain in chains for one in chain["sets"]):
        total += size
        points.append([time, total])
    return points


def _thinned(points: list[list[Any]], count: int) -> list[list[Any]]:
    """At most ``count`` of them, evenly, with the first and the last."""
    last = len(points) - 1
    if last < count:
        return points
    return [points[round(number * last / (count - 1))] for number in range(count)]


def _fleet_stored(rows: list[Facts]) -> list[list[Any]]:
    """The same of all jobs: the bytes at the end of each day on which that changed."""
    steps: dict[str, int] = {}
    for row in rows:
        before = 0
        for time, total in row["stored"]:
            steps[time[:10]] = steps.get(time[:10], 0) + total - before
            before = total
    points, total = [], 0
    for day in sorted(steps):
        total += steps[day]
        points.append([day, total])
    return _thinned(points, _FLEET_DAYS)


def _fleet_durations(rows: list[Facts]) -> list[list[Any]]:
    """Of each day with successful backups the median and the longest duration in seconds."""
    days: dict[str, list[float]] = {}
    for row in rows:
        for time, seconds, ended_well in row["durations"]:
            if ended_well:
                days.setdefault(time[:10], []).append(seconds)
    return [[day, round(median(days[day]), 1), max(days[day])] for day in sorted(days)][-_FLEET_DAYS:]
