# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A restore drill: its policy, its sample, what of it can be read without a thaw, and the record of how it ended.

Pure. A drill is a restore of some paths to a scratch directory, so plan, quote and report are those of restores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import figures, report
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import READABLE, READY
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_w3, interval, is_interval, to_w3

Facts = dict[str, Any]

# paths stand in the place of a sample; without a seed each day has another sample.
DEFAULTS: Facts = {
    "sample": 3,
    "paths": [],
    "seed": None,
    "cold": False,
    "max_cost": None,
    "tier": None,
    "every": "4W",
}
_MOST = 1000
_TEXT = 600
PROVEN, LOOKED, FAILED = "proven", "looked", "failed"
# The cause of what failed outside of this collection's modules.
_TASK_FAILED = "task_failed"


# --- the policy ------------------------------------------------------------------------------------------------------


def policy(*layers: Mapping[str, Any]) -> Facts:
    """The policy that layers make, each before those that follow it. Raises BadInput."""
    made = dict(DEFAULTS)
    for layer in layers:
        unknown = sorted(set(layer) - set(DEFAULTS))
        if unknown:
            raise BadInput(f"The policy of drills has no {', '.join(unknown)}; it has {', '.join(DEFAULTS)}.")
        made.update({name: layer[name] for name in layer if layer[name] is not None})
    if isinstance(made["paths"], str):
        raise BadInput("paths of a drill is no list.")
    made["paths"] = [str(path) for path in made["paths"]]
    made["sample"] = 0 if made["paths"] else _whole(made["sample"])
    made["cold"] = _yes(made["cold"])
    made["max_cost"] = _dollars(made["max_cost"])
    if not is_interval(str(made["every"])):
        raise BadInput(f"every of a drill is '{made['every']}': an interval such as 4W is wanted.")
    if made["cold"] and made["max_cost"] is None:
        raise BadInput("A drill with cold: true pays for thaws, and has no max_cost: say how many US dollars at most.")
    return made


def _whole(value: Any) -> int:
    if not str(value).isdigit() or not 1 <= int(value) <= _MOST:
        raise BadInput(f"sample of a drill is '{value}': 1 to {_MOST} files are wanted, or a list of paths.")
    return int(value)


def _yes(value: Any) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    found = words.get(str(value).lower())
    if found is None:
        raise BadInput(f"cold of a drill is '{value}': true or false is wanted.")
    return found


def _dollars(value: Any) -> float | None:
    if value is None:
        return None
    try:
        cost = float(value)
    except (TypeError, ValueError):
        cost = -1.0
    if not 0 <= cost < float("inf"):
        raise BadInput(f"max_cost of a drill is '{value}': US dollars are wanted, 0 or more.")
    return cost


def is_due(of: Mapping[str, Any], last: Mapping[str, Any], now: datetime) -> bool:
    """Whether a job that was drilled ``last`` (empty: never) is to be drilled now."""
    finished = last.get("finished")
    return not finished or from_w3(finished) + interval(str(of["every"])) <= now


# --- the sample ------------------------------------------------------------------------------------------------------


def joined(results: Iterable[Mapping[str, Any]], *, cold: bool) -> Facts:
    """One plan of the plans of all paths, and which paths are in it; unless ``cold``, only what is readable now.

    ``results`` are those of glacier_restore_info. ``left_out`` names the other paths, and what keeps them away. A
    volume that several paths need is thawed once and read for each: it is there as often, and frozen only once.
    """
    made: Facts = {"time": None, "paths": [], "left_out": [], "bucket": None}
    readings: list[Mapping[str, Any]] = []
    seen: set[str] = set()
    for one in results:
        plan = one["plan"]
        if made["time"] not in (None, one["time"]):
            raise BadInput("A backup came to its end while the drill was planned. Run it again.")
        made.update(time=one["time"], bucket=plan["bucket"])
        if not plan["ready"] and not cold:
            made["left_out"].append(_left_out(one["path"], plan))
            continue
        made["paths"].append(one["path"])
        readings += [{**volume, "state": READY} if volume["key"] in seen else volume for volume in plan["volumes"]]
        seen |= {volume["key"] for volume in plan["volumes"]}
    return {**made, "plan": _plan(made["bucket"], readings)}


def _left_out(path: str, plan: Mapping[str, Any]) -> Facts:
    away = [volume for volume in plan["volumes"] if volume["state"] not in READABLE]
    return {
        "path": path,
        "volumes": [volume["key"] for volume in away][:5],
        "volume_count": len(away),
        "size_bytes": sum(volume["size_bytes"] for volume in away),
        "states": sorted({volume["state"] for volume in away}),
    }


def _plan(bucket: str | None, volumes: list[Mapping[str, Any]]) -> Facts:
    return {
        "bucket": bucket,
        "volumes": volumes,
        "volume_count": len(volumes),
        "size_bytes": sum(volume["size_bytes"] for volume in volumes),
        "ready": all(volume["state"] in READABLE for volume in volumes),
    }


# --- how it ended ----------------------------------------------------------------------------------------------------


def record(about: Mapping[str, Any], outcome: Mapping[str, Any], last: Mapping[str, Any], now: datetime) -> Facts:
    """What is kept of a drill that came to an end.

    ``about`` says of which job, and what is known so far; ``outcome`` has ``restored`` (results of duplicity_restore)
    and the restore's ``report``, or ``failed`` (the result of the task that failed), or neither when nothing could be
    read. ``last`` is the record before, whose proof counts until there is a newer one.
    """
    made = {str(name): about[name] for name in about}
    made.update(finished=to_w3(now), cause=None, outcome=LOOKED, proven=last.get("proven"))
    made["elapsed_seconds"] = int((now - from_w3(made["started"])).total_seconds())
    if outcome.get("failed"):
        cause, what = failure(outcome["failed"])
        return {**made, "outcome": FAILED, "cause": cause, "what": what}
    if outcome.get("restored"):
        total = _total(outcome["restored"])
        cost = report.finished(outcome["report"], total, now)["cost_usd"]
        made.update(outcome=PROVEN, proven=to_w3(now), restored=total["restored"], cost_usd=cost)
    return made


def _total(results: Iterable[Mapping[str, Any]]) -> Facts:
    """What several restores brought, as if it had been one. Raises BadInput unless each of them is proven."""
    counts: dict[str, int] = {}
    seconds = 0.0
    for one in results:
        if not one.get("proof", {}).get("proven"):
            raise BadInput(f"The restore of '{one['path']}' was not proven.")
        seconds += one.get("elapsed_seconds") or 0
        for name, count in one["restored"].items():
            counts[name] = counts.get(name, 0) + count
    return {"restored": counts, "elapsed_seconds": round(seconds, 1)}


def failure(result: Mapping[str, Any]) -> tuple[str, str]:
    """Cause and text of a failed task; of a loop, those of the first that failed."""
    failed = [one for one in result.get("results", []) if one.get("failed")]
    first = failed[0] if failed else result
    error = first.get("error") or {}
    said = " ".join(str(error.get("what") or first.get("msg") or "").split())
    return str(error.get("cause") or _TASK_FAILED), said[:_TEXT]


def metrics(of: Mapping[str, Any]) -> str:
    """The record as a file for node_exporter."""
    found = {
        "last_run_timestamp_seconds": from_w3(of["finished"]).timestamp(),
        "duration_seconds": float(of["elapsed_seconds"]),
        "exit_code": 1.0 if of["cause"] else 0.0,
    }
    if of["proven"]:
        found["last_success_timestamp_seconds"] = from_w3(of["proven"]).timestamp()
    return figures.text(str(of["job"]), {"drill": found})
