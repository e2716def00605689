"""What a directory is said to cost, and what the server's request log then bills for the real backup of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import counting, forecast, prices
from ansible_collections.permafrost.backup.plugins.module_utils.forecast import Layout, Rhythm
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import STORAGE_CLASSES
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Terms
from lab.s3.client_api import S3Lab
from unit import stage as stages
from unit.priced import PRICES

BUCKET = "cost"
GB = 1 << 30
WRITES = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
# A file's kilobytes and how many of them, whether their content compresses, and the length of a name.
GROUPS = st.tuples(
    st.sampled_from([(0, 40), (1, 400), (30, 60), (300, 10), (4000, 1)]), st.booleans(), st.integers(1, 180)
)


@dataclass(frozen=True)
class Case:
    """A tree, and a job that stores it."""

    groups: list[tuple[tuple[int, int], bool, int]]
    storage_class: str
    volume_size: int
    chunk_size: int
    compression: bool
    encrypted: bool


CASES = st.builds(
    Case,
    st.lists(GROUPS, min_size=1, max_size=3),
    st.sampled_from(STORAGE_CLASSES),
    st.sampled_from([1, 3, 8]),
    st.sampled_from([5, 16]),
    st.booleans(),
    st.booleans(),
)


@pytest.fixture(scope="module")
def stage(s3_server: S3Lab, image: str) -> Iterator[stages.Stage]:
    with stages.stage(s3_server, BUCKET, image=image, name=f"costs-{os.getpid()}") as made:
        yield made


def grow(source: Path, case: Case) -> None:
    """The tree, anew."""
    shutil.rmtree(source)
    for turn, ((size_kb, count), random, name) in enumerate(case.groups):
        place = source / f"group {turn}"
        place.mkdir(parents=True)
        for number in range(count):
            content = os.urandom(size_kb << 10) if random else b"text " * (size_kb * 205)
            (place / f"{number:04}{'n' * name}").write_bytes(content)


def price(*names: str) -> Fraction:
    return Fraction(PRICES.figure(".".join(names)).usd)


def test_no_backup_is_quoted_below_what_is_billed(stage: stages.Stage) -> None:
    """Requests by the log, bytes and objects by what then lies in the bucket."""
    s3, made = stage.lab, 0

    @settings(
        max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(CASES)
    def property_of(case: Case) -> None:
        nonlocal made
        made += 1
        grow(stage.source, case)
        stage.forget()
        changes = {
            "target": f"s3://{BUCKET}/case-{made}",
            "storage_class": case.storage_class,
            "volume_size": case.volume_size,
            "multipart_chunk_size": case.chunk_size,
            "compression": case.compression,
            "encryption": {"mode": "symmetric", "passphrase": "long enough"} if case.encrypted else {"mode": "none"},
        }
        mark = s3.mark()
        ran = stage.backup(full=True, **changes)
        assert ran.exit_code == 0, ran.output
        billed = sum(
            price(str(one["billed_class"]), "put_1000") / 1000
            for one in s3.requests(mark)
            if one["operation"] in WRITES
        )
        stored = Fraction(0)
        for entry in s3.state(BUCKET, f"case-{made}/"):
            name = entry["storage_class"]
            least = 128 * 1024 if name == "GLACIER_IR" else 0
            stored += Fraction(max(entry["size"], least), GB) * price(name, "storage_gb_month")
            if name in ("GLACIER", "DEEP_ARCHIVE"):
                stored += Fraction(32 * 1024, GB) * price(name, "storage_gb_month")
                stored += Fraction(8 * 1024, GB) * price("STANDARD", "storage_gb_month")

        source, unreadable = counting.count(str(stage.source))
        assert unreadable == 0
        layout = Layout(case.volume_size, case.chunk_size, Fraction(1) if case.compression else None)
        quoted = forecast.job_cost(
            forecast.set_of(source, layout), None, case.storage_class, (Rhythm(28, 1, 1), Terms()), PRICES
        )
        assert billed > 0
        assert Fraction(quoted.upload_usd) >= billed
        assert Fraction(prices.total(quoted.storage)) >= stored
        if all(random for _files, random, _name in case.groups) and source.size_bytes > 4 << 20:
            # An upper bound, and no fancy: of what does not compress there is little more than that.
            assert Fraction(quoted.upload_usd) <= 2 * billed
            assert Fraction(prices.total(quoted.storage)) <= 2 * stored

    property_of()
    assert made >= 12
