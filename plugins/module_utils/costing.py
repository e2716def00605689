# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of glacier_cost_info: raw copy and job, class beside class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import (
    billed,
    costs,
    counting,
    estimate,
    forecast,
    prices,
)
from ansible_collections.permafrost.backup.plugins.module_utils.archive import Archive
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, NoBackup
from ansible_collections.permafrost.backup.plugins.module_utils.forecast import Cost, Layout, Rhythm, Source, Stored
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import MINIMUM_DAYS, STORAGE_CLASSES, S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.job import CHUNK_MARGIN_MB, Job
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Terms
from ansible_collections.permafrost.backup.plugins.module_utils.policy import fitting_fulls, whole_days
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Line, Prices, plain
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS


@dataclass(frozen=True)
class Wish:
    """What a task asks for, checked."""

    layout: Layout
    rhythm: Rhythm
    terms: Terms
    change_rate: Fraction
    table: Prices


def work(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Count, and compute. Only with from_bucket is S3 asked, and nothing is changed."""
    job = Job.from_params(params["job"]) if params["job"] else None
    wish = _wish(params, job)
    source, unreadable = _source(params)
    found: list[Cost] = []
    result: dict[str, Any] = {"changed": False, "source": None, "stored": None}
    if source:
        result["source"] = {**asdict(source), "unreadable_count": unreadable}
        found += _raw(source, wish)
    if params["from_bucket"]:
        if job is None:
            raise BadInput("from_bucket needs a job, whose key prefix it looks at.")
        archive = Archive(job)
        listing = archive.listing()
        full, later = _measured(archive, listing, wish.layout)
        result["stored"] = _there(listing.values(), wish.table)
    elif source:
        changed = source.share(wish.change_rate)
        full = forecast.set_of(source, wish.layout)
        later = forecast.set_of(changed, wish.layout) if changed.entries else None
    else:
        raise BadInput("Neither directory, nor files and size_bytes, nor from_bucket is given: one is wanted.")
    plan = (wish.rhythm, wish.terms)
    found += [forecast.job_cost(full, later, name, plan, wish.table) for name in STORAGE_CLASSES]
    found.sort(key=lambda one: one.year_usd)
    return {**result, **_facts(found, wish), "warnings": _warnings(params, wish.table, unreadable)}


# --- what is asked for ----------------------------------------------------------------------------------------------


def _wish(params: dict[str, Any], job: Job | None) -> Wish:
    volume = _given(params, job, "volume_size")
    of_job = params["job"]["multipart_chunk_size"] if params["job"] else None
    chunk = params["multipart_chunk_size"] or of_job or volume + CHUNK_MARGIN_MB
    for name, value in (("volume_size", volume), ("multipart_chunk_size", chunk)):
        if not 1 <= value <= 5120:
            raise BadInput(f"{name} is {value}: 1 to 5120 is wanted.")
    if not 0 < params["compression_ratio"] <= 1:
        raise BadInput(f"compression_ratio is {params['compression_ratio']:g}: above 0 and at most 1 is wanted.")
    if not 0 <= params["change_rate"] <= 1:
        raise BadInput(f"change_rate is {params['change_rate']:g}: 0 to 1 is wanted.")
    # A float's shortest form has the digits that were written.
    ratio = Fraction(str(params["compression_ratio"])) if job is None or job.compression else None
    return Wish(
        layout=Layout(volume, chunk, ratio),
        rhythm=_rhythm(params, job),
        terms=Terms(rate=estimate.checked_rate(params["expected_rate"]), egress=params["egress"]),
        change_rate=Fraction(str(params["change_rate"])),
        table=prices.checked_prices(params["prices"]),
    )


def _given(params: dict[str, Any], job: Job | None, name: str) -> Any:
    """An option of the task, else that of its job, else a job's default."""
    if params[name] is not None:
        return params[name]
    return getattr(job, name) if job else JOB_OPTIONS[name]["default"]


def _rhythm(params: dict[str, Any], job: Job | None) -> Rhythm:
    full, every = (whole_days(text) for text in (_given(params, job, "full_if_older_than"), params["backup_every"]))
    keep = params["keep_fulls"]
    if keep is None and job and job.retention:
        keep = job.retention.keep_fulls
    if keep is not None and keep < 1:
        raise BadInput(f"keep_fulls is {keep}: at least 1 is wanted.")
    return Rhythm(full, every, keep or fitting_fulls(max(MINIMUM_DAYS.values()), full))


def _source(params: dict[str, Any]) -> tuple[Source | None, int]:
    if params["directory"]:
        return counting.count(params["directory"])
    if params["files"] is None:
        return None, 0
    if params["files"] < 1 or params["size_bytes"] < 0:
        raise BadInput("files must be at least 1, and size_bytes at least 0.")
    return forecast.evenly(params["files"], params["size_bytes"]), 0


def _measured(archive: Archive, listing: dict[str, S3Object], layout: Layout) -> tuple[Stored, Stored | None]:
    """The newest full, and the mean of all incrementals."""
    chains = archive.collection(listing).chains
    if not chains:
        raise NoBackup(f"{archive.job.url} holds no complete chain.")
    later = [forecast.set_found(one, listing, layout) for chain in chains for one in chain.sets[1:]]
    return forecast.set_found(chains[-1].sets[0], listing, layout), forecast.mean(later) if later else None


# --- what is told ---------------------------------------------------------------------------------------------------


def _raw(source: Source, wish: Wish) -> list[Cost]:
    changed, plan = source.share(wish.change_rate), (wish.rhythm, wish.terms)
    return [forecast.raw_cost(source, changed, name, plan, wish.table) for name in STORAGE_CLASSES]


def _there(objects: Iterable[S3Object], table: Prices) -> dict[str, Any]:
    """What lies there now: its cost a month, and that of its deletion today."""
    found, now = list(objects), datetime.now(timezone.utc)
    by_class = billed.summed(found)
    month = [line for one in by_class for line in costs.stored(one, table, prices.MONTH_DAYS)]
    early = list(costs.early(found, table, now))
    return {
        "objects": [one.to_result() for one in by_class],
        "month_usd": plain(prices.total(month)),
        "early_delete_usd": plain(prices.total(early)),
        "lines": [line.to_result() for line in (*month, *early)],
    }


def _facts(found: list[Cost], wish: Wish) -> dict[str, Any]:
    table, rhythm = wish.table, wish.rhythm
    archived = [name for name in STORAGE_CLASSES if MINIMUM_DAYS[name]]
    return {
        "region": table.region,
        "prices_date": table.date,
        "unverified": sorted({one.figure.name for one in _all_lines(found) if not one.figure.verified}),
        "costs": [one.to_result() for one in found],
        "table": forecast.table_of(found),
        "rhythm": {**asdict(rhythm), "kept_days": rhythm.kept_days},
        "retention": [
            {
                "storage_class": name,
                "minimum_days": MINIMUM_DAYS[name],
                "fitting_keep_fulls": fitting_fulls(MINIMUM_DAYS[name], rhythm.full_days),
                "early_sets": sum(left > 0 for left in rhythm.days_left(name)),
                "sets": rhythm.runs,
            }
            for name in archived
        ],
        "break_even": [
            forecast.break_even(name, rhythm, wish.layout.volume_size, table).to_result() for name in archived
        ],
    }


def _all_lines(found: list[Cost]) -> Iterable[Line]:
    for one in found:
        for part in (one.upload, one.storage, one.again, one.early, *one.restores.values()):
            yield from part


def _warnings(params: dict[str, Any], table: Prices, unreadable: int) -> list[str]:
    told = []
    if unreadable:
        told.append(f"{unreadable} entries of {params['directory']} could not be read, so they are not counted.")
    if params["region"] not in (None, table.region):
        told.append(
            f"The bucket is in {params['region']}, and the prices are those of {table.region} of {table.date}: the "
            "costs are only about right. Give prices of that Region."
        )
    return told
