# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What it costs to write objects, to keep them and to delete them early, as lines of a quote.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils import glacier, prices
from ansible_collections.permafrost.backup.plugins.module_utils.billed import Objects, days_left, summed
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Line, Prices

UPLOAD, STORAGE, EARLY = "upload", "storage", "early_delete"


def written(those: Objects, table: Prices, what: str = UPLOAD) -> Iterator[Line]:
    """The requests. Those that begin an upload in parts, and the parts, are billed as in STANDARD."""
    name = those.storage_class
    if those.count:
        yield prices.requests(f"{what}_requests", name, table.figure(f"{name}.{prices.PUT}"), those.count)
    if those.parts:
        yield prices.requests(f"{what}_parts", "STANDARD", table.figure(f"STANDARD.{prices.PUT}"), those.parts)


def stored(those: Objects, table: Prices, days: int, what: str = STORAGE) -> Iterator[Line]:
    """The bytes, and what each object takes beside them."""
    name = those.storage_class
    figure, standard = table.figure(f"{name}.{prices.STORAGE}"), table.figure(prices.COPY)
    if not those.count or not days:
        return
    yield prices.storage(what, name, figure, those.size_bytes, days)
    if name in glacier.ARCHIVED:
        yield prices.storage(f"{what}_overhead", name, figure, those.count * glacier.OVERHEAD_BYTES, days)
        size = those.count * glacier.OVERHEAD_STANDARD_BYTES
        yield prices.storage(f"{what}_overhead", "STANDARD", standard, size, days)
    if name in glacier.LEAST_BILLED_BYTES and those.padding_bytes:
        yield prices.storage(f"{what}_least_size", name, figure, those.padding_bytes, days)


def early(found: Iterable[S3Object], table: Prices, now: datetime) -> Iterator[Line]:
    """What it costs to delete these now, before their minimum: what is stored, for the rest of the time."""
    by_days: dict[tuple[str, int], list[S3Object]] = {}
    for one in found:
        days = days_left(one, now)
        if days:
            by_days.setdefault((one.storage_class, days), []).append(one)
    for (_name, days), those in sorted(by_days.items()):
        for objects in summed(those):
            yield from stored(objects, table, days, EARLY)
