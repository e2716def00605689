# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prices, and what an amount of requests or bytes costs by them.

Pure. Amounts are decimals in US dollars. Each line is computed exactly and rounded half up to a billionth of a dollar;
sums are sums of lines. A GB is 2^30 bytes and a month 30 days, as bills are computed ahead of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import STORAGE_CLASSES, TIER_HOURS

GB = 1 << 30
MONTH_DAYS = 30
_BILLIONTH = Decimal("1e-9")
# More digits than a product of an amount of bytes and a price can have: nothing is rounded before the last step.
_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)

# What each figure of a table is called.
STORAGE, PUT = "storage_gb_month", "put_1000"
COPY = f"STANDARD.{STORAGE}"
EGRESS = "egress_gb"
REQUEST, DATA = "request_1000", "data_gb"
_THAW = tuple(
    f"{name}.{tier}.{kind}" for name, tiers in TIER_HOURS.items() for tier in tiers for kind in (REQUEST, DATA)
)
FIGURES = (
    *(f"{name}.{kind}" for name in STORAGE_CLASSES for kind in (STORAGE, PUT, "get_1000")),
    "GLACIER_IR.get_gb",
    *_THAW,
    EGRESS,
)


@dataclass(frozen=True)
class Figure:
    """One price, where it was read, and whether that was Amazon's own word."""

    name: str
    usd: Decimal
    source: str
    verified: bool


@dataclass(frozen=True)
class Prices:
    """The prices of a Region at a date."""

    region: str
    date: str
    figures: Mapping[str, Figure]

    def figure(self, name: str) -> Figure:
        """Raises BadInput for one that the table lacks."""
        if name not in self.figures:
            raise BadInput(f"The prices of {self.region} have no {name}, which this quote needs.")
        return self.figures[name]


@dataclass(frozen=True)
class Line:
    """One line of a quote: so many requests, or so many bytes (for so many days), at a price."""

    what: str
    storage_class: str
    figure: Figure
    amount_usd: Decimal
    count: int | None = None
    size_bytes: int | None = None
    days: int | None = None

    def to_result(self) -> dict[str, Any]:
        """What does not belong to its kind is left out."""
        amounts = {"count": self.count, "size_bytes": self.size_bytes, "days": self.days}
        return {
            "what": self.what,
            "storage_class": self.storage_class,
            **{name: value for name, value in amounts.items() if value is not None},
            "price": self.figure.name,
            "price_usd": plain(self.figure.usd),
            "price_source": self.figure.source,
            "price_verified": self.figure.verified,
            "amount_usd": plain(self.amount_usd),
        }


# --- the table ------------------------------------------------------------------------------------------------------


def checked_prices(table: Mapping[str, Any]) -> Prices:
    """A table as a user writes it: region, date, source, and figures by class. Raises BadInput."""
    for key in ("region", "date", "figures"):
        if not table.get(key):
            raise BadInput(f"prices has no {key}.")
    if not isinstance(table["figures"], Mapping):
        raise BadInput("prices.figures is no dictionary of storage classes.")
    figures = {one.name: one for one in _figures(table["figures"], "", str(table.get("source", "not named")))}
    unknown = sorted(set(figures) - set(FIGURES))
    if unknown:
        raise BadInput(f"prices.figures has {', '.join(unknown)}; known are {', '.join(FIGURES)}.")
    return Prices(str(table["region"]), str(table["date"]), figures)


def _figures(part: Mapping[str, Any], above: str, source: str) -> Iterator[Figure]:
    for key, value in part.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and "usd" not in value:
            yield from _figures(value, f"{name}.", source)
        else:
            own = value if isinstance(value, Mapping) else {"usd": value}
            verified = str(own.get("verified", True)).lower() in ("true", "yes", "1")
            yield Figure(name, _price(name, own["usd"]), str(own.get("source", source)), verified)


def _price(name: str, value: Any) -> Decimal:
    # A float's shortest form has the digits that were written in the file.
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        price = Decimal(-1)
    if not price.is_finite() or price < 0 or len(price.as_tuple().digits) > 12:
        raise BadInput(f"prices.figures.{name} is '{value}': a price in US dollars is wanted, such as 0.0025.")
    return price


# --- lines ----------------------------------------------------------------------------------------------------------


def requests(what: str, storage_class: str, figure: Figure, count: int) -> Line:
    """A line of requests, which are priced by the thousand."""
    with localcontext(_EXACT):
        amount = figure.usd * count / 1000
    return Line(what, storage_class, figure, _rounded(amount), count=count)


def data(what: str, storage_class: str, figure: Figure, size_bytes: int) -> Line:
    """A line of bytes, which are priced by the GB."""
    with localcontext(_EXACT):
        amount = figure.usd * size_bytes / GB
    return Line(what, storage_class, figure, _rounded(amount), size_bytes=size_bytes)


def storage(what: str, storage_class: str, figure: Figure, size_bytes: int, days: int) -> Line:
    """A line of bytes that are stored for some days, which are priced by the GB and month.

    Objects of one size that are stored for different times make one line, with the sum of their days.
    """
    with localcontext(_EXACT):
        amount = figure.usd * size_bytes * days / (GB * MONTH_DAYS)
    return Line(what, storage_class, figure, _rounded(amount), size_bytes=size_bytes, days=days)


def prorated(amount: Decimal, days: int, of_days: int) -> Decimal:
    """What of an amount that is due every ``of_days`` comes to so many days."""
    with localcontext(_EXACT):
        return _rounded(amount * days / of_days)


def total(lines: Iterable[Line], *what: str) -> Decimal:
    """The sum of all lines, or of those of some kinds."""
    with localcontext(_EXACT):
        return sum((line.amount_usd for line in lines if not what or line.what in what), Decimal(0))


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_BILLIONTH, context=_EXACT)


def plain(amount: Decimal) -> str:
    """An amount as results have it: all digits that count, and no exponent."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
