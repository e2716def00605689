"""offers.py: tiers side by side, and the choice among them."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import glacier, offers, prices
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, NoOfferFits, VolumesMissing
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import (
    FROZEN,
    READY,
    STAGED,
    THAWED,
    THAWING,
    Plan,
)
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Limits, Offer, Terms
from unit.priced import PRICES, TABLE, plan, plans, volume, volumes

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
GB = 1 << 30
DEEP = plan(*[(GB, "DEEP_ARCHIVE", FROZEN)] * 10)


def quote(of: Plan, **terms: Any) -> dict[str | None, Offer]:
    found = offers.quote(of, PRICES, Terms(**terms), NOW)
    assert [one.total_usd for one in found] == sorted(one.total_usd for one in found)
    return {one.tier: one for one in found}


def amounts(offer: Offer) -> dict[str, str]:
    return {f"{line.what} {line.storage_class}".strip(): prices.plain(line.amount_usd) for line in offer.lines}


def test_a_quote_recomputed_by_hand() -> None:
    """10 GB of Deep Archive in ten volumes, copies for a week, out of the Region."""
    found = quote(DEEP, days=7)
    assert list(found) == ["Bulk", "Standard"]
    reading = {"get_requests DEEP_ARCHIVE": "0.000004", "egress": "0.9"}  # ten GETs
    copies = {"copies STANDARD": "0.053666667"}  # 10 x 0.023 x 7 / 30
    bulk = {"thaw_requests DEEP_ARCHIVE": "0.00025", "thaw_data DEEP_ARCHIVE": "0.025"}
    standard = {"thaw_requests DEEP_ARCHIVE": "0.001", "thaw_data DEEP_ARCHIVE": "0.2"}
    assert amounts(found["Bulk"]) == {**bulk, **copies, **reading}
    assert amounts(found["Standard"]) == {**standard, **copies, **reading}
    assert (found["Bulk"].total_usd, found["Standard"].total_usd) == (Decimal("0.978920667"), Decimal("1.154670667"))
    result = found["Bulk"].to_result(NOW)
    assert (result["thaw_usd"], result["copies_usd_a_day"], result["reading_usd"]) == (
        "0.02525",
        "0.007666667",
        "0.000004",
    )
    # Ten times 128 parts of 8 MB, and HEAD.
    assert amounts(quote(DEEP, days=7, streamed=True)["Bulk"])["get_requests DEEP_ARCHIVE"] == "0.000516"
    assert (result["ready_at"], result["restored_at"]) == ("2026-11-03T00:00:00Z", "2026-11-03T00:17:04Z")


def test_only_what_is_frozen_is_paid_for() -> None:
    of = plan(
        (GB, "DEEP_ARCHIVE", FROZEN), (3 * GB, "DEEP_ARCHIVE", THAWING), (5 * GB, "DEEP_ARCHIVE", THAWED),
        (7 * GB, "STANDARD", READY), (11 * GB, "GLACIER_IR", READY),
    )  # fmt: skip
    bulk = quote(of, days=30, egress=False)["Bulk"]
    assert amounts(bulk) == {
        "thaw_requests DEEP_ARCHIVE": "0.000025", "thaw_data DEEP_ARCHIVE": "0.0025", "copies STANDARD": "0.023",
        "get_requests DEEP_ARCHIVE": "0.0000012", "get_requests STANDARD": "0.0000004",
        "get_requests GLACIER_IR": "0.00001", "get_data GLACIER_IR": "0.33",
    }  # fmt: skip


def test_nothing_frozen_is_one_offer_without_a_tier() -> None:
    (found,) = quote(plan((GB, "DEEP_ARCHIVE", THAWING), (GB, "GLACIER", THAWED), (GB, "STANDARD", READY))).values()
    assert (found.tier, found.requested_hours, found.ready_hours) == (None, 0, 48)
    assert {line.what for line in found.lines} == {"get_requests", "egress"}
    (empty,) = quote(Plan("b", ())).values()
    assert (empty.tier, empty.total_usd, empty.lines) == (None, 0, ())


def test_what_is_staged_already_is_neither_thawed_nor_read() -> None:
    both = plan((GB, "DEEP_ARCHIVE", FROZEN), (7 * GB, "DEEP_ARCHIVE", STAGED))
    assert quote(both)["Bulk"].lines == quote(plan((GB, "DEEP_ARCHIVE", FROZEN)))["Bulk"].lines
    (free,) = quote(plan((GB, "DEEP_ARCHIVE", STAGED))).values()
    assert (free.tier, free.total_usd, free.ready_hours) == (None, 0, 0)


def test_expedited_where_it_can_work() -> None:
    small = plan((250_000_000, "GLACIER", FROZEN))
    assert {tier: one.ready_hours for tier, one in quote(small).items()} == {
        "Bulk": 12, "Standard": 5, "Expedited": 5 / 60,
    }  # fmt: skip
    # Of larger objects it is not said how long they take.
    assert quote(plan((250_000_001, "GLACIER", FROZEN)))["Expedited"].ready_hours == 5
    assert set(quote(plan((1, "GLACIER", FROZEN), (1, "DEEP_ARCHIVE", FROZEN)))) == {"Bulk", "Standard"}
    assert set(quote(plan((1, "GLACIER", FROZEN), (1, "DEEP_ARCHIVE", THAWED)))) == {"Bulk", "Standard", "Expedited"}


def test_days_outlast_the_thaw_and_the_restore_and_do_not_change_on_the_way() -> None:
    assert {tier: one.days for tier, one in quote(DEEP).items()} == {"Bulk": 6, "Standard": 6}
    # 10 GB at 0.01 MB/s are twelve days.
    assert quote(DEEP, rate=0.01)["Standard"].days == 17
    half = plan(*[(GB, "DEEP_ARCHIVE", FROZEN), (GB, "DEEP_ARCHIVE", THAWING)] * 5)
    assert quote(half)["Bulk"].days == 6


def test_an_upgrade_is_paid_at_the_faster_price_and_needs_no_new_copy() -> None:
    of = plan((GB, "DEEP_ARCHIVE", THAWING), (GB, "GLACIER", THAWING))
    found = quote(of, upgrade=True, egress=False)
    assert set(found) == {None, "Standard"}
    assert amounts(found["Standard"]) == {
        "upgrade_requests DEEP_ARCHIVE": "0.0001", "upgrade_data DEEP_ARCHIVE": "0.02",
        "upgrade_requests GLACIER": "0.00005", "upgrade_data GLACIER": "0.01",
        "get_requests DEEP_ARCHIVE": "0.0000004", "get_requests GLACIER": "0.0000004",
    }  # fmt: skip
    assert found["Standard"].ready_hours == 12


def test_an_extension_is_a_request_and_the_copy() -> None:
    of = plan((GB, "DEEP_ARCHIVE", THAWED))
    extended = quote(of, days=90, extend=True, egress=False)["Bulk"]
    assert amounts(extended) == {
        "extend_requests DEEP_ARCHIVE": "0.000025", "copies STANDARD": "0.069",
        "get_requests DEEP_ARCHIVE": "0.0000004",
    }  # fmt: skip
    assert set(quote(of, days=7, extend=True)) == {None}


@given(plans, st.booleans(), st.integers(1, 400))
def test_sums_are_sums_of_lines(of: Plan, egress: bool, days: int) -> None:
    frozen = any(one.state == FROZEN for one in of.volumes)
    found = quote(of, days=days, egress=egress)
    assert set(found) >= ({"Standard", "Bulk"} if frozen else {None})
    for tier, one in found.items():
        result = one.to_result(NOW)
        parts = [Decimal(result[key]) for key in ("thaw_usd", "copies_usd", "reading_usd", "egress_usd")]
        assert one.total_usd == sum(parts) == sum(line.amount_usd for line in one.lines) == Decimal(result["total_usd"])
        assert (sum(parts[:2]) == 0 and tier is None) or (tier is not None and frozen)
        assert all(line.amount_usd >= 0 for line in one.lines)
        assert (parts[3] > 0) <= egress


@given(plans, volumes)
def test_another_volume_never_costs_less(of: Plan, more: tuple[int, str, str]) -> None:
    larger = Plan(of.bucket, (*of.volumes, volume(99, *more)))
    before, after = quote(of, days=7), quote(larger, days=7)
    for tier in set(before) & set(after):
        assert before[tier].total_usd <= after[tier].total_usd
        assert before[tier].ready_hours <= after[tier].ready_hours


@given(plans, st.integers(0, 11), st.integers(1, 1 << 40))
def test_more_bytes_never_cost_less(of: Plan, which: int, more: int) -> None:
    grown = [(one.size_bytes + more * (number == which), one.storage_class or "", one.state)
             for number, one in enumerate(of.volumes)]  # fmt: skip
    before, after = quote(of, days=7), quote(plan(*grown), days=7)
    for tier, one in before.items():
        assert one.total_usd <= after[tier].total_usd


# --- the plan as data -----------------------------------------------------------------------------------------------


@given(plans)
def test_a_plan_travels_as_data(of: Plan) -> None:
    assert offers.plan_of(of.to_result()) == of


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({}, "plan is not"), ({"bucket": "b", "volumes": [{"key": "a"}]}, "plan is not"),
        ({"bucket": "b", "volumes": "some"}, "plan is not"),
        ({"bucket": "b", "volumes": [], "volume_count": 3}, "names 0 of its 3"),
        (plan((-1, "GLACIER", FROZEN)).to_result(), "no size"),
        (plan((1, "GLACIER", "?")).to_result(), "unknown state"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(data: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        offers.plan_of(data)


def test_a_plan_that_cannot_work_is_refused() -> None:
    with pytest.raises(VolumesMissing, match="data/vol0"):
        offers.plan_of(plan((0, "STANDARD", glacier.MISSING)).to_result())


# --- the choice -----------------------------------------------------------------------------------------------------


def choose(of: Plan, **limits: Any) -> Offer:
    return offers.choose(offers.quote(of, PRICES, Terms(days=7), NOW), Limits(**limits), NOW)


def test_the_cheapest_within_the_limits() -> None:
    assert choose(DEEP).tier == "Bulk"
    assert choose(DEEP, tier="Standard").tier == "Standard"
    assert choose(DEEP, ready_by=NOW + timedelta(hours=13)).tier == "Standard"
    assert choose(DEEP, ready_by=NOW + timedelta(hours=49)).tier == "Bulk"
    assert choose(DEEP, max_cost=Decimal("0.978920667")).tier == "Bulk"


def test_the_time_of_the_restore_counts() -> None:
    with pytest.raises(NoOfferFits):
        choose(DEEP, ready_by=NOW + timedelta(hours=12, minutes=17))
    assert choose(DEEP, ready_by=NOW + timedelta(hours=12, minutes=18)).tier == "Standard"


def test_what_would_fit_is_told() -> None:
    with pytest.raises(NoOfferFits) as refused:
        choose(DEEP, max_cost=Decimal(1), ready_by=NOW + timedelta(hours=20))
    assert refused.value.what == (
        "No tier fits max_cost 1 USD, ready_by 2026-11-01T20:00:00Z. Bulk costs 0.978920667 USD and has the data back "
        "by 2026-11-03T00:17:04Z (too late); Standard costs 1.154670667 USD and has the data back by "
        "2026-11-01T12:17:04Z (too dear)."
    )
    with pytest.raises(NoOfferFits, match=r"Bulk costs .* \(fits\)|Bulk costs .* \(another tier\)"):
        choose(DEEP, tier="Standard", max_cost=Decimal(1))


def test_what_was_begun_is_gone_on_with_however_late_it_is() -> None:
    thawing = plan((GB, "DEEP_ARCHIVE", THAWING))
    assert choose(thawing, ready_by=NOW - timedelta(hours=1), tier="Expedited").tier is None
    # The rest of a killed request is judged by its own time, though the others may have the slowest tier.
    rest = plan((GB, "DEEP_ARCHIVE", THAWING), (GB, "DEEP_ARCHIVE", FROZEN))
    found = choose(rest, ready_by=NOW + timedelta(hours=13))
    assert (found.tier, found.requested_hours, found.ready_hours) == ("Standard", 12, 48)
    with pytest.raises(NoOfferFits, match="What is left to do costs"):
        choose(thawing, max_cost=Decimal(0))


def test_a_table_lists_each_offer() -> None:
    found = offers.quote(DEEP, PRICES, Terms(days=7), NOW)
    lines = offers.table_of(found, found[0], NOW)
    assert len(lines) == 3
    assert " ".join(lines[0].split()) == "tier thawed by thaw copies for 7 days a day reading egress total USD"
    assert lines[1].split()[:4] == ["Bulk", "2026-11-03T00:00:00Z", "0.0252", "0.0537"]
    assert [line.endswith("<- chosen") for line in lines] == [False, True, False]
    (one,) = offers.quote(plan((GB, "STANDARD", READY)), PRICES, Terms(), NOW)
    assert offers.table_of([one], one, NOW)[1].startswith("nothing to request  now ")


def test_prices_of_a_user_count() -> None:
    table = copy.deepcopy(TABLE)
    table["figures"]["egress_gb"] = "0.2"
    (one, *_) = offers.quote(DEEP, prices.checked_prices(table), Terms(), NOW)
    assert one.to_result(NOW)["egress_usd"] == "2"
