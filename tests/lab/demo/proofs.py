"""What the demo claims, checked on the S3 server's state and request log and on the files, and summed up."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lab import trees
from lab.demo.stage import BUCKET, HOME, PREFIX, THAW_KEY, Stage, check, say

Snapshot = dict[bytes, trees.Entry]
MEGABYTE = 1_000_000


def volumes(stage: Stage) -> dict[str, dict[str, Any]]:
    """The archived objects by key, as the server sees them."""
    return {entry["key"]: entry for entry in stage.lab.state(BUCKET, PREFIX) if entry["storage_class"] != "STANDARD"}


def only_in_state(stage: Stage, state: str, keys: set[str]) -> None:
    """These, and nothing else, are in a state."""
    found = {key for key, entry in volumes(stage).items() if entry["state"] == state}
    check(found == keys, f"{state} are {sorted(found)} instead of {sorted(keys)}")


def requested_only(stage: Stage, since: int, keys: set[str]) -> None:
    """A thaw was requested for each of these once, for nothing else, and with the credentials for thaws."""
    sent = [entry for entry in stage.lab.requests(since) if entry["operation"] == "RestoreObject"]
    check(Counter(entry["key"] for entry in sent) == Counter(keys), f"thaws were requested for {sent}")
    check({entry["access_key"] for entry in sent} <= {THAW_KEY}, "a thaw was requested with the host's credentials")


def read_exactly(stage: Stage, since: int, plan: dict[str, Any]) -> None:
    """The restore read each volume of its plan once, and no other."""
    read = [entry["key"] for entry in stage.lab.requests(since) if entry["operation"] == "GetObject"]
    wanted = sorted(volume["key"] for volume in plan["volumes"])
    found = sorted(key for key in read if ".difftar" in key)
    check(found == wanted, f"the restore read {found} instead of {wanted}")
    say(f"the request log shows one GET for each of the {len(wanted)} planned volumes, and for no other")


def same(expected: Snapshot, name: str) -> None:
    """Content, type, mode, owner, link target, device and mtime of every file came back."""
    differences = trees.differences(expected, trees.snapshot(HOME / name))
    check(not differences, f"{len(differences)} differences in {name}:\n" + "\n".join(differences[:50]))
    say(f"{len(expected)} entries compared: content, type, mode, owner, link target, mtime. No difference")


def report(stage: Stage, snapshots: list[Snapshot], thawed_bytes: int) -> str:
    """The table at the end."""
    objects = stage.lab.state(BUCKET, PREFIX)
    stored = sum(entry["size"] for entry in volumes(stage).values())
    requests = Counter(_kind(entry) for entry in stage.lab.requests())
    rows = [
        ("files in the tree", f"{len(_files(snapshots[-1])):,}"),
        ("objects in the bucket", f"{len(objects):,}, {len(volumes(stage)):,} of them volumes in DEEP_ARCHIVE"),
        ("requests", f"{requests.total():,}"),
        *((f"  {kind}", f"{count:,}") for kind, count in sorted(requests.items())),
        ("PUTs that aws s3 sync would have sent", f"{_sync_puts(snapshots):,}, one for each new or changed file"),
        ("thawed for the directory", f"{thawed_bytes:,} of {stored:,} bytes ({thawed_bytes / stored:.1%})"),
    ]
    return "\n".join(f"{name:<38} {value}" for name, value in rows)


def _kind(entry: dict[str, Any]) -> str:
    storage_class = entry["storage_class"] if entry["operation"] == "PutObject" else None
    return " ".join(filter(None, (entry["operation"], storage_class)))


def _files(snapshot: Snapshot) -> Snapshot:
    return {path: entry for path, entry in snapshot.items() if entry.type == "file"}


def _sync_puts(snapshots: list[Snapshot]) -> int:
    """What differs from one backup to the next, beginning with nothing: sync looks at size and mtime."""
    pairs = zip([{}, *snapshots[:-1]], snapshots, strict=True)
    return sum(_content(entry) != _content(old.get(path)) for old, new in pairs for path, entry in _files(new).items())


def _content(entry: trees.Entry | None) -> tuple[int | None, int] | None:
    return (entry.size, entry.mtime) if entry else None
