"""A table of prices and plans for tests of quotes."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import glacier, prices
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import Plan, PlannedObject
from lab.places import CHECKOUT

TABLE: dict[str, Any] = yaml.safe_load((CHECKOUT / "playbooks" / "prices" / "us-east-1.yml").read_text())
PRICES = prices.checked_prices(TABLE)
STATES = (glacier.READY, glacier.THAWED, glacier.THAWING, glacier.FROZEN, glacier.STAGED)
EXPIRES = "2026-12-24T00:00:00Z"


def volume(number: int, size_bytes: int, storage_class: str, state: str) -> PlannedObject:
    expires = EXPIRES if state == glacier.THAWED else None
    return PlannedObject(f"data/vol{number}", size_bytes, storage_class, state, expires)


def plan(*volumes: tuple[int, str, str]) -> Plan:
    """A plan of (bytes, class, state)."""
    return Plan("acme-dr", tuple(volume(number, *one) for number, one in enumerate(volumes)))


def _state(storage_class: str) -> st.SearchStrategy[str]:
    archived = storage_class in glacier.ARCHIVED
    return st.sampled_from(STATES[1:]) if archived else st.just(glacier.READY)


volumes = st.sampled_from(glacier.STORAGE_CLASSES).flatmap(
    lambda name: st.tuples(st.integers(0, 1 << 45), st.just(name), _state(name))
)
plans = st.lists(volumes, max_size=12).map(lambda found: plan(*found))
