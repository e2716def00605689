# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of a fleet as people read it: words for ages and sizes, cells of a table, lines of charts.

Pure. What comes out is plain text and numbers; the template escapes every word of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from decimal import ROUND_CEILING, Decimal
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.fleet import BROKEN, FINE, NOTICE, Facts
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval, is_interval, moment

Points = list[tuple[float, float]]
Draw = Callable[[Points, int], str]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
WORDS = {BROKEN: "broken", NOTICE: "look", FINE: "fine"}
# What makes a cell red, or asks for a look: kinds of problems by column.
_MARKS = {
    "success": ("never", "stale", "last_run_failed"),
    "full": ("no_full", "full_too_old"),
    "chains": ("orphaned", "manifest_unreadable", "interrupted"),
    "missing": ("missing_volumes", "manifest_unreadable"),
    "unreadable": ("unreadable",),
    "drill": ("drill_failed",),
}
_SPARK_WIDTH, _SPARK_HEIGHT = 90, 22
_CHART_WIDTH, _CHART_HEIGHT = 600, 120
_SHORT_LINE = 6.0


def page(model: Facts) -> Facts:
    """All that the template lays out."""
    return {
        "generated": _time_text(model["generated"], seconds=True),
        "state": [{"level": level, "word": WORDS[level], "count": model["counts"][level]} for level in WORDS],
        "jobs": model["job_count"],
        "hosts": model["host_count"],
        "total": bytes_text(sum(model["size_bytes"].values())),
        "classes": [{"name": name, "size": bytes_text(size)} for name, size in model["size_bytes"].items()],
        "cost": _cost_text(model["cost"]),
        "hosts_without_jobs": model["hosts_without_jobs"],
        "charts": _charts(model),
        "rows": [_row(row) for row in model["rows"]],
    }


def costs(model: Facts) -> list[str]:
    """What each job costs, as lines of text; the dearest first."""
    known = sorted((row for row in model["rows"] if row["month_usd"]), key=lambda row: -Decimal(row["month_usd"]))
    lines = []
    for row in known:
        restores = [f"{one['tier'] or 'at once'} {_usd(Decimal(one['total_usd']))}" for one in row["restores"]]
        told = f"; restored whole: {', '.join(restores)}" if restores else ""
        lines.append(f"{row['host']} {row['job']}: {_usd(Decimal(row['month_usd']))} a month{told}")
    return [*lines, f"together: {_cost_text(model['cost'])}"] if model["cost"] else []


# --- words -----------------------------------------------------------------------------------------------------------


def bytes_text(count: float) -> str:
    """``12.3 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"


def span_text(seconds: float) -> str:
    """``45 s``, ``12 min``, ``5 h``, ``3 d``: enough to see at a glance."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:.1f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"


def _time_text(time: str, *, seconds: bool = False) -> str:
    return f"{moment(time, _EPOCH):%Y-%m-%d %H:%M:%S}" if seconds else f"{moment(time, _EPOCH):%Y-%m-%d %H:%M}"


# --- a row -----------------------------------------------------------------------------------------------------------


def _row(row: Facts) -> Facts:
    problems = [{**one, "word": WORDS[one["level"]]} for one in row["problems"]]
    return {
        "level": row["verdict"],
        "word": WORDS[row["verdict"]],
        "rank": list(WORDS).index(row["verdict"]),
        "host": row["host"],
        "job": row["job"] or "",
        "target": row["target"] or "",
        "problems": problems,
        "cells": [{**cell, "mark": _mark(row, cell["name"])} for cell in _cells(row)],
        "stored": _spark_stored(row["stored"]),
        "durations": _spark_durations(row["durations"]),
    }


def _mark(row: Facts, name: str) -> str:
    kinds = _MARKS.get(name, ())
    levels = [problem["level"] for problem in row["problems"] if problem["kind"] in kinds]
    return BROKEN if BROKEN in levels else (NOTICE if levels else "")


def _cells(row: Facts) -> list[Facts]:
    if not row["looked"]:
        names = ("success", "full", "chains", "size", "cost", "missing", "unreadable", "drill")
        return [_cell(name) for name in names]
    return [
        _aged("success", row["last_success"], row["last_success_age_seconds"], "never"),
        _full(row),
        _chains(row),
        _size(row),
        _cost(row),
        _counted("missing", row["missing_count"]),
        _counted("unreadable", row["unreadable_count"]),
        _drill(row),
    ]


def _cell(name: str, text: str = "", sort: float | None = None, *notes: str) -> Facts:
    """``sort`` is what the column is sorted by; without one the row goes last."""
    return {"name": name, "text": text, "notes": notes, "sort": "" if sort is None else f"{sort:.0f}", "fill": ""}


def _aged(name: str, time: str | None, age: int | None, never: str) -> Facts:
    if time is None or age is None:
        return _cell(name, never)
    return _cell(name, span_text(age), age, _time_text(time))


def _full(row: Facts) -> Facts:
    """The age of the last full, and how much of the time that its policy gives is gone."""
    cell = _aged("full", row["last_full"], row["last_full_age_seconds"], "none")
    policy = str(row["full_if_older_than"])
    if row["last_full"] and is_interval(policy):
        whole = interval(policy).total_seconds()
        share = row["last_full_age_seconds"] / whole if whole else 1.0
        cell.update(text=f"{cell['text']} of {policy}", fill=f"{min(max(share, 0.0), 1.0) * 100:.0f}")
    return cell


def _chains(row: Facts) -> Facts:
    sets = row["newest_chain_sets"]
    parts = [f"newest {sets} {'set' if sets == 1 else 'sets'}"] if sets else []
    parts += [f"{len(row['interrupted'])} interrupted"] if row["interrupted"] else []
    return _cell("chains", str(row["chain_count"]), row["chain_count"], *parts)


def _size(row: Facts) -> Facts:
    total = sum(row["size_bytes"].values())
    by_size = sorted(row["size_bytes"].items(), key=lambda item: -item[1])
    return _cell("size", bytes_text(total), total, *(f"{name} {bytes_text(size)}" for name, size in by_size))


def _cost(row: Facts) -> Facts:
    """A month, and below it a restore of all by tier. It is sorted by the millionth of a dollar."""
    if row["month_usd"] is None:
        return _cell("cost", "not known")
    month = Decimal(row["month_usd"])
    notes = [f"{one['tier'] or 'restore'} {_usd(Decimal(one['total_usd']))}" for one in row["restores"]]
    return _cell("cost", _usd(month), float(month) * 1e6, *notes)


def _usd(amount: Decimal) -> str:
    """In whole cents, and at the least one where it costs anything."""
    return f"${amount.quantize(Decimal('0.01'), rounding=ROUND_CEILING)}"


def _cost_text(cost: Facts | None) -> str:
    if cost is None:
        return ""
    return f"{_usd(Decimal(cost['month_usd']))} a month by the prices of {cost['region']} of {cost['prices_date']}"


def _counted(name: str, count: int | None) -> Facts:
    return _cell(name, "not known") if count is None else _cell(name, str(count), count)


def _drill(row: Facts) -> Facts:
    """The last proven restore. A drill that failed since is what counts."""
    proven = row["last_proven"]
    known = [f"proven {_time_text(proven)}"] if proven else []
    if row["drill_cause"]:
        failed = row["last_drill"]
        return _cell("drill", "failed", moment(failed, _EPOCH).timestamp(), _time_text(failed), *known)
    if proven is None:
        return _cell("drill", "never proven")
    return _cell("drill", "proven", moment(proven, _EPOCH).timestamp(), _time_text(proven))


# --- lines -----------------------------------------------------------------------------------------------------------


def _spark_stored(points: list[list[Any]]) -> Facts:
    """A step line of the bytes in the bucket over the times of its sets."""
    if not points:
        return {}
    seconds = [_seconds(point[0]) for point in points]
    scaled = _scaled(seconds, [[point[1] for point in points]], _SPARK_WIDTH, _SPARK_HEIGHT)[0]
    first, last = points[0], points[-1]
    return {
        "line": _steps(scaled, _SPARK_WIDTH),
        "title": f"{bytes_text(first[1])} by {first[0][:10]}, {bytes_text(last[1])} by {last[0][:10]}",
    }


def _spark_durations(points: list[list[Any]]) -> Facts:
    """A bar a backup, the newest at the right; those that failed apart."""
    if not points:
        return {}
    shown = points[-_SPARK_WIDTH // 3 :]
    top = max(point[1] for point in shown) or 1
    bars: dict[bool, str] = {True: "", False: ""}
    for number, (_time, seconds, ended_well) in enumerate(shown):
        x = _SPARK_WIDTH - 3 * (len(shown) - number) + 1
        height = max(1, round(seconds / top * _SPARK_HEIGHT))
        bars[ended_well] += f"M{x} {_SPARK_HEIGHT}v-{height}"
    failed = sum(not point[2] for point in shown)
    title = f"{len(shown)} backups, {failed} failed; the last took {span_text(shown[-1][1])}, the longest "
    return {"good": bars[True], "bad": bars[False], "title": title + span_text(top)}


def _charts(model: Facts) -> list[Facts]:
    """Stored size, and duration of backups, of the fleet."""
    return [
        {
            "title": "Stored, by the time of the set",
            "note": "what lies in the bucket today",
            **_chart(model["stored"], ("bytes",), bytes_text, _steps),
        },
        {
            "title": "Duration of backups",
            "note": "median and longest of each day",
            **_chart(model["durations"], ("median", "longest"), span_text, _straight),
        },
    ]


def _chart(points: list[list[Any]], names: Sequence[str], words: Callable[[float], str], draw: Draw) -> Facts:
    """Lines, ticks and a summary. A point is a time and a value for each name."""
    if not points:
        return {"lines": [], "y_ticks": [], "x_ticks": [], "summary": "no data yet"}
    values = [[point[column] for point in points] for column in range(1, len(names) + 1)]
    top = max(max(line) for line in values) or 1
    scaled = _scaled([_seconds(point[0]) for point in points], values, _CHART_WIDTH, _CHART_HEIGHT)
    shares = (1.0, 0.5, 0.0)
    newest = ", ".join(f"{name} {words(line[-1])}" for name, line in zip(names, values))
    return {
        "lines": [{"name": name, "path": draw(line, _CHART_WIDTH)} for name, line in zip(names, scaled)],
        "y_ticks": [{"y": f"{_CHART_HEIGHT * (1 - one):.0f}", "text": words(top * one)} for one in shares],
        "x_ticks": _dates(points),
        "summary": f"from {points[0][0][:10]} to {points[-1][0][:10]}, last {newest}",
    }


def _dates(points: list[list[Any]]) -> list[Facts]:
    """Labels of the first day and the last, where there are two."""
    ends = [(0, "start", points[0][0][:10]), (_CHART_WIDTH, "end", points[-1][0][:10])]
    shown = ends if len(points) > 1 else ends[1:]
    return [{"x": str(x), "anchor": anchor, "text": text} for x, anchor, text in shown]


def _seconds(time: str) -> float:
    return moment(time, _EPOCH).timestamp()


def _scaled(seconds: list[float], series: list[list[float]], width: int, height: int) -> list[Points]:
    """Points of all lines in one box, with zero at its bottom. One moment alone stands at the right."""
    first, whole = seconds[0], seconds[-1] - seconds[0]
    top = max(max(values) for values in series) or 1
    across = [(one - first) / whole * width if whole else width - _SHORT_LINE for one in seconds]
    return [[(x, height - value / top * height) for x, value in zip(across, values)] for values in series]


def _steps(points: Points, width: int) -> str:
    (x, y), *others = points
    return f"M{x:.0f} {y:.1f}" + "".join(f"H{x:.0f}V{y:.1f}" for x, y in others) + f"H{width}"


def _straight(points: Points, width: int) -> str:
    """One point becomes a short line that can be seen."""
    if len(points) == 1:
        return _steps(points, width)
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
