# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a job's retention and chunks make economic sense for what is in its source.

Pure. Sentences for people, each with the value that would be better. What takes prices is in economy_by_prices.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.permafrost.backup.plugins.module_utils.billed import parts
from ansible_collections.permafrost.backup.plugins.module_utils.job import CHUNK_MARGIN_MB, Job

_MB = 1 << 20

# The write of an archived object costs about as much as ten of STANDARD, and as those every part is billed.
_MOST_PARTS = 10


def advice(job: Job, statistics: Mapping[str, int]) -> list[str]:
    """What makes no sense for a source of so many bytes."""
    return [*unfit_retention(job), *_chunk(job, statistics.get("source_bytes", 0))]


def unfit_retention(job: Job) -> list[str]:
    """What of it comes before the minimum of the storage class."""
    told = job.retention.unfit(job.storage_class, job.full_if_older_than) if job.retention else []
    return [f"job.retention: {text}." for text in told]


def _chunk(job: Job, size: int) -> Iterator[str]:
    """A source that is smaller than a volume makes a smaller one."""
    largest = min(size, job.volume_size * _MB)
    requests = parts(largest, job.multipart_chunk_size * _MB)
    if requests > _MOST_PARTS:
        yield (
            f"job.multipart_chunk_size is {job.multipart_chunk_size}: each volume of {largest // _MB} MB takes "
            f"{requests + 1} billed requests. With {job.volume_size + CHUNK_MARGIN_MB}, or without the option, it is "
            "one."
        )
