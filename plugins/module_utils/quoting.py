# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The verb of glacier_quote_info: offers side by side, and which one is chosen."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import estimate, glacier, offers, prices, times
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, NoOfferFits
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Limits, Offer, Terms
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Prices

_MAX_DAYS = 3650


def work(params: dict[str, Any], _check_mode: bool) -> dict[str, Any]:
    """Compute; nothing is asked from S3 and nothing is changed."""
    now = datetime.now(timezone.utc)
    terms, limits = _terms(params), _limits(params, now)
    table = prices.checked_prices(params["prices"])
    plan = offers.plan_of(params["plan"])
    if limits.tier:
        glacier.check_tier(limits.tier, [one for one in plan.volumes if one.state == glacier.FROZEN])
    found = offers.quote(plan, table, terms, now)
    result: dict[str, Any] = {
        "changed": False,
        "region": table.region,
        "prices_date": table.date,
        "unverified": _unverified(found),
        "volume_count": len(plan.volumes),
        "size_bytes": estimate.size_bytes(plan),
        "restore_seconds": offers.restore_seconds(plan, terms.rate),
        "offers": [one.to_result(now) for one in found],
        "warnings": _warnings(params["region"], table),
    }
    try:
        chosen = offers.choose(found, limits, now)
    except NoOfferFits as error:
        error.result = {**result, "table": offers.table_of(found, None, now)}
        raise
    return {
        **result,
        "table": offers.table_of(found, chosen, now),
        "chosen": chosen.to_result(now),
        "consent_needed": chosen.tier is not None,
    }


def _terms(params: dict[str, Any]) -> Terms:
    days, rate = params["days"], params["expected_rate"]
    if days is not None and not 1 <= days <= _MAX_DAYS:
        raise BadInput(f"days is {days}: 1 to {_MAX_DAYS} is wanted.")
    if not 0 < rate < float("inf"):
        raise BadInput(f"expected_rate is {rate:g}: a number above 0 is wanted.")
    return Terms(days, rate, params["egress"], params["upgrade"], params["extend"], params["fetch"] == "streamed")


def _limits(params: dict[str, Any], now: datetime) -> Limits:
    cost, by = params["max_cost"], params["ready_by"]
    if cost is not None and not 0 <= cost < float("inf"):
        raise BadInput(f"max_cost is {cost:g}: US dollars are wanted, 0 or more.")
    ready_by = None
    if by is not None:
        # An interval is one from now on here, where a restore's time is one before now.
        ready_by = now + times.interval(by) if times.is_interval(by) else times.moment(by, now)
    return Limits(None if cost is None else Decimal(str(cost)), ready_by, params["tier"])


def _unverified(found: list[Offer]) -> list[str]:
    """The prices in use that were not read in Amazon's own words."""
    return sorted({line.figure.name for one in found for line in one.lines if not line.figure.verified})


def _warnings(region: str | None, table: Prices) -> list[str]:
    if region is None or region == table.region:
        return []
    return [
        f"The bucket is in {region}, and the prices are those of {table.region} of {table.date}: the quote is only "
        "about right. Give prices of that Region."
    ]
