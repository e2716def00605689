# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a job's volumes and storage class make economic sense for what is in its source, by a table of prices.

Pure. Sentences for people, each with the value that would be better. What needs no prices is in economy.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from ansible_collections.permafrost.backup.plugins.module_utils import forecast, glacier
from ansible_collections.permafrost.backup.plugins.module_utils.forecast import MB, Cost, Layout, Rhythm
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Terms
from ansible_collections.permafrost.backup.plugins.module_utils.policy import fitting_fulls, whole_days
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Prices

# Requests and overhead of a volume may be so many hundredths of its storage.
_MOST_PERCENT = 10
# Another class is worth a word from so many dollars a year on.
_LEAST_GAIN = Decimal("0.01")
# What is taken to change from one backup to the next.
_CHANGE_RATE = Fraction(1, 100)


def advice(job: Job, statistics: Mapping[str, int], table: Prices) -> list[str]:
    """What makes no sense for a source of so many files and bytes."""
    files, size = statistics.get("source_files", 0), statistics.get("source_bytes", 0)
    return [*_volume(job, size, table), *_class(job, (files, size), table)] if files else []


def _volume(job: Job, size: int, table: Prices) -> Iterator[str]:
    if job.storage_class not in glacier.ARCHIVED or size <= job.volume_size * MB:
        return
    one_percent = forecast.break_even(job.storage_class, _rhythm(job), job.volume_size, table).one_percent_bytes or 0
    percent = one_percent / (job.volume_size * MB)
    if percent > _MOST_PERCENT:
        yield (
            f"job.volume_size is {job.volume_size}: requests and overhead of each volume cost {percent:.0f} % of its "
            f"storage in {job.storage_class}. With {-(-one_percent // (_MOST_PERCENT * MB))} it is {_MOST_PERCENT} %."
        )


def _class(job: Job, source: tuple[int, int], table: Prices) -> Iterator[str]:
    whole = forecast.evenly(*source)
    layout = Layout(job.volume_size, job.multipart_chunk_size, Fraction(1) if job.compression else None)
    sets = forecast.set_of(whole, layout), forecast.set_of(whole.share(_CHANGE_RATE), layout)
    plan = (_rhythm(job), Terms())
    years: dict[str, Cost] = {name: forecast.job_cost(*sets, name, plan, table) for name in glacier.STORAGE_CLASSES}
    own, best = years[job.storage_class], min(years.values(), key=lambda one: one.year_usd)
    if own.year_usd - best.year_usd >= _LEAST_GAIN:
        yield (
            f"job.storage_class is {job.storage_class}: the {source[0]} files of {source[1]} bytes cost about "
            f"{own.year_usd:.2f} USD a year there, and {best.year_usd:.2f} in {best.storage_class}, with all chains "
            "that are kept and early deletions."
        )


def _rhythm(job: Job) -> Rhythm:
    full_days = whole_days(job.full_if_older_than)
    keep = job.retention.keep_fulls if job.retention else None
    return Rhythm(full_days, 1, keep or fitting_fulls(max(glacier.MINIMUM_DAYS.values()), full_days))
