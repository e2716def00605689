"""python -m bench [--data A B C D] [--only NAME] [--cold] [--no-…] [--hosts N] [--rounds N]: the README's tables."""

from __future__ import annotations

import argparse
import collections
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from bench import contestants, datasets, fleet, minimal, restores, thaws
from bench.measure import Usage
from lab.s3.client_api import S3Lab

# What we promise, as ratios of wall time in one run: (data, ours against, at most).
PROMISES = (("A", "restic", 1.0), ("B", "restic", 0.8), ("B", "bare duplicity, gzip", 0.45))
MAX_WRITES_B = 8
MAX_LISTING_MB = 200
# A second run of site, which changes nothing, against the first.
MAX_SECOND_RUN = 1 / 3
_OURS, _ALONE = "permafrost.backup", "its container alone"


def main() -> None:
    options = _options()
    contestants.prepare()
    sources = {name: datasets.make(name) for name in options.data}
    with S3Lab() as s3:
        _ceiling(s3)
        for data, source in sources.items() if options.backups else ():
            runs = _in_turn(options.only or _who(data), source, s3, data.lower(), options.rounds, cold=options.cold)
            results = {name: _median(found) for name, found in runs.items()}
            _table(f"{data}, caches dropped" if options.cold else data, results)
            _verdicts(data, results)
        for data in sorted({"A", "B"}.intersection(options.data)) if options.restores else ():
            _restores(data, sources[data], s3, options.rounds)
        if options.listing:
            _listing(s3)
        if options.minimal:
            _minimal(s3)
    if options.thaw:
        _thaw()
    if options.hosts:
        _fleet(options.hosts)


def _in_turn(
    names: Iterable[str], source: Path, s3: S3Lab, label: str, rounds: int, *, cold: bool
) -> dict[str, list[Usage]]:
    """Round by round, so that a machine that is slower for a minute is so for all.

    Each round another begins: the first reads what no cache holds yet, the data, libraries and images, and the others
    find it there.
    """
    runs: dict[str, list[Usage]] = {name: [] for name in names}
    order = collections.deque(enumerate(runs))
    for turn in range(rounds):
        for number, name in order:
            runs[name].append(contestants.measure(name, source, s3, f"{label}{number}-{turn}", cold=cold))
        order.rotate(-1)
    return runs


def _who(data: str) -> Iterable[str]:
    return contestants.CONTESTANTS if data in ("A", "B") else contestants.ALONE


def _listing(s3: S3Lab) -> None:
    """A million names with a pattern."""
    usage = contestants.listing(datasets.make("N"), s3, "names")
    print(f"\nduplicity_info, a pattern on 1,000,000 files: {usage.wall:.1f} s")
    _verdict("MB of the module", usage.peak / 1e6, MAX_LISTING_MB)


def _fleet(count: int) -> None:
    """The playbook site over many hosts, twice."""
    first, second = fleet.measure(count)
    print(f"\n{f'site over {count} hosts':<24}{'seconds a host':>16}{'tasks a host':>14}{'changed':>9}")
    for name, run in (("first run", first), ("second run", second)):
        print(f"{name:<24}{run.seconds_per_host:>16.2f}{run.tasks_per_host:>14.1f}{run.changed:>9}")
    _verdict("second run against the first", second.seconds_per_host / first.seconds_per_host, MAX_SECOND_RUN)
    _verdict("changes of the second run", second.changed, 0)


def _restores(data: str, source: Path, s3: S3Lab, rounds: int) -> None:
    """From thawed volumes, on a new host."""
    runs = restores.measure(source, s3, f"restore-{data.lower()}", rounds)
    results = {name: _median(found) for name, found in runs.items()}
    _table(f"restore of {data}", results)
    ours, bare = results[restores.OURS], results[restores.BARE]
    _verdict("wall s against 1.1 x bare duplicity + 1 s", ours.wall, restores.limit(bare))


def _minimal(s3: S3Lab) -> None:
    """No byte is thawed that is not read."""
    volumes, paths = minimal.measure(s3)
    thawed, read = sum(one.thawed for one in paths), sum(one.read for one in paths)
    shares = sorted(one.thawed / one.chain for one in paths)
    print(f"\nminimal thaw: {len(paths)} random paths of a chain of {volumes} volumes, {paths[0].chain / 1e6:.0f} MB")
    print(f"  of the chain are thawed for a path: {statistics.mean(shares):.2%}, at most {shares[-1]:.2%}")
    _verdict("volumes", volumes, minimal.LEAST_VOLUMES, least=True)
    _verdict("bytes thawed against bytes read", thawed / read, 1)
    _verdict("paths of which that is not so", sum(one.thawed != one.read for one in paths), 0)


def _thaw() -> None:
    """Very many objects. First what the server can take, and that it refuses as Amazon does."""
    with thaws.stage() as stage:
        served, in_a_second, refused = thaws.ceiling(stage.s3, stage.bucket)
        print(f"\nthe server alone: {served:.0f} restores a second; of a rush it refuses {refused}")
        _verdict("restores served a second", served, thaws.LEAST_SERVED, least=True)
        _verdict("accepted in a second of a rush", in_a_second, thaws.MOST_IN_A_SECOND)
        found = {name: thaws.measure(name, stage) for name in thaws.COUNTS}
        listings, others = thaws.look_again(stage)
    ours = found[thaws.OURS]
    print(f"\n{'large thaw':<28}{'objects':>9}{'a second':>10}{'ours is':>9}{'refused':>9}{'lost':>6}{'peak MB':>9}")
    for name, one in found.items():
        figures = f"{one.accepted:>9}{one.per_second:>10.0f}{ours.per_second / one.per_second:>8.1f}x{one.refused:>9}"
        print(f"{name:<28}{figures}{one.lost:>6}{one.usage.peak / 1e6:>9.0f}")
    _verdict("accepted a second", ours.per_second, thaws.LEAST_ACCEPTED, least=True)
    _verdict("lost", ours.lost, 0)
    _verdict("MB of the module", ours.usage.peak / 1e6, thaws.MOST_MB)
    _verdict("listings of each look", max(ours.listings / 2, listings), thaws.LISTINGS)
    _verdict("requests of a look at thawed objects besides", others, 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--data", nargs="*", choices=["A", "B", "C", "D"], default=["A", "B", "C", "D"])
    parser.add_argument("--listing", action=argparse.BooleanOptionalAction, default=True, help="of a million files")
    parser.add_argument("--hosts", type=int, default=16, help="of the playbook site; 0 leaves it out")
    parser.add_argument("--backups", action=argparse.BooleanOptionalAction, default=True, help="of each data set")
    parser.add_argument("--restores", action=argparse.BooleanOptionalAction, default=True, help="of A and B")
    parser.add_argument("--minimal", action=argparse.BooleanOptionalAction, default=True, help="thaw, path by path")
    parser.add_argument("--thaw", action=argparse.BooleanOptionalAction, default=True, help="of 100,000 objects")
    parser.add_argument("--only", nargs="+", choices=list(contestants.CONTESTANTS))
    parser.add_argument("--cold", action="store_true", help="drop the machine's page cache before each backup")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many")
    return parser.parse_args()


def _ceiling(s3: S3Lab) -> None:
    """What the S3 server on the same machine can take, as the limit of everything below."""
    client = s3.client()
    client.create_bucket(Bucket="ceiling")
    started = time.monotonic()
    for number in range(500):
        client.put_object(Bucket="ceiling", Key=f"{number}", Body=b"x" * 1000)
    small = 500 / (time.monotonic() - started)
    body = bytes(256 * 1024 * 1024)
    started = time.monotonic()
    client.put_object(Bucket="ceiling", Key="large", Body=body)
    print(
        f"the server's ceiling: {small:.0f} small PUTs a second, {256 / (time.monotonic() - started):.0f} MiB a second"
    )
    for entry in s3.state("ceiling"):
        client.delete_object(Bucket="ceiling", Key=entry["key"])


def _median(runs: list[Usage]) -> Usage:
    middle = statistics.median_low([run.wall for run in runs])
    return next(run for run in runs if run.wall == middle)


def _table(data: str, results: dict[str, Usage]) -> None:
    print(f"\n{data:<24}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'S3 writes':>11}")
    for name, usage in results.items():
        print(f"{name:<24}{usage.wall:>9.1f}{usage.cpu:>9.1f}{usage.peak / 1e6:>9.0f}{usage.writes:>11}", flush=True)


def _verdicts(data: str, results: dict[str, Usage]) -> None:
    ours = results.get(_OURS)
    if ours is None:
        return
    for wanted, rival, most in PROMISES:
        if wanted == data and rival in results:
            _verdict(f"wall against {rival}", ours.wall / results[rival].wall, most)
    if data == "B":
        _verdict("S3 writes", ours.writes, MAX_WRITES_B)
    if _ALONE in results:
        _verdict("seconds that the module adds", ours.wall - results[_ALONE].wall, 1.0)
        _verdict("MB that the module adds", (ours.peak - results[_ALONE].peak) / 1e6, 100)


def _verdict(what: str, value: float, bound: float, *, least: bool = False) -> None:
    kept = value >= bound if least else value <= bound
    print(f"  {what}: {value:.2f} (at {'least' if least else 'most'} {bound:g}): {'kept' if kept else 'MISSED'}")


if __name__ == "__main__":
    main()
