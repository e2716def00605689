"""economy.py and economy_by_prices.py: what of a job makes no sense for its source."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import economy, economy_by_prices
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Prices
from unit.priced import PRICES
from unit.stage import job_params

GB = 1 << 30
RULES = {"older_than": None, "keep_incrementals_of": None, "orphans": False, "orphan_age": "7D"}
LARGE = (10_000, 100 * GB)


def advice(source: tuple[int, int], table: Prices | None = PRICES, **changes: Any) -> list[str]:
    job = Job.from_params(job_params(**changes))
    statistics = {"source_files": source[0], "source_bytes": source[1]}
    told = economy.advice(job, statistics)
    return [*told, *economy_by_prices.advice(job, statistics, table)] if table else told


def test_a_job_as_it_is_by_default_makes_sense_for_what_is_worth_an_archive() -> None:
    assert advice(LARGE) == []
    assert advice(LARGE, retention={"keep_fulls": 8, **RULES}) == []
    assert advice(LARGE, volume_size=1024) == []
    assert advice((0, 0)) == []


def test_a_retention_before_the_minimum() -> None:
    (told,) = advice(LARGE, None, retention={"keep_fulls": 7, **RULES})
    assert told.startswith("job.retention: keep_fulls is 7: ")
    assert told.endswith("8 would fit.")


def test_chunks_that_make_a_volume_many_requests() -> None:
    (told,) = advice(LARGE, None, volume_size=1024, multipart_chunk_size=10)
    assert told == (
        "job.multipart_chunk_size is 10: each volume of 1024 MB takes 105 billed requests. With 1088, or without the "
        "option, it is one."
    )
    assert advice(LARGE, None, volume_size=1024, multipart_chunk_size=128) == []
    assert advice((10, 5 << 20), None, volume_size=1024, multipart_chunk_size=10) == [], "it is one chunk"


def test_volumes_that_are_too_small_for_the_class() -> None:
    (told,) = advice(LARGE, volume_size=10)
    assert told.startswith("job.volume_size is 10: requests and overhead of each volume cost 71 % of its storage")
    assert "With 72 it is 10 %." in told
    assert advice(LARGE, volume_size=72) == []
    assert advice(LARGE, None, volume_size=10) == [], "that takes prices"
    assert advice(LARGE, volume_size=10, storage_class="STANDARD")[0].startswith("job.storage_class is STANDARD")
    assert not any("volume_size" in one for one in advice((10, GB // 200), volume_size=10))


@pytest.mark.parametrize(
    ("source", "storage_class", "better"),
    [
        (LARGE, "STANDARD", "DEEP_ARCHIVE"),
        (LARGE, "GLACIER", "DEEP_ARCHIVE"),
        ((3, 1000), "DEEP_ARCHIVE", "STANDARD"),
        ((3, 1000), "STANDARD", None),
        (LARGE, "DEEP_ARCHIVE", None),
    ],
)
def test_another_class_is_told_when_it_is_cheaper(
    source: tuple[int, int], storage_class: str, better: str | None
) -> None:
    told = [one for one in advice(source, storage_class=storage_class) if "storage_class" in one]
    assert bool(told) == (better is not None)
    assert all(f" in {better}, " in one for one in told)


def test_early_deletions_count_for_the_class() -> None:
    """Thrown away every fortnight, data are cheaper where nothing is billed for half a year."""
    kept = {"keep_fulls": 1, **RULES}
    told = advice(LARGE, full_if_older_than="3D", retention=kept)
    assert any("storage_class" in one for one in told)
