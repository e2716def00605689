# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What S3 bills, before any price: objects summed up by class, the requests of an upload, the minimum storage time.

Pure. Objects of one class are summed up, so that ten millions of them cost no more memory than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import glacier
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object

_LEAST = glacier.LEAST_BILLED_BYTES["GLACIER_IR"]
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Amount:
    """Objects of one class that a restore reads; ``parts`` are the requests by which duplicity would stream them."""

    storage_class: str
    count: int
    size_bytes: int
    parts: int = 0


@dataclass(frozen=True)
class Objects:
    """So many objects of a class, in bytes as they lie there.

    ``parts`` are the requests beside the one that ends an upload: to begin one in parts, and for each part.
    ``padding_bytes`` is what the small ones lack to the least size that GLACIER_IR bills.
    """

    storage_class: str
    count: int
    size_bytes: int
    parts: int = 0
    padding_bytes: int = 0

    def times(self, number: int) -> Objects:
        """So many of the same."""
        return replace(
            self,
            count=self.count * number,
            size_bytes=self.size_bytes * number,
            parts=self.parts * number,
            padding_bytes=self.padding_bytes * number,
        )

    @property
    def amount(self) -> Amount:
        """What a restore reads of it."""
        return Amount(self.storage_class, self.count, self.size_bytes)

    def to_result(self) -> dict[str, Any]:
        """What lies there; how it was uploaded is not part of it."""
        return {
            "storage_class": self.storage_class,
            "object_count": self.count,
            "size_bytes": self.size_bytes,
            "padding_bytes": self.padding_bytes,
        }

    @classmethod
    def of_result(cls, data: Mapping[str, Any]) -> Objects:
        """The inverse."""
        return cls(data["storage_class"], data["object_count"], data["size_bytes"], 0, data["padding_bytes"])


def padding(size_bytes: int) -> int:
    """What an object lacks to the least size that GLACIER_IR bills."""
    return max(0, _LEAST - size_bytes)


def parts(size_bytes: int, chunk_bytes: int) -> int:
    """The requests of an upload beside its last: boto3 and the AWS CLI send in parts what is as large as a chunk."""
    return 0 if size_bytes < chunk_bytes else 1 + math.ceil(size_bytes / chunk_bytes)


def summed(found: Iterable[S3Object]) -> list[Objects]:
    """What a listing holds, by class."""
    by_class: dict[str, Objects] = {}
    for one in found:
        name = one.storage_class
        so_far = by_class.get(name, Objects(name, 0, 0))
        by_class[name] = replace(
            so_far,
            count=so_far.count + 1,
            size_bytes=so_far.size_bytes + one.size_bytes,
            padding_bytes=so_far.padding_bytes + padding(one.size_bytes),
        )
    return [by_class[name] for name in sorted(by_class)]


def free_from(one: S3Object) -> datetime:
    """When an object can go without being paid for any longer."""
    return one.last_modified + glacier.MINIMUM_DAYS.get(one.storage_class, 0) * _DAY


def days_left(one: S3Object, now: datetime) -> int:
    """How many days are still paid for when it goes now; a day that has begun counts."""
    return max(0, math.ceil((free_from(one) - now) / _DAY))
