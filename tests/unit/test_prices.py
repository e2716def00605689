"""prices.py: the table as a user writes it, and lines in exact decimals."""

from __future__ import annotations

import copy
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import prices
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Figure, Line
from unit.priced import PRICES, TABLE

amounts = st.decimals(0, 1000, places=6)
counts, sizes, days = st.integers(0, 10**9), st.integers(0, 1 << 60), st.integers(1, 3650)


def figure(usd: Decimal) -> Figure:
    return Figure("x", usd, "test", True)


def test_the_shipped_table_has_every_figure_with_its_source() -> None:
    assert set(PRICES.figures) == set(prices.FIGURES)
    assert (PRICES.region, PRICES.date) == ("us-east-1", "2026-06")
    assert all(one.source for one in PRICES.figures.values())
    assert {name for name, one in PRICES.figures.items() if not one.verified} == {
        "STANDARD.get_1000", "GLACIER_IR.get_1000", "GLACIER.get_1000", "DEEP_ARCHIVE.get_1000", "egress_gb",
        "GLACIER_IR.put_1000",
        "DEEP_ARCHIVE.Standard.request_1000", "DEEP_ARCHIVE.Bulk.request_1000", "DEEP_ARCHIVE.Bulk.data_gb",
    }  # fmt: skip


def test_a_number_of_yaml_keeps_its_digits() -> None:
    table = copy.deepcopy(TABLE)
    table["figures"]["egress_gb"] = 0.00099
    table["figures"]["DEEP_ARCHIVE"]["Bulk"]["data_gb"] = {"usd": 1e-05, "verified": "false"}
    found = prices.checked_prices(table).figures
    assert found["egress_gb"] == Figure("egress_gb", Decimal("0.00099"), "public price guides of mid 2026", True)
    assert (found["DEEP_ARCHIVE.Bulk.data_gb"].usd, found["DEEP_ARCHIVE.Bulk.data_gb"].verified) == (
        Decimal("0.00001"),
        False,
    )


@pytest.mark.parametrize("price", ["-1", "a lot", "nan", "inf", None, [], "0.1234567890123"])
def test_what_is_no_price_is_refused(price: Any) -> None:
    with pytest.raises(BadInput, match="egress_gb"):
        prices.checked_prices({**TABLE, "figures": {"egress_gb": price}})


def test_what_no_table_has_is_refused() -> None:
    with pytest.raises(BadInput, match=r"GLACIER\.Bulk\.data_tb; known are .*GLACIER\.Bulk\.data_gb"):
        prices.checked_prices({**TABLE, "figures": {"GLACIER": {"Bulk": {"data_tb": 1}}}})
    for key in ("region", "date", "figures"):
        with pytest.raises(BadInput, match=key):
            prices.checked_prices({**TABLE, key: None})
    with pytest.raises(BadInput, match="dictionary"):
        prices.checked_prices({**TABLE, "figures": [1]})


def test_a_figure_that_a_table_lacks_is_named() -> None:
    table = prices.checked_prices({**TABLE, "region": "eu-central-1", "figures": {"egress_gb": "0.09"}})
    with pytest.raises(BadInput, match=r"The prices of eu-central-1 have no STANDARD\.storage_gb_month"):
        table.figure(prices.COPY)


def exact(line: Line, usd: Fraction) -> bool:
    """Half a billionth of a dollar at most."""
    return abs(Fraction(line.amount_usd) - usd) <= Fraction(1, 2 * 10**9)


@given(amounts, counts, sizes, days)
def test_lines_are_exact(usd: Decimal, count: int, size: int, kept: int) -> None:
    price = Fraction(usd)
    assert Fraction(prices.requests("r", "S", figure(usd), count).amount_usd) == price * count / 1000
    assert exact(prices.data("d", "S", figure(usd), size), price * size / 2**30)
    assert exact(prices.storage("s", "S", figure(usd), size, kept), price * size / 2**30 * kept / 30)


@given(amounts, st.lists(sizes, max_size=20))
def test_sums_are_sums_of_lines(usd: Decimal, found: list[int]) -> None:
    lines = [prices.data(str(number % 2), "S", figure(usd), size) for number, size in enumerate(found)]
    assert prices.total(lines) == prices.total(lines, "0") + prices.total(lines, "1")
    assert Fraction(prices.total(lines)) == sum((Fraction(line.amount_usd) for line in lines), Fraction(0))


@given(amounts, counts, counts, sizes, sizes)
def test_more_never_costs_less(usd: Decimal, count: int, more: int, size: int, bigger: int) -> None:
    one = figure(usd)
    assert prices.requests("r", "S", one, count).amount_usd <= prices.requests("r", "S", one, count + more).amount_usd
    assert prices.data("d", "S", one, size).amount_usd <= prices.data("d", "S", one, size + bigger).amount_usd


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0"), ("0E-9", "0"), ("100", "100"), ("1E+2", "100"), ("0.100000000", "0.1"), ("1E-9", "0.000000001")],
)
def test_amounts_as_text(amount: str, text: str) -> None:
    assert prices.plain(Decimal(amount)) == text
