"""billed.py, costs.py and forecast.py: the guide's sums, each figure recomputed here with an arithmetic of its own."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import billed, costs, forecast, policy, prices
from ansible_collections.permafrost.backup.plugins.module_utils.billed import Objects
from ansible_collections.permafrost.backup.plugins.module_utils.forecast import Cost, Layout, Rhythm, Source
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import STORAGE_CLASSES, S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Terms
from lab.places import CHECKOUT
from unit.priced import PRICES

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
KB, MB, GB = 1 << 10, 1 << 20, 1 << 30
FILES = 10_000_000
GUIDE = forecast.evenly(FILES, FILES * KB)
# Of the price file, by hand.
MONTH = {"STANDARD": "0.023", "GLACIER_IR": "0.004", "GLACIER": "0.0036", "DEEP_ARCHIVE": "0.00099"}
PUT = {"STANDARD": "0.005", "GLACIER_IR": "0.02", "GLACIER": "0.03", "DEEP_ARCHIVE": "0.05"}
# The guide's: a full every 4 weeks, an incremental a day; eight fulls are kept, and nothing goes early.
RHYTHM = Rhythm(28, 1, 8)
TERMS = Terms(days=7)


def gb_month(size: Fraction | int, name: str, days: int = 30) -> Fraction:
    return Fraction(size, GB) * Fraction(MONTH[name]) * days / 30


def near(amount: Decimal, usd: Fraction) -> bool:
    """Each line is rounded to a billionth, and there are a few."""
    return abs(Fraction(amount) - usd) <= Fraction(1, 10**8)


def raw(name: str, change: str = "0", rhythm: Rhythm = RHYTHM) -> Cost:
    return forecast.raw_cost(GUIDE, GUIDE.share(Fraction(change)), name, (rhythm, TERMS), PRICES)


def job(name: str, layout: Layout, change: str = "0", rhythm: Rhythm = RHYTHM) -> Cost:
    changed = GUIDE.share(Fraction(change))
    later = forecast.set_of(changed, layout) if changed.files else None
    return forecast.job_cost(forecast.set_of(GUIDE, layout), later, name, (rhythm, TERMS), PRICES)


# --- the guide's ten million files of 1 KB --------------------------------------------------------------------------


def test_a_raw_copy_of_the_guides_files() -> None:
    """What the guide says: 500 for the upload (right), 8 GB of metadata and 33 GB of archive (ten times as much)."""
    upload = {name: raw(name).upload_usd for name in STORAGE_CLASSES}
    assert upload == {"STANDARD": 50, "GLACIER_IR": 200, "GLACIER": 300, "DEEP_ARCHIVE": 500}
    standard = FILES * 8 * KB
    archive = FILES * (1 + 32) * KB
    assert (standard / 10**9, round(archive / GB)) == (81.92, 315)
    glacier = raw("GLACIER")
    assert near(glacier.month_usd, gb_month(archive, "GLACIER") + gb_month(standard, "STANDARD"))
    assert round(glacier.month_usd, 2) == Decimal("2.89")
    assert near(raw("DEEP_ARCHIVE").month_usd, gb_month(archive, "DEEP_ARCHIVE") + gb_month(standard, "STANDARD"))
    assert round(raw("DEEP_ARCHIVE").month_usd, 2) == Decimal("2.07")
    assert near(raw("STANDARD").month_usd, gb_month(FILES * KB, "STANDARD"))
    # Each object is paid for as 128 KB.
    assert near(raw("GLACIER_IR").month_usd, gb_month(FILES * 128 * KB, "GLACIER_IR"))


def test_the_guides_files_as_volumes_of_a_job() -> None:
    """8 objects, says the guide: 9, since names and headers count; and signatures and a manifest in STANDARD."""
    packed = FILES * (1024 * Fraction(8, 10) * Fraction(1025, 1024) + 64 + 64)
    volumes = math.ceil(packed / (GB - 128 * KB))
    assert volumes == 9
    # Those that are full count with all their size.
    packed = 8 * GB + packed - 8 * (GB - 128 * KB) + 16 * KB
    signatures = FILES * (12 + 2 * 12 + 64 + 64) + 16 * KB
    manifest = FILES * (64 + 16) + volumes * 1024
    assert math.ceil(signatures / (1088 * MB)) == 2
    found = job("DEEP_ARCHIVE", Layout(1024, 1088, Fraction(8, 10)))
    upload = Fraction(PUT["DEEP_ARCHIVE"]) * volumes / 1000 + Fraction(PUT["STANDARD"]) * (2 + 1 + 2) / 1000
    assert Fraction(found.upload_usd) == upload == Fraction("0.000475")
    one = gb_month(packed + volumes * 32 * KB, "DEEP_ARCHIVE") + gb_month(volumes * 8 * KB, "STANDARD")
    one += gb_month(signatures + manifest, "STANDARD")
    assert near(prices.total(found.storage), 8 * one)
    assert near(found.month_usd, 8 * one + upload * 30 / 28)
    assert found.month_usd < raw("DEEP_ARCHIVE").month_usd / 3
    assert prices.total(found.early) == 0


def test_the_guides_chunks_and_its_retention() -> None:
    """Chunks of 10 MB: 104 requests a volume. Seven fulls: 11 of 28 sets of a chain are deleted early."""
    found = forecast.set_of(GUIDE, Layout(1024, 10, Fraction(8, 10)))
    whole = found.volumes.count - 1
    last = found.volumes.size_bytes - whole * GB
    assert found.volumes.parts == whole * (1 + 103) + 1 + math.ceil(last / (10 * MB))
    left = Rhythm(28, 1, 7).days_left("DEEP_ARCHIVE")
    assert [days for days in left if days] == list(range(1, 12))
    assert not any(RHYTHM.days_left("DEEP_ARCHIVE"))
    fitting = {minimum: policy.fitting_fulls(minimum, 28) for minimum in (0, 90, 180)}
    assert fitting == {0: 1, 90: 5, 180: 8}


def test_change_and_early_deletion() -> None:
    """One file in a hundred changes a day. A raw copy pays 179 days for each version, a job with seven fulls some."""
    each = FILES // 100
    copied = raw("DEEP_ARCHIVE", "0.01")
    writes = Fraction(28 * each) * Fraction(PUT["DEEP_ARCHIVE"]) / 1000
    early = gb_month(28 * each * 33 * KB, "DEEP_ARCHIVE", 179) + gb_month(28 * each * 8 * KB, "STANDARD", 179)
    assert Fraction(prices.total(copied.again)) == writes == 140
    assert near(prices.total(copied.early), early)
    assert near(copied.month_usd, Fraction(prices.total(copied.storage)) + (writes + early) * 30 / 28)

    seven = job("DEEP_ARCHIVE", Layout(1024, 1088, Fraction(8, 10)), "0.01", Rhythm(28, 1, 7))
    changed = each * (1024 * Fraction(8, 10) * Fraction(1025, 1024) + 64 + 64) + 16 * KB  # less than a volume
    days = sum(range(1, 12))
    assert near(
        prices.total(seven.early),
        gb_month(changed + 32 * KB, "DEEP_ARCHIVE", days) + gb_month(8 * KB, "STANDARD", days),
    )
    incrementals = [line for line in seven.again if line.storage_class == "DEEP_ARCHIVE"]
    assert [line.count for line in incrementals] == [9, 27]


def test_a_restore_of_all_by_tier() -> None:
    found = raw("DEEP_ARCHIVE").restores
    assert set(found) == {"Standard", "Bulk"}
    size = FILES * KB
    bulk = Fraction("0.025") * FILES / 1000 + Fraction("0.0025") * Fraction(size, GB)
    reading = Fraction("0.0004") * FILES / 1000 + Fraction("0.09") * Fraction(size, GB)
    assert near(prices.total(found["Bulk"]), bulk + reading + gb_month(size, "STANDARD", 7))
    assert set(raw("STANDARD").restores) == set(raw("GLACIER_IR").restores) == {None}
    of_job = job("GLACIER", Layout(1024, 1088)).restores
    assert set(of_job) == {"Expedited", "Standard", "Bulk"}
    assert prices.total(of_job["Bulk"], "thaw_requests", "thaw_data") == 0


def test_the_documentation_has_the_table_as_it_is() -> None:
    layout = Layout(1024, 1088, Fraction(8, 10))
    plan = (RHYTHM, Terms())
    found = [forecast.raw_cost(GUIDE, GUIDE.share(Fraction(0)), name, plan, PRICES) for name in STORAGE_CLASSES]
    found += [forecast.job_cost(forecast.set_of(GUIDE, layout), None, name, plan, PRICES) for name in STORAGE_CLASSES]
    lines = forecast.table_of(sorted(found, key=lambda one: one.year_usd))
    assert "\n".join(lines) in (CHECKOUT / "docs" / "cost.md").read_text()


# --- break-even -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"])
def test_at_the_break_even_a_class_costs_as_much_as_standard(name: str) -> None:
    found = forecast.break_even(name, RHYTHM, 1024, PRICES)

    def costs_of(size: int, storage_class: str) -> Fraction:
        one = Objects(storage_class, 1, size, 0, billed.padding(size))
        lines = [*costs.written(one, PRICES), *costs.stored(one, PRICES, 8 * 28)]
        exact: Fraction = sum((Fraction(line.figure.usd) * amount(line) for line in lines), Fraction(0))
        return exact

    def amount(line: prices.Line) -> Fraction:
        if line.count is not None:
            return Fraction(line.count, 1000)
        return Fraction((line.size_bytes or 0) * (line.days or 0), GB * 30)

    size = found.object_bytes or 0
    assert costs_of(size, name) <= costs_of(size, "STANDARD")
    assert costs_of(size - 1, name) > costs_of(size - 1, "STANDARD")


def test_break_even_by_hand() -> None:
    """Deep Archive for 224 days: 0.00005 + 224/30 x (32 KB x 0.00099 + 8 KB x 0.023) for each object."""
    found = forecast.break_even("DEEP_ARCHIVE", RHYTHM, 1024, PRICES)
    overhead = Fraction(224, 30) * Fraction(KB, GB) * (32 * Fraction("0.00099") + 8 * Fraction("0.023"))
    each = Fraction("0.00005") + overhead
    gain = Fraction(224, 30) / GB * (Fraction("0.023") - Fraction("0.00099"))
    assert found.object_bytes == math.ceil((each - Fraction("0.000005")) / gain)
    assert found.one_percent_bytes == math.ceil(100 * each / (Fraction(224, 30) / GB * Fraction("0.00099")))
    assert 700 * MB < found.one_percent_bytes < 800 * MB
    # A PUT costs ten of STANDARD: one to begin, and nine parts.
    assert found.chunk_bytes == math.ceil(GB / 9)
    assert billed.parts(GB, found.chunk_bytes) == 10


def test_a_class_that_never_pays() -> None:
    assert forecast.break_even("DEEP_ARCHIVE", Rhythm(1, 1, 1), 256, PRICES).object_bytes is None


# --- counting -------------------------------------------------------------------------------------------------------

sizes = st.integers(0, 1 << 42)
layouts = st.builds(
    Layout,
    st.integers(1, 4096),
    st.integers(5, 5120),
    st.one_of(st.none(), st.fractions(Fraction(1, 100), 1)),
)


@pytest.mark.parametrize(
    ("size", "requests"),
    [(0, 0), (8 * MB - 1, 0), (8 * MB, 2), (8 * MB + 1, 3), (80_000 * MB, 10_001), (80_000 * MB + 1, 5002)],
)
def test_parts_of_a_raw_copy(size: int, requests: int) -> None:
    source = Source()
    source.file(size, 1)
    assert source.raw_parts == requests


@given(st.lists(sizes, max_size=20), layouts)
def test_a_file_more_never_makes_less(found: list[int], layout: Layout) -> None:
    source, sets = Source(), []
    for size in [0, *found]:
        source.file(size, 10)
        sets.append(forecast.set_of(source, layout))
    for before, after in zip(sets, sets[1:]):
        assert before.volumes.count <= after.volumes.count
        assert before.volumes.size_bytes <= after.volumes.size_bytes
        assert before.metadata.size_bytes <= after.metadata.size_bytes
    assert source.size_bytes == sum(found)


@given(st.integers(1, 1000), sizes, layouts, st.sampled_from(STORAGE_CLASSES), st.integers(1, 60), st.integers(1, 12))
def test_sums_of_results_are_sums_of_their_lines(
    files: int, size: int, layout: Layout, name: str, full_days: int, keep: int
) -> None:
    source, plan = forecast.evenly(files, size), (Rhythm(full_days, 1, keep), TERMS)
    changed = source.share(Fraction(1, 10))
    one = forecast.job_cost(forecast.set_of(source, layout), forecast.set_of(changed, layout), name, plan, PRICES)
    for found in (one, forecast.raw_cost(source, changed, name, plan, PRICES)):
        result = found.to_result()

        def added(part: str, lines: dict[str, Any] = result["lines"]) -> Fraction:
            return sum((Fraction(line["amount_usd"]) for line in lines[part]), Fraction(0))

        assert Fraction(result["upload_usd"]) == added("upload")
        assert Fraction(result["storage_month_usd"]) == added("storage_month")
        month = added("storage_month") + (added("writes_period") + added("early_delete_period")) * 30 / full_days
        assert abs(Fraction(result["month_usd"]) - month) <= Fraction(1, 10**9)
        assert (added("early_delete_period") > 0) <= (name != "STANDARD")
        for restore in result["restores"]:
            lines = result["lines"]["restore"][restore["tier"] or "none"]
            assert Fraction(restore["total_usd"]) == sum(Fraction(line["amount_usd"]) for line in lines)


# --- early deletion -------------------------------------------------------------------------------------------------


def stored(storage_class: str, days: float, size: int = GB) -> S3Object:
    return S3Object(f"k{days}", size, storage_class, "", NOW - timedelta(days=days))


@pytest.mark.parametrize(
    ("storage_class", "age", "left"),
    [
        ("DEEP_ARCHIVE", 0, 180), ("DEEP_ARCHIVE", 0.5, 180), ("DEEP_ARCHIVE", 1, 179), ("DEEP_ARCHIVE", 179.5, 1),
        ("DEEP_ARCHIVE", 180, 0), ("GLACIER", 30, 60), ("GLACIER_IR", 89, 1), ("STANDARD", 0, 0), ("OTHER", 0, 0),
    ],
)  # fmt: skip
def test_the_rest_of_the_minimum(storage_class: str, age: float, left: int) -> None:
    assert billed.days_left(stored(storage_class, age), NOW) == left


def test_early_deletion_by_hand() -> None:
    lines = list(
        costs.early([stored("DEEP_ARCHIVE", 100), stored("DEEP_ARCHIVE", 200), stored("STANDARD", 1)], PRICES, NOW)
    )
    usd = gb_month(GB + 32 * KB, "DEEP_ARCHIVE", 80) + gb_month(8 * KB, "STANDARD", 80)
    assert near(prices.total(lines), usd)
    assert {line.days for line in lines} == {80}
