"""python -m lab.demo: back up, freeze, plan, thaw, restore, prove. Each step is a run of a real playbook."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from lab import play, trees
from lab.demo import proofs
from lab.demo.stage import BUCKET, HOME, JOB, PREFIX, DemoError, Stage, check, require_success, say
from lab.places import lock

FILES = 11_000
THAW_HOURS = 48  # Bulk from DEEP_ARCHIVE


def back_up(stage: Stage, name: str) -> tuple[proofs.Snapshot, dict[str, Any]]:
    """Look at the tree, back it up, and say what was stored."""
    snapshot = trees.snapshot(stage.source)
    result = stage.play("backup", job=JOB).result("duplicity_backup")
    check(result["action"] == name, f"the backup was {result['action']} instead of {name}")
    archived = result["set"]["size_bytes"]["DEEP_ARCHIVE"] / proofs.MEGABYTE
    say(f"{name}: {len(snapshot):,} entries in {result['set']['volumes']} volumes, {archived:.1f} MB in DEEP_ARCHIVE")
    return snapshot, result


def show(stage: Stage, entries: int) -> None:
    """Chains and files, and at least 30 volumes in three sets."""
    shown = stage.play("status", job=JOB, files="true", pattern="awkward/names/*").result("duplicity_info")
    check(len(shown["chains"]) == 1, "there is more than one chain")
    check(shown["file_count"] == entries, f"{shown['file_count']} entries are listed instead of {entries}")
    for one in shown["chains"][0]["sets"]:
        say(f"{one['time']}  {one['kind']:<12} {one['volumes']:>3} volumes  {one['size_bytes']}")
    some = shown["files"][3]["path"]
    say(f"{shown['file_count']:,} entries, {shown['matched_count']} of them in awkward/names, like {some!r}")
    count = sum(one["volumes"] for one in shown["chains"][0]["sets"])
    check(len(shown["chains"][0]["sets"]) == 3 and count >= 30, f"{count} volumes are too few for this demo")


def be_quoted(stage: Stage) -> None:
    """Nothing can be read yet. The quote says what it costs, and without consent nothing is requested."""
    since = stage.lab.mark()
    run = stage.play("restore", job=JOB, dest=str(HOME / "restored-quoted"))
    found = run.result("duplicity_restore")["error"]
    check(set(found["frozen"]) == set(proofs.volumes(stage)), "the message does not name the frozen volumes")
    proofs.requested_only(stage, since, set())
    check(not (HOME / "restored-quoted").exists(), "a quote left something behind")
    for line in run.result("glacier_quote_info")["table"]:
        say(line)


def plan(stage: Stage, path: str) -> dict[str, Any]:
    """One directory needs few of the volumes."""
    planned: dict[str, Any] = stage.play("plan", job=JOB, path=path).result("glacier_restore_info")["plan"]
    total = len(proofs.volumes(stage))
    check(0 < planned["volume_count"] < total / 4, f"{planned['volume_count']} of {total} volumes are no small part")
    say(f"{planned['volume_count']} of {total} volumes, {planned['size_bytes']:,} bytes, all frozen")
    return planned


def thaw(stage: Stage, keys: set[str], **selection: str) -> None:
    """Thaw in one playbook run that waits, while the server's hours pass."""
    before, since = stage.lab.now(), stage.lab.mark()
    with stage.playing("thaw", job=JOB, poll_interval="1", **selection) as run:
        wait_until_requested(stage, run, since, len(keys))
        proofs.only_in_state(stage, "thawing", keys)
        stage.lab.advance(hours=THAW_HOURS / 2)
        time.sleep(1.5)  # longer than poll_interval: it has looked again
        check(run.process.poll() is None, "the thaw did not wait")
        passed = (stage.lab.now() - before) / 3600
        say(f"{len(keys)} requested; after {passed:.0f} hours of the server's clock they are thawing, and it waits")
        stage.lab.advance(hours=THAW_HOURS / 2)
        require_success(run.wait(), "thaw")
    proofs.requested_only(stage, since, keys)
    say(f"{len(keys)} thawed after {(stage.lab.now() - before) / 3600:.0f} hours")


def wait_until_requested(stage: Stage, run: play.Run, since: int, count: int, seconds: float = 120) -> None:
    """The playbook plans first; then its requests appear in the log."""
    deadline = time.monotonic() + seconds
    while sum(entry["operation"] == "RestoreObject" for entry in stage.lab.requests(since)) < count:
        check(run.process.poll() is None, f"the playbook thaw ended early:\n{run.output}")
        check(time.monotonic() < deadline, f"no requests after {seconds:.0f} seconds:\n{run.output}")
        time.sleep(0.2)


def restore(stage: Stage, name: str, expected: proofs.Snapshot, **selection: str) -> None:
    """Restore, compare, and look at what was read."""
    since = stage.lab.mark()
    *_looked, result = stage.play("restore", job=JOB, dest=str(HOME / name), **selection).results("duplicity_restore")
    proofs.read_exactly(stage, since, result["plan"])
    proofs.same(expected, name)


def perform(stage: Stage) -> None:
    """The steps, in order."""
    with stage.step(f"Make a tree of {FILES:,} files of this machine, and awkward ones"):
        trees.make(stage.source, files=FILES)
    with stage.step("Build the image (role duplicity_image; nothing to do when its recipe is unchanged)"):
        stage.play("site")
    with stage.step("Back up: a full into DEEP_ARCHIVE, encrypted, in volumes of 1 MB"):
        first, full = back_up(stage, "full")
    snapshots = [first]
    for number in (1, 2):
        with stage.step("Change, add and delete files, modes, owners, links; back up again"):
            trees.change(stage.source, number)
            snapshots.append(back_up(stage, "incremental")[0])
    with stage.step("Show chains and files"):
        show(stage, len(trees.kept(snapshots[-1])))
    with stage.step("Lose the host's archive directory: the bucket and the passphrase are all that is left"):
        stage.lose_host()
    with stage.step("Ask for everything back: it is frozen, and this is what it costs"):
        be_quoted(stage)
    path = trees.some_directory(snapshots[-1])
    with stage.step("Plan the restore of one directory"):
        planned = plan(stage, path)
        some = {volume["key"] for volume in planned["volumes"]}
    with stage.step("Thaw only that, with credentials that the host does not have, and wait"):
        thaw(stage, some, path=path)
        proofs.only_in_state(stage, "thawed", some)
        say(f"the other {len(proofs.volumes(stage)) - len(some)} volumes are still frozen, as the server's state shows")
    with stage.step("Restore the directory"):
        restore(stage, "restored-path", trees.below(snapshots[-1], path), path=f"{path}/")
    with stage.step("Thaw the rest: what is thawed already is not requested again"):
        thaw(stage, set(proofs.volumes(stage)) - some)
    with stage.step("Restore everything as it was at the first backup"):
        restore(stage, "restored-first", first, time=full["set"]["time"])
    with stage.step("Restore everything as it is now"):
        restore(stage, "restored-now", snapshots[-1])
    print(f"\n{proofs.report(stage, snapshots, planned['size_bytes'])}")


def main() -> int:
    """Perform, and say what went wrong if something did."""
    if os.geteuid():
        print("demo: run it as root: it makes files of other owners and devices, and restores them", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        with lock(HOME.with_suffix(".lock")), Stage() as stage:
            perform(stage)
    except DemoError as error:
        print(f"\nFAILED: {error}\n\nThe logs are in {HOME / 'log'}, s3://{BUCKET}/{PREFIX} is gone.", file=sys.stderr)
        return 1
    print(f"{'seconds':<38} {time.monotonic() - started:.0f}\n\nEverything came back. Logs: {HOME / 'log'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
