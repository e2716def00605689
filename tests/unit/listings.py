"""Listings of a bucket with chains in it, which tests of retention make, spoil and clean up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import manifest, retention
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.times import to_stamp

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOW = EPOCH + timedelta(days=400)
SETTLED = NOW - timedelta(days=7)
Chains = list[list[int]]


def at(hour: int) -> datetime:
    return EPOCH + timedelta(hours=hour)


def names_of(base: int | None, hour: int, volumes: int = 2, *, complete: bool = True) -> list[str]:
    """What the bucket holds of one set."""
    end = to_stamp(at(hour))
    if base is None:
        kind, signature = f"duplicity-full.{end}", f"duplicity-full-signatures.{end}"
    else:
        start = to_stamp(at(base))
        kind, signature = f"duplicity-inc.{start}.to.{end}", f"duplicity-new-signatures.{start}.to.{end}"
    names = [f"{kind}.vol{number}.difftar.gz" for number in range(1, volumes + 1)]
    return [*names, *([f"{signature}.sigtar.gz", f"{kind}.manifest"] if complete else [])]


@dataclass
class Bucket:
    """A listing that tests change. Objects are written at the time of their set."""

    objects: dict[str, S3Object] = field(default_factory=dict)
    uploads: list[tuple[str, Upload]] = field(default_factory=list)
    prefixes: manifest.FilePrefixes = manifest.NO_PREFIXES

    def add(self, base: int | None, hour: int, *, written: datetime | None = None, **options: Any) -> list[str]:
        """A set; gives its names."""
        names = names_of(base, hour, **options)
        for name in names:
            self.put(name, written or at(hour))
        return names

    def put(self, name: str, written: datetime = EPOCH) -> None:
        self.objects[name] = S3Object(name, 10, "DEEP_ARCHIVE" if "vol" in name else "STANDARD", "", written)

    def upload(self, name: str, started: datetime) -> None:
        self.uploads.append((name, Upload(name, str(len(self.uploads)), started)))

    @property
    def found(self) -> manifest.Collection:
        return manifest.collect(self.objects, self.prefixes)

    def plan(self, **rules: Any) -> retention.Plan:
        contents = retention.sort_contents(self.objects, self.uploads, self.prefixes)
        return retention.make_plan(self.found, self.objects, contents, retention.Rules(**{"settled": SETTLED, **rules}))

    def requests(self, **rules: Any) -> list[list[str]]:
        return requests_of(self.plan(**rules))

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            del self.objects[key]


def requests_of(plan: retention.Plan) -> list[list[str]]:
    """What a cleanup sends, as cleaning.py does."""
    sent = [[one.key for one in part] for of in plan.going for part in (of.contents.manifests, of.contents.others)]
    return [keys for keys in sent if keys]


def filled(chains: Chains) -> Bucket:
    bucket = Bucket()
    for chain in chains:
        for base, hour in zip([None, *chain], chain):
            bucket.add(base, hour)
    return bucket


def hours(sets: Any) -> list[int]:
    return [round((one.end - EPOCH).total_seconds() / 3600) for one in sets]


def going(plan: retention.Plan) -> list[int]:
    return hours(one.backup_set for one in plan.going)


THREE: Chains = [[10, 20, 30], [40, 50], [60, 70]]


@st.composite
def histories(draw: st.DrawFn) -> Chains:
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    every = iter(sorted(draw(st.sets(st.integers(0, 500), min_size=sum(lengths), max_size=sum(lengths)))))
    return [[next(every) for _set in range(length)] for length in lengths]


COUNTS = st.none() | st.integers(1, 6)
RULES = st.fixed_dictionaries(
    {"keep_fulls": COUNTS, "older_than": st.none() | st.integers(-1, 501).map(at), "keep_incrementals_of": COUNTS}
)


@st.composite
def damaged(draw: st.DrawFn) -> Bucket:
    """Chains of which objects are gone or empty, beside what interrupted backups left."""
    bucket = filled(draw(histories()))
    for hour in draw(st.sets(st.integers(501, 600), max_size=2)):
        bucket.add(draw(st.none() | st.just(500)), hour, complete=draw(st.booleans()), written=at(hour))
    for name in draw(st.sets(st.sampled_from(sorted(bucket.objects)), max_size=3)):
        if draw(st.booleans()):
            del bucket.objects[name]
        else:
            bucket.objects[name] = replace(bucket.objects[name], size_bytes=0)
    for hour in draw(st.sets(st.integers(0, 600), max_size=2)):
        bucket.upload(names_of(None, hour)[0], at(hour))
    return bucket
