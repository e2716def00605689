# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which sets may go: duplicity's rules of retention, orphans, and what must stay.

Pure. The rules are those of duplicity 3.2 (``remove-all-but-n-full``, ``remove-older-than``,
``remove-all-inc-of-but-n-full``), but a set counts only when its manifest is in the bucket. duplicity counts
interrupted ones too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

from ansible_collections.permafrost.backup.plugins.module_utils import billed, manifest
from ansible_collections.permafrost.backup.plugins.module_utils.errors import ForeignChains, LastChain
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import (
    NO_PREFIXES,
    BackupSet,
    Chain,
    Collection,
    FilePrefixes,
    parse_name,
    unquote,
)
from ansible_collections.permafrost.backup.plugins.module_utils.policy import Policy
from ansible_collections.permafrost.backup.plugins.module_utils.times import interval, moment, to_w3

SetId = tuple[Optional[datetime], datetime]
LEFTOVER = "leftover"
_ALWAYS = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Rules:
    """What a task asks for.

    What was touched at or after ``settled`` may be being written now. ``ours`` are interrupted sets of this host, which
    nobody writes: the job's lock is held, and no run is on. What is paid for beyond ``free_at`` stays, where it is set.
    """

    settled: datetime
    keep_fulls: int | None = None
    older_than: datetime | None = None
    keep_incrementals_of: int | None = None
    orphans: bool = False
    delete_last_chain: bool = False
    free_at: datetime | None = None
    ours: frozenset[SetId] = frozenset()

    @classmethod
    def of(cls, policy: Policy, now: datetime, *, delete_last_chain: bool = False) -> Rules:
        """The rules of a policy as of now."""
        return cls(
            settled=now - interval(policy.orphan_age),
            keep_fulls=policy.keep_fulls,
            older_than=None if policy.older_than is None else moment(policy.older_than, now),
            keep_incrementals_of=policy.keep_incrementals_of,
            orphans=policy.orphans,
            delete_last_chain=delete_last_chain,
            free_at=now if policy.early_delete == "refuse" else None,
        )

    @property
    def of_chains(self) -> bool:
        """Whether a rule speaks of chains, and not of orphans alone."""
        return any(one is not None for one in (self.keep_fulls, self.older_than, self.keep_incrementals_of))


@dataclass
class Contents:
    """All that the bucket holds of one set."""

    manifests: list[S3Object] = field(default_factory=list)
    others: list[S3Object] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)

    @property
    def objects(self) -> list[S3Object]:
        return [*self.manifests, *self.others]

    @property
    def free_from(self) -> datetime:
        """When all of it can go without being paid for any longer."""
        return max((billed.free_from(one) for one in self.objects), default=_ALWAYS)

    @property
    def touched(self) -> datetime:
        """When something was last written, or begun to be."""
        return max([one.last_modified for one in self.objects] + [one.started for one in self.uploads])


@dataclass(frozen=True)
class Going:
    """A set that goes, and the rules that say so; or from when on it can go, where it has to wait."""

    backup_set: BackupSet
    reasons: tuple[str, ...]
    contents: Contents
    free_from: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """``going`` is in the order of deletion. ``left`` are sets without a manifest or a base that stay.

    ``held`` would go too, but for their minimum storage or that of a set that builds on them.
    """

    going: tuple[Going, ...]
    uploads: tuple[Upload, ...]
    kept: tuple[Chain, ...]
    left: tuple[BackupSet, ...]
    held: tuple[Going, ...]
    newest_is_old: bool

    @property
    def objects(self) -> list[S3Object]:
        return [one for going in self.going for one in going.contents.objects]


def set_id(one: BackupSet) -> SetId:
    return (one.start, one.end)


def sort_contents(
    listing: Mapping[str, S3Object], uploads: Iterable[tuple[str, Upload]], prefixes: FilePrefixes
) -> dict[SetId, Contents]:
    """The job's objects and unfinished uploads (both by name without the key prefix) set by set."""
    contents: dict[SetId, Contents] = {}
    for name, found in listing.items():
        parsed = parse_name(name, prefixes)
        if parsed is None and ".jsonstat" in name:
            # duplicity's --jsonstat, of chains that were made without this collection: it has the name of a manifest.
            parsed = parse_name(name.replace(".jsonstat", ".manifest"))
        if parsed is not None:
            of_set = contents.setdefault(parsed.set_id, Contents())
            is_manifest = parsed.kind == "manifest" and ".jsonstat" not in name
            (of_set.manifests if is_manifest else of_set.others).append(found)
    for name, upload in uploads:
        parsed = parse_name(name, prefixes)
        if parsed is not None:
            contents.setdefault(parsed.set_id, Contents()).uploads.append(upload)
    return contents


# --- the plan -------------------------------------------------------------------------------------------------------


def make_plan(
    found: Collection, listing: Mapping[str, S3Object], contents: Mapping[SetId, Contents], rules: Rules
) -> Plan:
    """What goes, in an order in which an end at any moment does no harm. Raises LastChain.

    Oldest chain first, and of each the newest set first, so that what is left of a chain is always a chain.
    """
    chosen = _of_chains(found.chains, rules)
    held = _held_chains(found.chains, chosen, contents, rules)
    ordered = [one for chain in found.chains for one in reversed(chain.sets)]
    for one in _leftovers(found, chosen, contents, rules):
        chosen[set_id(one)] = (LEFTOVER,)
        ordered.append(one)
    loose = sorted([*found.interrupted, *found.orphaned], key=lambda one: one.end, reverse=True)
    for one in loose:
        if rules.orphans and set_id(one) not in chosen and _is_settled(set_id(one), contents, rules):
            chosen[set_id(one)] = ("orphans",)
            ordered.append(one)
    held += [
        _taken(one, chosen, contents, contents[set_id(one)].free_from)
        for one in ordered
        if _is_held(one, chosen, contents, rules)
    ]
    _require_a_chain(found.chains, [one for one in ordered if set_id(one) in chosen], listing, rules)
    kept = [Chain([one for one in chain.sets if set_id(one) not in chosen]) for chain in found.chains]
    newest = found.chains[-1] if found.chains else None
    return Plan(
        going=tuple(Going(one, chosen[set_id(one)], contents[set_id(one)]) for one in ordered if set_id(one) in chosen),
        uploads=tuple(_uploads(found, contents, rules, held)) if rules.orphans else (),
        kept=tuple(chain for chain in kept if chain.sets),
        left=tuple(one for one in reversed(loose) if set_id(one) not in chosen),
        held=tuple(held),
        newest_is_old=bool(newest and rules.older_than and newest.end < rules.older_than and newest in kept),
    )


def _of_chains(chains: list[Chain], rules: Rules) -> dict[SetId, tuple[str, ...]]:
    """The rules by which each set of a chain goes."""
    chosen: dict[SetId, tuple[str, ...]] = {}
    for number, chain in enumerate(reversed(chains), 1):  # the newest is number 1
        trimmed = rules.keep_incrementals_of is not None and number > rules.keep_incrementals_of
        whole = []
        if rules.keep_fulls is not None and number > rules.keep_fulls:
            whole.append("keep_fulls")
        # Without its incrementals a chain ends with its full: else only the next run would find it old enough.
        end = chain.start if trimmed else chain.end
        # As in duplicity, the newest chain never goes by its age.
        may_age = number > 1 or rules.delete_last_chain
        if rules.older_than is not None and end < rules.older_than and may_age:
            whole.append("older_than")
        for one in chain.sets:
            reasons = [*whole, *(["keep_incrementals_of"] if trimmed and one.start is not None else [])]
            if reasons:
                chosen[set_id(one)] = tuple(reasons)
    return chosen


def _is_held(one: BackupSet, chosen: Mapping[SetId, Any], contents: Mapping[SetId, Contents], rules: Rules) -> bool:
    """Whether a set that was chosen has to wait for its minimum."""
    return bool(rules.free_at and set_id(one) in chosen and contents[set_id(one)].free_from > rules.free_at)


def _taken(
    one: BackupSet, chosen: dict[SetId, tuple[str, ...]], contents: Mapping[SetId, Contents], free_from: datetime
) -> Going:
    return Going(one, chosen.pop(set_id(one)), contents[set_id(one)], free_from)


def _held_chains(
    chains: list[Chain],
    chosen: dict[SetId, tuple[str, ...]],
    contents: Mapping[SetId, Contents],
    rules: Rules,
) -> list[Going]:
    """Take out of ``chosen`` what has to wait, and with a set all that it builds on: what stays can be restored."""
    held = []
    for chain in chains:
        waits, free_from = False, _ALWAYS
        for one in reversed(chain.sets):
            waits = waits or _is_held(one, chosen, contents, rules)
            if waits and set_id(one) in chosen:
                free_from = max(free_from, contents[set_id(one)].free_from)
                held.append(_taken(one, chosen, contents, free_from))
    return held


def _leftovers(
    found: Collection, chosen: Mapping[SetId, Any], contents: Mapping[SetId, Contents], rules: Rules
) -> list[BackupSet]:
    """What a cleanup that was killed left behind: sets without a manifest, older than all that stays of their kind.

    Nobody writes such a set any more: something newer was completed after its last object.
    """
    kept = [chain for chain in found.chains if set_id(chain.sets[0]) not in chosen]
    full = _border(kept, rules, contents)
    incremental = _border(_with_incrementals(kept, found, rules), rules, contents)
    leftovers = []
    for one in found.interrupted:
        border, completed = full if one.start is None else incremental
        touched = contents[set_id(one)].touched
        if border and one.end < border and (touched <= completed or touched < rules.settled):
            leftovers.append(one)
    return sorted(leftovers, key=lambda one: one.end, reverse=True)


def _with_incrementals(kept: list[Chain], found: Collection, rules: Rules) -> list[Chain]:
    """Of the chains that stay, those that keep their incrementals."""
    if rules.keep_incrementals_of is None:
        return kept
    keeping = found.chains[-rules.keep_incrementals_of :]
    return [chain for chain in kept if chain in keeping]


def _border(kept: list[Chain], rules: Rules, contents: Mapping[SetId, Contents]) -> tuple[datetime | None, datetime]:
    """The time before which a set without a manifest is a leftover, and when S3 had the full of that time whole."""
    if kept and rules.of_chains:
        return kept[0].start, contents[set_id(kept[0].sets[0])].manifests[0].last_modified
    # Nothing stays, at the end of a job: only what nobody touched for long.
    return (rules.older_than if rules.delete_last_chain else None), rules.settled - timedelta(seconds=1)


def _is_settled(found: SetId, contents: Mapping[SetId, Contents], rules: Rules) -> bool:
    return found in rules.ours or contents[found].touched < rules.settled


def _uploads(
    found: Collection, contents: Mapping[SetId, Contents], rules: Rules, held: Sequence[Going]
) -> list[Upload]:
    """Unfinished uploads that nobody goes on with. Beside a complete set each stands for itself.

    A set of this host that has to wait can still be resumed, so nothing of it goes.
    """
    complete = {set_id(one) for chain in found.chains for one in chain.sets}
    waiting = rules.ours & {set_id(one.backup_set) for one in held}
    going = []
    for one, of_set in contents.items():
        if one in waiting:
            continue
        for upload in of_set.uploads:
            settled = upload.started < rules.settled if one in complete else _is_settled(one, contents, rules)
            if settled:
                going.append(upload)
    return going


# --- what must stay -------------------------------------------------------------------------------------------------


def gaps(sets: Sequence[BackupSet], listing: Mapping[str, S3Object]) -> list[str]:
    """What the sets lack, as far as names and sizes tell: volumes between others, and objects without a byte."""
    names = [name for one in sets for name in (*one.volumes.values(), one.manifest) if name]
    return [*manifest.gaps(sets), *(name for name in names if not listing[name].size_bytes)]


def _require_a_chain(
    chains: list[Chain], going: list[BackupSet], listing: Mapping[str, S3Object], rules: Rules
) -> None:
    """Raise LastChain when complete sets go and no chain stays that is untouched and can be restored."""
    if rules.delete_last_chain or not any(one.complete for one in going):
        return
    touched = {set_id(one) for one in going}
    staying = [chain for chain in chains if not touched & {set_id(one) for one in chain.sets}]
    if any(not gaps(chain.sets, listing) for chain in staying):
        return
    why = "no chain at all would stay"
    if staying:
        lacking = gaps(staying[-1].sets, listing)
        why = f"the newest chain, of {to_w3(staying[-1].start)}, lacks {', '.join(lacking[:5])}"
    raise LastChain(f"{len(going)} sets would go, but {why}.", chains=[to_w3(chain.start) for chain in staying])


def foreign(found: Collection, prefixes: FilePrefixes) -> list[str]:
    """What names tell of another job below the same key prefix, as sentences."""
    told = []
    for older, newer in zip(found.chains, found.chains[1:]):
        if older.end > newer.start:
            told.append(
                f"the chain of {to_w3(older.start)} got an incremental at {to_w3(older.end)}, "
                f"after the full of {to_w3(newer.start)}"
            )
    complete = [one for chain in found.chains for one in chain.sets] + found.orphaned
    bases = Counter(one.start for one in complete if one.start is not None)
    told += [f"{count} incrementals build on the set of {to_w3(base)}" for base, count in bases.items() if count > 1]
    others = [name for name in found.unknown if _of_other_prefix(name, prefixes)]
    if others:
        told.append(f"{len(others)} objects have another file prefix, such as {others[0]}")
    return told


def _of_other_prefix(name: str, prefixes: FilePrefixes) -> bool:
    """Whether duplicity wrote it, for a job with other file prefixes."""
    places = [at for at in range(len(name)) if name.startswith("duplicity-", at)]
    parsed = [(name[:at], parse_name(name[at:], NO_PREFIXES)) for at in places]
    return any(one is not None and prefix != prefixes.of(one.kind) for prefix, one in parsed)


def hostname_of(content: bytes) -> str | None:
    """The host name at the head of a plain manifest."""
    words = content.split(b"\n", 1)[0].split()
    return unquote(words[1]).decode("utf-8", "replace") if len(words) == 2 and words[0] == b"Hostname" else None


def require_one_job(told: list[str]) -> None:
    """Raise ForeignChains when anything tells of another job."""
    if told:
        raise ForeignChains(f"This does not look like one job: {'; '.join(told[:5])}.", signs=told)


# --- as a task result -----------------------------------------------------------------------------------------------


def sizes(objects: Iterable[S3Object]) -> dict[str, int]:
    """Bytes by storage class."""
    by_class: Counter[str] = Counter()
    for one in objects:
        by_class[one.storage_class] += one.size_bytes
    return dict(by_class)


def set_facts(one: BackupSet, contents: Contents) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "time": to_w3(one.end),
        "complete": one.complete,
        "object_count": len(contents.objects),
        "size_bytes": sizes(contents.objects),
    }


def chain_facts(chain: Chain, listing: Mapping[str, S3Object]) -> dict[str, Any]:
    return {
        "start": to_w3(chain.start),
        "end": to_w3(chain.end),
        "sets": len(chain.sets),
        "restorable": not gaps(chain.sets, listing),
    }


def diff(found: Collection, plan: Plan) -> dict[str, str]:
    """Sets before and after, by time; of those that go also their objects."""
    going = {set_id(one.backup_set): one for one in plan.going}
    every = [one for chain in found.chains for one in chain.sets] + found.interrupted + found.orphaned
    before, after = [], []
    for one in sorted(every, key=lambda one: one.end):
        line = f"{one.kind} {to_w3(one.end)}" + ("" if one.complete else " (interrupted)")
        before.append(line)
        if set_id(one) in going:
            before += [f"  {found.key}" for found in going[set_id(one)].contents.objects]
        else:
            after.append(line)
    before += [f"unfinished upload of {upload.key}" for upload in plan.uploads]
    return {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)}
