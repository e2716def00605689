"""glacier_quote_info through main()."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from ansible.module_utils.common import warnings

from ansible_collections.permafrost.backup.plugins.module_utils.glacier import FROZEN, THAWED
from ansible_collections.permafrost.backup.plugins.module_utils.times import from_w3, to_w3
from ansible_collections.permafrost.backup.plugins.modules import glacier_quote_info
from unit.modules.world import World
from unit.priced import TABLE, plan

GB = 1 << 30
DEEP = plan(*[(GB, "DEEP_ARCHIVE", FROZEN)] * 10).to_result()


def quote(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    return world.run(glacier_quote_info, {"plan": DEEP, "prices": TABLE, **options}, check=check)


@pytest.mark.parametrize("check", [False, True])
def test_offers_side_by_side_and_the_cheapest(world: World, check: bool) -> None:
    result = quote(world, days=7, check=check)
    assert [one["tier"] for one in result["offers"]] == ["Bulk", "Standard"]
    assert (result["changed"], result["consent_needed"], result["chosen"]) == (False, True, result["offers"][0])
    assert result["chosen"]["total_usd"] == "0.978920667"
    assert sum(Decimal(line["amount_usd"]) for line in result["chosen"]["lines"]) == Decimal("0.978920667")
    assert (result["region"], result["prices_date"]) == ("us-east-1", "2026-06")
    assert (result["volume_count"], result["size_bytes"], result["restore_seconds"]) == (10, 10 * GB, 1024)
    assert "egress_gb" in result["unverified"]
    assert "DEEP_ARCHIVE.Standard.data_gb" not in result["unverified"]
    assert len(result["table"]) == 3
    ready = from_w3(result["chosen"]["ready_at"]) - datetime.now(timezone.utc)
    assert timedelta(hours=47.9) < ready <= timedelta(hours=48)


def test_a_line_says_what_it_is_for_and_where_its_price_comes_from(world: World) -> None:
    lines = {line["what"]: line for line in quote(world, days=7)["chosen"]["lines"]}
    assert lines["thaw_requests"] == {
        "what": "thaw_requests", "storage_class": "DEEP_ARCHIVE", "count": 10, "amount_usd": "0.00025",
        "price": "DEEP_ARCHIVE.Bulk.request_1000", "price_usd": "0.025", "price_verified": False,
        "price_source": "test data of infracost (s3_bucket_test)",
    }  # fmt: skip
    assert (lines["copies"]["size_bytes"], lines["copies"]["days"]) == (10 * GB, 7)


def test_limits_choose(world: World) -> None:
    assert quote(world, ready_by="13h")["chosen"]["tier"] == "Standard"
    later = to_w3(datetime.now(timezone.utc) + timedelta(days=3))
    assert quote(world, ready_by=later)["chosen"]["tier"] == "Bulk"
    assert quote(world, tier="Standard", max_cost=2)["chosen"]["tier"] == "Standard"


def test_no_offer_fits(world: World) -> None:
    result = quote(world, max_cost=0.5, ready_by="1h")
    assert (result["error"]["cause"], len(result["offers"]), len(result["table"])) == ("no_offer_fits", 2, 3)
    assert "Bulk costs 0." in result["msg"]
    assert "too dear and too late" in result["msg"]


def test_what_is_thawed_needs_no_consent(world: World) -> None:
    thawed = plan((GB, "DEEP_ARCHIVE", THAWED)).to_result()
    result = quote(world, plan=thawed, egress=False, tier="Expedited")
    assert (result["consent_needed"], result["chosen"]["tier"]) == (False, None)
    assert result["chosen"]["total_usd"] == "0.0000004"


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"tier": "Expedited"}, "tier_unavailable"), ({"days": 0}, "bad_input"), ({"expected_rate": 0}, "bad_input"),
        ({"max_cost": -1}, "bad_input"), ({"max_cost": "nan"}, "bad_input"), ({"ready_by": "soon"}, "bad_time"),
        ({"prices": {"region": "x"}}, "bad_input"), ({"plan": {"bucket": "b"}}, "bad_input"),
    ],
)  # fmt: skip
def test_what_cannot_be_quoted_is_refused(world: World, options: dict[str, Any], cause: str) -> None:
    assert quote(world, **options)["error"]["cause"] == cause


def test_prices_of_another_region_are_told(world: World) -> None:
    quote(world, region="us-east-1")
    assert not warnings.get_warning_messages()
    assert "warnings" in quote(world, region="eu-central-1")
    (text,) = warnings.get_warning_messages()
    assert "in eu-central-1, and the prices are those of us-east-1" in text
