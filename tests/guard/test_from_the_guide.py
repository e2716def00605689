"""docs/from-the-guide.md: its sums, its places, and its way to adopt a chain."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from guard.sources import CHECKOUT

TEXT = (CHECKOUT / "docs" / "from-the-guide.md").read_text()
FILES = 10_000_000
KB, GIB = 1024, 1024**3
STANDARD, GLACIER = 0.023, 0.0036


def test_the_sums() -> None:
    metadata, archive, plain = (FILES * size * KB / GIB for size in (8, 33, 1))
    monthly = metadata * STANDARD + archive * GLACIER
    for number in (
        f"$500 | ${FILES / 1000 * 0.05:.0f} |", f"({metadata:.1f} GiB), ${metadata * STANDARD:.2f} a month",
        f"{archive:.1f} GiB, ${archive * GLACIER:.2f} a month", f"${monthly:.2f} a month",
        f"{plain:.1f} GiB, ${plain * STANDARD:.2f} a month, and ${FILES / 1000 * 0.005:.0f} for the PUTs",
        f"is {math.ceil(1024 / 10)} parts, and {8 * (math.ceil(1024 / 10) + 2)} requests",
    ):  # fmt: skip
        assert number in TEXT, number
    assert round(monthly / (plain * STANDARD)) == 13


def test_how_many_fulls_are_kept_until_none_is_deleted_early() -> None:
    def too_early(fulls: int, minimum: int, every: int = 28) -> int:
        """Daily sets of a chain that are younger than the minimum when the chain goes."""
        return sum(fulls * every - day < minimum for day in range(every))

    assert [too_early(7, 180), too_early(8, 180), too_early(4, 90), too_early(5, 90)][1::2] == [0, 0]
    assert too_early(4, 90) > 0
    assert f"the newest {too_early(7, 180)} of a chain's 28" in TEXT
    assert [math.ceil((minimum + 28 - 1) / 28) for minimum in (180, 90)] == [8, 5]


def test_seventeen_places() -> None:
    places = TEXT.split("## What in the guide")[1].split("\n## ")[0]
    assert [int(number) for number in re.findall(r"(?m)^(\d+)\. ", places)] == list(range(1, 18))


def checked(job: dict[str, Any]) -> dict[str, Any]:
    """The job as a module gets it, with every default in place."""
    found = ArgumentSpecValidator(JOB_OPTIONS).validate(job)
    assert found.error_messages == []
    options: dict[str, Any] = found.validated_parameters
    return options


def test_the_jobs_are_jobs() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(duplicity_jobs:.*?)```", TEXT, re.S)]
    new, scheduled, adopted = (checked(block["duplicity_jobs"][0]) for block in blocks)
    assert Job.from_params({**new, "credentials": None}).storage_class == "DEEP_ARCHIVE"
    assert Job.from_params(scheduled).url == "s3://acme-dr/web01/data"
    assert Job.from_params(adopted).source_in_container == "/mnt/backup/src/data"
    assert adopted["adopt"]["archive_name"] == hashlib.md5(adopted["target"].encode()).hexdigest()
