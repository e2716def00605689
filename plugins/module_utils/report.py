# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a restore: what, from when, how long, what it cost. It begins with the consent.

Pure. It decides nothing about thaws, which only the bucket knows; it keeps what nobody could say afterwards: the time
of the set that the first run chose, and the quotes that were agreed to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.prices import plain
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_w3, to_w3

Report = dict[str, Any]
_MB = 1024 * 1024


def begun(text: str, wish: Mapping[str, Any]) -> Report:
    """The report of an earlier run that wished the same and did not come to its end, or a new one with the wish."""
    try:
        old = json.loads(text)
    except ValueError:
        old = None
    # Item by item: what Ansible hands to a filter is no plain dictionary.
    wanted = {str(key): wish[key] for key in wish}
    if isinstance(old, dict) and not old.get("finished") and wanted.items() <= old.items():
        return old
    return wanted


def agreed(report: Report, planned: Mapping[str, Any], quoted: Mapping[str, Any], now: datetime) -> Report:
    """The report with the plan, and with the quote if there is something to pay."""
    plan, chosen = planned["plan"], quoted["chosen"]
    quotes = list(report.get("quotes", []))
    if chosen["tier"] and not _is_rest(quotes, chosen, now):
        keys = ("tier", "days", "thaw_usd", "copies_usd")
        quotes.append({"agreed": to_w3(now), **{key: chosen[key] for key in keys}})
    return {
        **report,
        "time": planned["time"],
        "begun": report.get("begun", to_w3(now)),
        "volume_count": plan["volume_count"],
        "volumes_bytes": plan["size_bytes"],
        "prices": f"{quoted['region']}, {quoted['prices_date']}",
        "quotes": quotes,
        # What is staged already is not quoted again, and was paid all the same.
        "reading_usd": _larger(report.get("reading_usd"), chosen["reading_usd"]),
        "egress_usd": _larger(report.get("egress_usd"), chosen["egress_usd"]),
        "finished": None,
    }


def _larger(before: str | None, now: str) -> str:
    return max(before or "0", now, key=Decimal)


def _is_rest(quotes: list[dict[str, Any]], chosen: Mapping[str, Any], now: datetime) -> bool:
    """Whether what is frozen now was part of the last quote: a kill fell between the consent and the requests.

    A copy stays for ``days``, so what was requested since cannot be frozen again before.
    """
    if not quotes:
        return False
    last = quotes[-1]
    same = (last["tier"], last["days"]) == (chosen["tier"], chosen["days"])
    return same and now < from_w3(last["agreed"]) + timedelta(days=last["days"])


def finished(report: Report, restored: Mapping[str, Any], now: datetime) -> Report:
    """The report of a restore that is in place. One that an earlier run had ended has no seconds of its own."""
    sums = [report["reading_usd"], report["egress_usd"]]
    sums += [one[key] for one in report["quotes"] for key in ("thaw_usd", "copies_usd")]
    return {
        **report,
        "finished": to_w3(now),
        "elapsed_seconds": int((now - from_w3(report["begun"])).total_seconds()),
        "restore_seconds": restored.get("elapsed_seconds"),
        "restored": restored["restored"],
        "proven": bool((restored.get("proof") or {}).get("proven")),
        "cost_usd": plain(sum(map(Decimal, sums), Decimal(0))),
    }


def text(report: Report) -> str:
    """A finished report for people."""
    counts = report["restored"]
    took = timedelta(seconds=report["elapsed_seconds"])
    thaws = "; ".join(
        f"{one['tier']} for {one['days']} days, agreed at {one['agreed']}: {one['thaw_usd']} USD, copies "
        f"{one['copies_usd']} USD"
        for one in report["quotes"]
    )
    rows = {
        "Restored": f"{report['path'] or 'everything'} of job {report['job']} as of {report['time']}",
        "From": report["target"],
        "To": f"{report['dest']} on {report['host']}",
        "Holds": f"{counts['files']} files, {counts['directories']} directories, {counts['others']} others, "
        f"{counts['size_bytes']} bytes",
        "Proven": "every entry, against the signatures of that time" if report["proven"] else "no",
        "Read": f"{report['volume_count']} volumes, {report['volumes_bytes'] / _MB:.1f} MB",
        "Begun": report["begun"],
        "Finished": f"{report['finished']}, after {took}",
        "Thawed": thaws or "nothing",
        "Reading": f"{report['reading_usd']} USD, egress {report['egress_usd']} USD",
        "Cost": f"at most {report['cost_usd']} USD by the prices of {report['prices']}",
    }
    return "".join(f"{name + ':':<10} {value}\n" for name, value in rows.items())
