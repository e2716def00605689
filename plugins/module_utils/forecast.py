# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a source becomes in a bucket, as a raw copy and as a job's sets, and what that costs over time.

Pure. Sizes are upper bounds, since the content is not known: what is counted is never quoted below what is billed.
docs/cost.md has each formula with an example.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import billed, costs, glacier, offers, prices
from ansible_collections.permafrost.backup.plugins.module_utils.billed import Objects
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import BackupSet
from ansible_collections.permafrost.backup.plugins.module_utils.offers import Terms
from ansible_collections.permafrost.backup.plugins.module_utils.prices import Line, Prices, plain

KB, MB = 1024, 1024 * 1024
RAW, JOB = "raw", "job"
_YEAR_DAYS = 365
# The AWS CLI's defaults: what is as large as this is sent in parts of it, which double where S3 would take no more.
_RAW_CHUNK, _MOST_PARTS = 8 * MB, 10_000
# duplicity's tar: a header for each entry and for each further block of a file, and contents in whole records.
_RECORD, _BLOCK = 512, 64 * KB
# What a header has room for of a name, and the most that duplicity puts around one (multivol_snapshot/NAME/12345678).
_SHORT_NAME, _NAME_PREFIX = 100, 28
# What of a header is left by compression, beside the name; and how much of what does not compress is added to it.
_PACKED_HEADER, _EXPANSION = 64, Fraction(1, 1024)
# A signature: its head, and so much for each block of a file, whose size is about the root of the file's.
_SIGNATURE_HEAD, _SIGNATURE_ENTRY = 12, 12
# A line of a manifest beside the name; a volume's entry.
_MANIFEST_LINE, _MANIFEST_VOLUME = 16, 1024
# A name where only a count is known.
_NAME_BYTES = 64
# duplicity ends a volume so far before volume_size at the most, or after it; with gpg it is filled up then.
_VOLUME_MARGIN = 128 * KB
# The end of a tar, which is written in whole blocks of 10 KB, and what gzip or gpg put around it.
_TAR_END = 16 * KB


@dataclass
class Source:
    """What is to be kept, counted: files of so many bytes, and all entries with their names.

    ``headers`` and ``padding_bytes`` are those of duplicity's tar, ``header_name_bytes`` the names in its headers;
    ``signature_bytes`` are those of content alone.
    """

    files: int = 0
    size_bytes: int = 0
    entries: int = 0
    name_bytes: int = 0
    headers: int = 0
    header_name_bytes: int = 0
    signature_headers: int = 0
    padding_bytes: int = 0
    signature_bytes: int = 0
    signature_padding_bytes: int = 0
    raw_parts: int = 0
    raw_padding_bytes: int = 0

    def file(self, size: int, name_bytes: int) -> None:
        """A regular file."""
        signature = _SIGNATURE_HEAD + _SIGNATURE_ENTRY * _signature_blocks(size)
        self._entry(name_bytes, max(1, math.ceil(size / _BLOCK)))
        self.files += 1
        self.size_bytes += size
        self.padding_bytes += _whole(size) - size
        self.signature_bytes += signature
        self.signature_padding_bytes += _whole(signature) - signature
        self.raw_parts += _raw_parts(size)
        self.raw_padding_bytes += billed.padding(size)

    def other(self, name_bytes: int) -> None:
        """A directory or a link, of which a raw copy takes nothing."""
        self._entry(name_bytes, 1)

    def _entry(self, name_bytes: int, blocks: int) -> None:
        """Each block has a header; a long name takes records of its own beside each."""
        records = 1
        if name_bytes + _NAME_PREFIX > _SHORT_NAME:
            records += 1 + math.ceil((name_bytes + _NAME_PREFIX) / _RECORD)
        self.entries += 1
        self.name_bytes += name_bytes
        self.headers += blocks * records
        self.header_name_bytes += blocks * name_bytes
        self.signature_headers += records

    def share(self, rate: Fraction) -> Source:
        """What changes of it."""
        return Source(**{one.name: math.ceil(getattr(self, one.name) * rate) for one in fields(self)})

    def packed(self, ratio: Fraction) -> tuple[int, int]:
        """Bytes of volumes and of signatures when they are compressed, and ``ratio`` of the content is left."""
        left = math.ceil(self.size_bytes * ratio * (1 + _EXPANSION))
        return (
            left + self.headers * _PACKED_HEADER + self.header_name_bytes,
            self.signature_bytes + self.signature_headers * _PACKED_HEADER + self.name_bytes,
        )

    def plain(self) -> tuple[int, int]:
        """The same without compression; gpg adds a little all the same."""
        return (
            math.ceil((self.size_bytes + self.padding_bytes + self.headers * _RECORD) * (1 + _EXPANSION)),
            self.signature_bytes + self.signature_padding_bytes + self.signature_headers * _RECORD,
        )


def evenly(files: int, size_bytes: int) -> Source:
    """So many files of one size, with names of some length."""
    one = Source()
    one.file(math.ceil(size_bytes / files) if files else 0, _NAME_BYTES)
    whole = one.share(Fraction(files))
    whole.size_bytes = size_bytes
    return whole


def _whole(size: int) -> int:
    return math.ceil(size / _RECORD) * _RECORD


def _signature_blocks(size: int) -> int:
    return math.ceil(size / max(_RECORD, _whole(math.isqrt(size))))


def _raw_parts(size: int) -> int:
    chunk = _RAW_CHUNK
    while size > chunk * _MOST_PARTS:
        chunk *= 2
    return billed.parts(size, chunk) if size >= _RAW_CHUNK else 0


# --- a job's sets ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How a job stores: MB of a volume and of a chunk, and what compression leaves of the content; None is without."""

    volume_size: int
    chunk_size: int
    ratio: Fraction | None = Fraction(1)


@dataclass(frozen=True)
class Stored:
    """A set as objects: its volumes, whose class is the job's, and its manifest and signatures in STANDARD."""

    volumes: Objects
    metadata: Objects

    def of_class(self, name: str) -> tuple[Objects, Objects]:
        """The same with volumes of another class."""
        return Objects(name, *_numbers(self.volumes)), self.metadata


def _numbers(one: Objects) -> tuple[int, int, int, int]:
    return one.count, one.size_bytes, one.parts, one.padding_bytes


def set_of(source: Source, layout: Layout) -> Stored:
    """The set that a backup of all of the source makes."""
    volume, chunk = layout.volume_size * MB, layout.chunk_size * MB
    size, signatures = source.plain() if layout.ratio is None else source.packed(layout.ratio)
    whole, rest = divmod(size, volume - _VOLUME_MARGIN)
    signatures, last = signatures + _TAR_END, rest + _TAR_END
    volumes = Objects(
        "",
        count=whole + 1,
        size_bytes=whole * volume + last,
        parts=whole * billed.parts(volume + _VOLUME_MARGIN, chunk) + billed.parts(last, chunk),
        padding_bytes=billed.padding(last),
    )
    manifest = source.name_bytes + source.entries * _MANIFEST_LINE + volumes.count * _MANIFEST_VOLUME
    parts = billed.parts(signatures, chunk) + billed.parts(manifest, chunk)
    return Stored(volumes, Objects("STANDARD", 2, signatures + manifest, parts))


def set_found(one: BackupSet, listing: Mapping[str, S3Object], layout: Layout) -> Stored:
    """A set as it lies in the bucket; how it was uploaded follows from the layout."""
    chunk = layout.chunk_size * MB
    named = [one.volumes.values(), (name for name in (one.manifest, one.signature) if name)]
    volumes, metadata = ([listing[name].size_bytes for name in names] for names in named)
    return Stored(_uploaded("", volumes, chunk), _uploaded("STANDARD", metadata, chunk))


def _uploaded(name: str, sizes: Sequence[int], chunk: int) -> Objects:
    parts = sum(billed.parts(size, chunk) for size in sizes)
    return Objects(name, len(sizes), sum(sizes), parts, sum(billed.padding(size) for size in sizes))


def mean(sets: Sequence[Stored]) -> Stored:
    """The mean of some sets, rounded up."""
    volumes, metadata = (
        (math.ceil(Fraction(sum(numbers), len(sets))) for numbers in zip(*map(_numbers, those)))
        for those in ([one.volumes for one in sets], [one.metadata for one in sets])
    )
    return Stored(Objects("", *volumes), Objects("STANDARD", *metadata))


# --- over time ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rhythm:
    """A full every so many days, a run every so many, and how many fulls are kept with their incrementals."""

    full_days: int
    every_days: int
    keep_fulls: int

    @property
    def runs(self) -> int:
        """Runs from one full to the next, the full included."""
        return max(1, math.ceil(self.full_days / self.every_days))

    @property
    def kept_days(self) -> int:
        """How long a full lies there: so many newer ones have to come."""
        return self.keep_fulls * self.full_days

    def days_left(self, storage_class: str) -> list[int]:
        """By set of a chain, the full first: days that are paid for after the set has gone with its chain."""
        least = glacier.MINIMUM_DAYS[storage_class]
        return [max(0, least - self.kept_days + run * self.every_days) for run in range(self.runs)]


@dataclass(frozen=True)
class Cost:
    """One way to keep a source in one class. ``again`` and ``early`` are due every ``period_days``."""

    way: str
    storage_class: str
    objects: Objects
    period_days: int
    upload: tuple[Line, ...]
    storage: tuple[Line, ...]
    again: tuple[Line, ...]
    early: tuple[Line, ...]
    restores: dict[str | None, tuple[Line, ...]]

    def _month(self, lines: Iterable[Line]) -> Decimal:
        return prices.prorated(prices.total(lines), prices.MONTH_DAYS, self.period_days)

    @property
    def upload_usd(self) -> Decimal:
        return prices.total(self.upload)

    @property
    def month_usd(self) -> Decimal:
        """Storage, writes and early deletions."""
        return prices.total(self.storage) + self._month(self.again) + self._month(self.early)

    @property
    def year_usd(self) -> Decimal:
        """The first copy, and a year of months."""
        return self.upload_usd + prices.prorated(self.month_usd, _YEAR_DAYS, prices.MONTH_DAYS)

    def to_result(self) -> dict[str, Any]:
        restores = {tier: plain(prices.total(lines)) for tier, lines in self.restores.items()}
        return {
            "way": self.way,
            "storage_class": self.storage_class,
            "object_count": self.objects.count,
            "size_bytes": self.objects.size_bytes,
            "upload_usd": plain(self.upload_usd),
            "month_usd": plain(self.month_usd),
            "storage_month_usd": plain(prices.total(self.storage)),
            "writes_month_usd": plain(self._month(self.again)),
            "early_delete_month_usd": plain(self._month(self.early)),
            "year_usd": plain(self.year_usd),
            "restores": [{"tier": tier, "total_usd": total} for tier, total in restores.items()],
            "lines": {
                "upload": [line.to_result() for line in self.upload],
                "storage_month": [line.to_result() for line in self.storage],
                "writes_period": [line.to_result() for line in self.again],
                "early_delete_period": [line.to_result() for line in self.early],
                "restore": {
                    tier or "none": [line.to_result() for line in found] for tier, found in self.restores.items()
                },
            },
        }


def job_cost(full: Stored, later: Stored | None, name: str, plan: tuple[Rhythm, Terms], table: Prices) -> Cost:
    """A job in a class: fulls, and the incrementals between them, if anything changes.

    What is stored is counted at its most: all chains that retention keeps, each with all of its incrementals.
    """
    rhythm, terms = plan
    between = rhythm.runs - 1 if later else 0
    left = rhythm.days_left(name)
    chain = [*full.of_class(name), *(one.times(between) for one in (later.of_class(name) if later and between else ()))]
    kept = [one.times(rhythm.keep_fulls) for one in chain]
    early = [costs.stored(full.of_class(name)[0], table, left[0], costs.EARLY)]
    if later and between:
        early.append(costs.stored(later.of_class(name)[0], table, sum(left[1:]), costs.EARLY))
    read = Objects(name, *map(sum, zip(*(_numbers(one) for one in chain[::2]))))
    return Cost(
        way=JOB,
        storage_class=name,
        objects=Objects("", *map(sum, zip(*(_numbers(one) for one in kept)))),
        period_days=rhythm.full_days,
        upload=_lines(costs.written(one, table) for one in full.of_class(name)),
        storage=_lines(costs.stored(one, table, prices.MONTH_DAYS) for one in kept),
        again=_lines(costs.written(one, table) for one in chain),
        early=_lines(early),
        restores=offers.of_frozen([read.amount], table, terms),
    )


def raw_cost(source: Source, changed: Source, name: str, plan: tuple[Rhythm, Terms], table: Prices) -> Cost:
    """A copy of each file as an object, which overwrites what has changed at each run, and keeps no older version.

    The same files change each time, so that each version is as old as the time between two runs when it goes.
    """
    rhythm, terms = plan
    whole, anew = (_raw(one, name) for one in (source, changed))
    left = max(0, glacier.MINIMUM_DAYS[name] - rhythm.every_days)
    often = anew.times(rhythm.runs)
    return Cost(
        way=RAW,
        storage_class=name,
        objects=whole,
        period_days=rhythm.full_days,
        upload=tuple(costs.written(whole, table)),
        storage=tuple(costs.stored(whole, table, prices.MONTH_DAYS)),
        again=tuple(costs.written(often, table)),
        early=tuple(costs.stored(often, table, left, costs.EARLY)),
        restores=offers.of_frozen([whole.amount], table, terms),
    )


def _raw(source: Source, name: str) -> Objects:
    return Objects(name, source.files, source.size_bytes, source.raw_parts, source.raw_padding_bytes)


def _lines(parts: Iterable[Iterable[Line]]) -> tuple[Line, ...]:
    return tuple(line for part in parts for line in part)


# --- what makes sense -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BreakEven:
    """From which sizes on a class is worth its requests and overhead. None is never.

    An object of ``object_bytes`` costs as much as in STANDARD, over the time that a full is kept. At
    ``one_percent_bytes`` its requests and overhead are a hundredth of its storage. Volumes sent in chunks of less than
    ``chunk_bytes`` cost more for their parts than for themselves.
    """

    storage_class: str
    object_bytes: int | None
    one_percent_bytes: int | None
    chunk_bytes: int

    def to_result(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


def break_even(name: str, rhythm: Rhythm, volume_size: int, table: Prices) -> BreakEven:
    """All of it by exact fractions, and rounded up."""
    days = rhythm.kept_days
    paid = max(days, glacier.MINIMUM_DAYS[name])
    put, put_standard = (Fraction(table.figure(f"{one}.{prices.PUT}").usd) / 1000 for one in (name, "STANDARD"))
    byte, byte_standard = (_byte_day(one, table) for one in (name, "STANDARD"))
    each = put
    if name in glacier.ARCHIVED:
        each += paid * (glacier.OVERHEAD_BYTES * byte + glacier.OVERHEAD_STANDARD_BYTES * byte_standard)
    gain = days * byte_standard - paid * byte
    size = None if gain <= 0 else max(0, math.ceil((each - put_standard) / gain))
    least = glacier.LEAST_BILLED_BYTES.get(name, 0)
    if size is not None and size < least:
        flat = (put - put_standard + paid * least * byte) / (days * byte_standard)
        size = min(least, math.ceil(flat))
    parts = math.floor(put / put_standard) - 1 if put_standard else 0
    volume = volume_size * MB
    return BreakEven(
        storage_class=name,
        object_bytes=size,
        one_percent_bytes=math.ceil(100 * each / (paid * byte)) if byte else None,
        chunk_bytes=math.ceil(volume / parts) if parts >= 2 else volume + _VOLUME_MARGIN,
    )


def _byte_day(name: str, table: Prices) -> Fraction:
    return Fraction(table.figure(f"{name}.{prices.STORAGE}").usd) / (prices.GB * prices.MONTH_DAYS)


# --- for people -----------------------------------------------------------------------------------------------------


def table_of(found: Sequence[Cost]) -> list[str]:
    """The ways side by side, as lines of text."""
    head = ("way", "class", "objects", "upload", "a month", "of it early", "first year", "restore USD")
    rows = [head, *(_row(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(_justified(number, cell, widths) for number, cell in enumerate(row)).rstrip() for row in rows]


def _justified(number: int, cell: str, widths: Sequence[int]) -> str:
    return cell.ljust(widths[number]) if number < 2 or number == len(widths) - 1 else cell.rjust(widths[number])


def _row(one: Cost) -> tuple[str, ...]:
    result = one.to_result()
    sums = (result[name] for name in ("upload_usd", "month_usd", "early_delete_month_usd", "year_usd"))
    told = ", ".join(f"{tier or 'at once'} {_cents(prices.total(lines))}" for tier, lines in one.restores.items())
    return (one.way, one.storage_class, str(one.objects.count), *(_cents(Decimal(usd)) for usd in sums), told)


def _cents(amount: Decimal) -> str:
    """Rounded up, so that no cost looks like none."""
    return str(amount.quantize(Decimal("0.0001"), rounding=ROUND_CEILING))
