"""A quote against the bill of what it leads to: the product's arithmetic beside that of lab.bill, over random sets.

What is requested is decided by the code that a thaw runs; how S3 answers, by the rules of the lab's server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import glacier, offers, prices, retrieval
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan, PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Offer, Terms
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_w3
from lab import bill
from lab.s3 import glacier as rules
from unit.priced import PRICES, TABLE

NOW = datetime(2026, 11, 15, 7, tzinfo=timezone.utc)
Log = list[dict[str, Any]]


@dataclass
class Stored:
    """An object of the bucket, with the thaw that was asked for some hours ago, if any."""

    number: int
    size: int
    storage_class: str
    thaw: rules.Thaw | None = None

    @property
    def key(self) -> str:
        return f"data/vol{self.number}"

    def planned(self) -> PlannedObject:
        """As a listing would tell of it."""
        states = {"readable": glacier.READY, "frozen": glacier.FROZEN, "thawing": glacier.THAWING}
        state = states.get(rules.state(self.storage_class, self.thaw, NOW.timestamp()), glacier.THAWED)
        ends = datetime.fromtimestamp(self.thaw.expires_at, timezone.utc) if self.thaw else None
        return PlannedObject(self.key, self.size, self.storage_class, state, to_w3(ends) if ends else None)

    def entry(self, operation: str, **facts: Any) -> dict[str, Any]:
        """As the server's log has it."""
        about = {"operation": operation, "key": self.key, "storage_class": self.storage_class, "size": self.size}
        return {"status": 200, **about, **facts}

    def ask(self, tier: str, days: int, now: datetime) -> dict[str, Any]:
        """RestoreObject."""
        answer = rules.request(self.storage_class, self.thaw, tier, days, now.timestamp())
        if isinstance(answer, rules.Refusal):
            return self.entry("RestoreObject", status=answer.status, tier=tier, days=days)
        status, self.thaw = answer
        return self.entry("RestoreObject", status=status, tier=tier, days=days)


Earlier = tuple[str, int, float]  # tier, days, hours ago


@st.composite
def sets(draw: st.DrawFn) -> list[tuple[int, str, Earlier | None]]:
    """Objects by size and class, some of which were asked for before."""
    found = []
    for _number in range(draw(st.integers(0, 12))):
        storage_class = draw(st.sampled_from(glacier.STORAGE_CLASSES))
        tiers = [tier for tier in rules.TIERS if (storage_class, tier) in rules.THAW_SECONDS]
        earlier = st.tuples(st.sampled_from(tiers), st.integers(1, 20), st.floats(0, 500)) if tiers else st.none()
        found.append((draw(st.integers(0, 1 << 45)), storage_class, draw(st.none() | earlier)))
    return found


def bucket_of(objects: list[tuple[int, str, Earlier | None]]) -> tuple[list[Stored], Log]:
    """The bucket now, and the log of what was asked for before."""
    made, log = [], []
    for number, (size, storage_class, earlier) in enumerate(objects):
        one = Stored(number, size, storage_class)
        if earlier:
            tier, days, ago = earlier
            asked = one.ask(tier, days, NOW - timedelta(hours=ago))
            # A copy that has expired since left nothing: the object is as if it had never been asked for.
            if rules.state(storage_class, one.thaw, NOW.timestamp()) == "frozen":
                one.thaw = None
            else:
                log.append(asked)
        made.append(one)
    return made, log


def consequences(objects: list[Stored], plan: Plan, offer: Offer, terms: Terms) -> Iterator[dict[str, Any]]:
    """What a thaw with this offer, and the restore after it, ask S3 for."""
    by_key = {one.key: one for one in objects}
    if offer.tier:
        wish = Wish(offer.tier, offer.days, terms.upgrade, terms.extend)
        for asked in retrieval.work_of(plan, wish, NOW):
            yield by_key[asked.key].ask(wish.tier, wish.days, NOW)
    for one in objects:
        yield one.entry("GetObject", bytes_out=one.size)


def lines_of(offer: Offer) -> dict[tuple[str, str], Decimal]:
    return {(line.what, line.storage_class): line.amount_usd for line in offer.lines}


TERMS = st.builds(Terms, days=st.integers(1, 60), egress=st.booleans(), upgrade=st.booleans(), extend=st.booleans())


@given(sets(), TERMS)
def test_no_plan_is_quoted_below_its_bill(found: list[tuple[int, str, Earlier | None]], terms: Terms) -> None:
    plan = Plan("acme-dr", tuple(one.planned() for one in bucket_of(found)[0]))
    for offer in offers.quote(plan, PRICES, terms, NOW):
        objects, before = bucket_of(found)
        log = [*before, *consequences(objects, plan, offer, terms)]
        billed, quoted = bill.bill(log, TABLE, len(before), terms.egress), lines_of(offer)
        assert {line: amount for line, amount in billed.items() if amount > quoted.get(line, 0)} == {}
        assert sum(billed.values()) <= offer.total_usd
        # S3 refuses an upgrade that is none, and that is not billed in full; all else is known before.
        if not any(line.what.startswith("upgrade") for line in offer.lines):
            assert {line: amount for line, amount in quoted.items() if amount} == {
                line: amount for line, amount in billed.items() if amount
            }


def test_a_bill_by_hand() -> None:
    """10 GB of Deep Archive in ten objects, thawed with Standard for a week and read once."""
    objects = [Stored(number, bill.GB, "DEEP_ARCHIVE") for number in range(10)]
    log = [one.ask("Standard", 7, NOW) for one in objects]
    log += [one.entry("RestoreObject", status=503, tier="Standard", days=7) for one in objects]
    log += [one.entry("GetObject", bytes_out=one.size) for one in objects]
    assert bill.bill(log, TABLE) == {
        ("thaw_requests", "DEEP_ARCHIVE"): Decimal("0.001"),
        ("thaw_data", "DEEP_ARCHIVE"): Decimal("0.2"),
        ("copies", "STANDARD"): Decimal("0.053666667"),
        ("get_requests", "DEEP_ARCHIVE"): Decimal("0.000004"),
        ("egress", ""): Decimal("0.9"),
    }


def test_a_price_that_is_a_billionth_off_is_noticed() -> None:
    table = {**TABLE, "figures": {**TABLE["figures"], "egress_gb": "0.090000001"}}
    plan = Plan("acme-dr", (PlannedObject("data/vol0", bill.GB, "STANDARD", glacier.READY),))
    (offer,) = offers.quote(plan, prices.checked_prices(TABLE), Terms(), NOW)
    log = [Stored(0, bill.GB, "STANDARD").entry("GetObject", bytes_out=bill.GB)]
    assert sum(bill.bill(log, table).values()) - offer.total_usd == Decimal("0.000000001")
