"""anomaly.py: what is told, and what is not worth a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.anomaly import anomalies

COUNT = st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("statistics", "before", "says"),
    [
        ({"source_files": 100, "changed_files": 51}, None, "51 of 100 files changed"),
        ({"source_files": 50, "deleted_files": 50}, None, "The source has 50 files; at the last set it had 100."),
        ({"source_files": 190, "deleted_files": 60, "new_files": 150}, None, "60 of 100 files are gone"),
        ({"source_files": 40, "new_files": 40}, 100, "The source has 40 files; at the last set it had 100."),
    ],
)
def test_odd(statistics: dict[str, int], before: int | None, says: str) -> None:
    (text,) = anomalies(statistics, before)
    assert text.startswith(says)


@pytest.mark.parametrize(
    ("statistics", "before"),
    [
        ({}, None), ({"source_files": 100, "changed_files": 50}, None), ({"source_files": 9, "changed_files": 9}, None),
        ({"source_files": 51, "deleted_files": 49}, None), ({"source_files": 4, "deleted_files": 5}, None),
        ({"source_files": 60, "new_files": 60}, 100), ({"source_files": 1000, "new_files": 900}, 100),
    ],
)  # fmt: skip
def test_not_odd(statistics: dict[str, int], before: int | None) -> None:
    assert anomalies(statistics, before) == []


@given(
    st.fixed_dictionaries({"source_files": COUNT, "changed_files": COUNT, "deleted_files": COUNT, "new_files": COUNT})
)
def test_one_word_a_kind_and_never_an_error(statistics: dict[str, int]) -> None:
    found = anomalies(statistics, None)
    assert len(found) <= 2
    assert all(text.endswith(".") for text in found)
