"""What the requests of a log cost by a file of prices: a sum of its own, in fractions, which knows nothing of quotes.

Billed is what the S3 pricing page names: each request that S3 did not answer with 5xx, each GB that is thawed, copies
for as many days as were asked for, and what leaves S3. A GB is 2^30 bytes, a month 30 days; each line is rounded half
up to a billionth of a dollar. Listings and writes are no part of it, as of quotes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

GB, MONTH = 2**30, 30
READS = ("GetObject", "HeadObject")

# What a line is for, and a storage class.
Bill = dict[tuple[str, str], Decimal]


def bill(log: Iterable[Mapping[str, Any]], prices: Mapping[str, Any], since: int = 0, egress: bool = True) -> Bill:
    """The lines of all requests from a mark on; what was before tells which thaws ran already."""
    figures = prices["figures"]
    exact: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    running: set[str] = set()
    for number, entry in enumerate(log):
        if entry["operation"] == "RestoreObject":
            lines = _thaw(entry, figures, entry["key"] in running)
            if entry["status"] == 202:
                running.add(entry["key"])
        elif entry["operation"] in READS and entry["status"] < 300:
            lines = _read(entry, figures, egress)
        else:
            continue
        for what, storage_class, amount in lines if number >= since else ():
            exact[what, storage_class] += amount
    return {line: _rounded(amount) for line, amount in exact.items()}


def _thaw(entry: Mapping[str, Any], figures: Any, runs: bool) -> list[tuple[str, str, Fraction]]:
    """An accepted thaw, one that makes a running thaw faster, a longer stay, or a request in vain."""
    storage_class, status, size = entry["storage_class"], entry["status"], entry["size"]
    if status >= 500 or storage_class not in figures:
        return []
    prices = figures[storage_class][entry["tier"]]
    kind = "extend" if status == 200 else "upgrade" if runs else "thaw"
    lines = [(f"{kind}_requests", storage_class, _price(prices["request_1000"]) / 1000)]
    if status == 202:
        lines.append((f"{kind}_data", storage_class, _price(prices["data_gb"]) * size / GB))
    if status == 200 or (status == 202 and not runs):
        rate = _price(figures["STANDARD"]["storage_gb_month"])
        lines.append(("copies", "STANDARD", rate * size * entry["days"] / (GB * MONTH)))
    return lines


def _read(entry: Mapping[str, Any], figures: Any, egress: bool) -> list[tuple[str, str, Fraction]]:
    storage_class, size = entry["storage_class"], entry["bytes_out"]
    lines = [("get_requests", storage_class, _price(figures[storage_class]["get_1000"]) / 1000)]
    if "get_gb" in figures[storage_class]:
        lines.append(("get_data", storage_class, _price(figures[storage_class]["get_gb"]) * size / GB))
    if egress:
        lines.append(("egress", "", _price(figures["egress_gb"]) * size / GB))
    return lines


def _price(figure: Any) -> Fraction:
    return Fraction(str(figure["usd"] if isinstance(figure, Mapping) else figure))


def _rounded(amount: Fraction) -> Decimal:
    return Decimal(math.floor(amount * 10**9 + Fraction(1, 2))).scaleb(-9)
