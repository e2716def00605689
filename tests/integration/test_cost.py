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


def back_up(stage: stages.Stage, case: Case, prefix: str) -> None:
    """A full of the tree, by a host that knows of none before."""
    stage.forget()
    ran = stage.backup(
        full=True,
        target=f"s3://{BUCKET}/{prefix}",
        storage_class=case.storage_class,
        volume_size=case.volume_size,
        multipart_chunk_size=case.chunk_size,
        compression=case.compression,
        encryption={"mode": "symmetric", "passphrase": "long enough"} if case.encrypted else {"mode": "none"},
    )
    assert ran.exit_code == 0, ran.output


def billed(s3: S3Lab, mark: int) -> Fraction:
    """The writes since then, each at the rate at which Amazon bills it."""
    found = [one["billed_class"] for one in s3.requests(mark) if one["operation"] in WRITES]
    assert found
    return sum((price(name, "put_1000") / 1000 for name in found), Fraction(0))


def month_of(s3: S3Lab, prefix: str) -> Fraction:
    """What lies there, with what each object takes beside its bytes."""
    total = Fraction(0)
    for entry in s3.state(BUCKET, f"{prefix}/"):
        name = entry["storage_class"]
        size = max(entry["size"], 128 * 1024 if name == "GLACIER_IR" else 0)
        if name in ("GLACIER", "DEEP_ARCHIVE"):
            size += 32 * 1024
            total += 8 * 1024 * price("STANDARD", "storage_gb_month")
        total += size * price(name, "storage_gb_month")
    return total / GB


def quoted(case: Case, source: Path) -> tuple[Fraction, Fraction]:
    """What is said of it before: the upload, and a month of one full."""
    counted, unreadable = counting.count(str(source))
    assert unreadable == 0
    layout = Layout(case.volume_size, case.chunk_size, Fraction(1) if case.compression else None)
    plan = (Rhythm(28, 1, 1), Terms())
    cost = forecast.job_cost(forecast.set_of(counted, layout), None, case.storage_class, plan, PRICES)
    return Fraction(cost.upload_usd), Fraction(prices.total(cost.storage))


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
        mark = s3.mark()
        back_up(stage, case, f"case-{made}")
        bill, month = billed(s3, mark), month_of(s3, f"case-{made}")
        upload, storage = quoted(case, stage.source)
        assert upload >= bill
        assert storage >= month
        if all(random and size_kb >= 30 for (size_kb, _count), random, _name in case.groups):
            # An upper bound, and no fancy: of what does not compress there is little less than that.
            assert upload <= 2 * bill
            assert storage <= 2 * month

    property_of()
    assert made >= 12
