"""What unit.record records: each function acts out one situation on a stage of its own."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import command
from unit.awkward import NAMES
from unit.stage import Stage

MB = 1024 * 1024
PASSPHRASE = {"mode": "symmetric", "passphrase": "correct horse"}
WRONG = {"mode": "symmetric", "passphrase": "wrong horse"}


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _fill(directory: Path, sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(random.Random(os.fsencode(name)).randbytes(size))


def _awkward(top: Path) -> None:
    """Names large enough that volumes begin and end in them."""
    (top / "awkward").mkdir()
    for number, name in enumerate(NAMES):
        (top / "awkward" / os.fsdecode(name)).write_bytes(random.Random(number).randbytes(700_000))


def _restore(stage: Stage, path: str, record_as: str | None, **changes: object) -> None:
    job = stage.job(**changes)
    into = stage.directory / "into"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    spec = command.restore(job, stage.run_dir, path=path, time=_now(), into=str(into))
    stage.run(job, spec, record_as)


def _plan(stage: Stage, path: str, record_as: str, **changes: object) -> None:
    job = stage.job(**changes)
    stage.run(job, command.restore_dry_run(job, stage.run_dir, path=path, time=_now()), record_as)


def _status(stage: Stage, record_as: str, **changes: object) -> None:
    job = stage.job(**changes)
    stage.run(job, command.fetch_metadata(job, stage.run_dir), record_as)


def _keys(stage: Stage, part: str) -> list[str]:
    return [entry["key"] for entry in stage.lab.state(stage.name) if part in entry["key"]]


def life(stage: Stage) -> None:
    """A full with awkward names in many volumes, a run without changes, an incremental, and questions about them."""
    _awkward(stage.source)
    _fill(stage.source, {"etc/nginx/nginx.conf": 900, "etc/hosts": 90, "zeta/large": 3 * MB})
    stage.backup("check-first", dry_run=True)
    stage.backup("full")
    stage.backup("check-unchanged", dry_run=True)
    stage.backup("skipped")
    time.sleep(1.1)
    (stage.source / "etc/hosts").unlink()
    _fill(stage.source, {"etc/new": 2 * MB})
    (stage.source / "etc/nginx/nginx.conf").write_text("changed")
    stage.backup("check-changed", dry_run=True)
    stage.backup("check-full", dry_run=True, full=True)
    stage.backup("incremental")
    stage.manifests("life")
    stage.listing("life")
    job = stage.job()
    stage.run(job, command.list_files(job, stage.run_dir, time=_now()), "list")
    _plan(stage, "", "plan-whole")
    _plan(stage, "etc/nginx", "plan-path")
    _plan(stage, "no/such", "plan-no-such-path")
    _restore(stage, "etc/nginx", "restore")
    _restore(stage, "no/such", "restore-no-such-path")
    _status(stage, "status")
    stage.forget()
    _status(stage, "status-after-loss")


def verified(stage: Stage) -> None:
    """The source and the backup: the same, then different in every way; one volume lost."""
    _awkward(stage.source)
    _fill(
        stage.source, {"etc/hosts": 90, "etc/gone": 90, "etc/mode": 90, "etc/data": 900, "etc/kind": 9, "zeta": 2 * MB}
    )
    (stage.source / "etc/link").symlink_to("hosts")
    os.mkfifo(stage.source / "etc/pipe")
    stage.backup()
    stage.manifests("verified")
    stage.listing("verified")
    _verify(stage, "", "verify-same")
    _spoil(stage.source)
    _verify(stage, "", "verify-differs")
    _verify(stage, "etc", "verify-path")
    _verify(stage, "", "verify-no-data", compare_data=False)
    stage.lab.client().delete_object(Bucket=stage.name, Key=_keys(stage, "vol1.")[0])
    _verify(stage, "", "verify-volume-missing")


def _spoil(source: Path) -> None:
    (source / "etc/gone").unlink()
    (source / "etc/mode").chmod(0o600)
    before = (source / "etc/data").stat()
    (source / "etc/data").write_bytes(b"other content, and the same time")
    os.utime(source / "etc/data", ns=(before.st_atime_ns, before.st_mtime_ns))
    (source / "etc/kind").unlink()
    (source / "etc/kind").mkdir()
    (source / "etc/link").unlink()
    (source / "etc/link").symlink_to("else where is missing")
    for name in NAMES:
        os.utime(source / "awkward" / os.fsdecode(name), (1, 1))
        (source / "new" / os.fsdecode(name)).parent.mkdir(exist_ok=True)
        (source / "new" / os.fsdecode(name)).touch()


def _verify(stage: Stage, path: str, record_as: str, *, compare_data: bool = True) -> None:
    job = stage.job()
    spec = command.verify(job, stage.run_dir, path=path, time=_now(), compare_data=compare_data)
    stage.run(job, spec, record_as)


def resumed(stage: Stage) -> None:
    """A full is killed; the last volumes are not in the bucket, so that the next run begins below what was listed."""
    _fill(stage.source, {f"data/{number:02}": 700_000 for number in range(16)})
    stage.lab.fault(operation="PutObject", key_contains="vol8.", kind="latency", seconds=3)
    killer = threading.Thread(target=_kill_when, args=(stage, "vol7.", "KILL"))
    killer.start()
    stage.backup("killed")
    killer.join()
    stage.lab.clear_faults()
    stage.listing("interrupted")
    for key in [key for number in (6, 7, 8) for key in _keys(stage, f"vol{number}.")]:
        stage.lab.client().delete_object(Bucket=stage.name, Key=key)
    stage.backup("resumed")
    stage.manifests("resumed")
    stage.listing("resumed")


def _kill_when(stage: Stage, part: str, signal: str) -> None:
    deadline = time.monotonic() + 60
    while not _keys(stage, part) and time.monotonic() < deadline:
        time.sleep(0.02)
    subprocess.run(["docker", "kill", "--signal", signal, "permafrost-web01-data-backup"], check=True)


def stopped(stage: Stage) -> None:
    """SIGTERM reaches duplicity through the init."""
    _fill(stage.source, {f"data/{number:02}": 700_000 for number in range(16)})
    stage.lab.fault(operation="PutObject", key_contains="vol8.", kind="latency", seconds=3)
    killer = threading.Thread(target=_kill_when, args=(stage, "vol5.", "TERM"))
    killer.start()
    stage.backup("stopped")
    killer.join()


def unreadable(stage: Stage) -> None:
    """Files and a directory that may not be read, one with a name that is not UTF-8."""
    locked = ("secret", "locked", os.fsdecode(b"secret-\xe9"))
    _fill(stage.source, {"open": 100, "secret": 100, "locked/inside": 100, os.fsdecode(b"secret-\xe9"): 1})
    for name in locked:
        (stage.source / name).chmod(0)
    job = stage.job()
    spec = command.backup(job, stage.run_dir, full=False, dry_run=False)
    stage.run(job, spec, "unreadable", capabilities=())
    stage.listing("unreadable")


def passphrase(stage: Stage) -> None:
    """The chain's passphrase is another one: incremental, restore, status, and the look at the newest manifest."""
    _fill(stage.source, {"file": 1000})
    stage.backup("full-encrypted", encryption=PASSPHRASE)
    stage.listing("encrypted")
    (stage.source / "file").write_text("changed")
    time.sleep(1.1)
    stage.backup("wrong-passphrase-incremental", encryption=WRONG)
    stage.forget()
    stage.backup("wrong-passphrase-after-loss", encryption=WRONG)
    _restore(stage, "", "wrong-passphrase-restore", encryption=WRONG)
    stage.forget()
    _status(stage, "wrong-passphrase-status", encryption=WRONG)
    _open(stage, PASSPHRASE, "open-manifest")
    _open(stage, WRONG, "open-manifest-wrong")


def _open(stage: Stage, encryption: dict[str, str], record_as: str) -> None:
    job = stage.job(encryption=encryption)
    spec = command.open_manifest(job, stage.run_dir, "manifest.gpg")
    key = _keys(stage, "manifest")[0]
    content = stage.lab.client().get_object(Bucket=stage.name, Key=key)["Body"].read()
    Path(stage.run_dir, "manifest.gpg").write_bytes(content)
    stage.run(job, spec, record_as)


def bucket(stage: Stage) -> None:
    """No such bucket, refused credentials, nobody there, an empty prefix."""
    _fill(stage.source, {"file": 1000})
    stage.backup("no-bucket", target="s3://no-such-bucket/web01/data")
    stage.forget()
    wrong = {"access_key": stage.lab.access_key, "secret_key": "wrong", "session_token": None}
    stage.backup("refused", credentials=wrong)
    stage.forget()
    stage.backup("unreachable", endpoint_url="http://127.0.0.1:1")
    stage.forget()
    _status(stage, "status-empty")
    _restore(stage, "", "restore-empty")
    job = stage.job()
    stage.run(job, command.list_files(job, stage.run_dir, time=_now()), "list-empty")
    stage.lab.fault(operation="PutObject", key_contains="difftar", kind="500")
    stage.backup("upload-fails")


def frozen(stage: Stage) -> None:
    """A restore of volumes in DEEP_ARCHIVE."""
    _fill(stage.source, {"file": 1000})
    stage.backup("full-deep-archive", storage_class="DEEP_ARCHIVE")
    stage.listing("frozen")
    _restore(stage, "", "frozen")


def damaged(stage: Stage) -> None:
    """A volume is not what was written; then it is gone."""
    _fill(stage.source, {"file": 3 * MB})
    stage.backup()
    key = _keys(stage, "vol1.")[0]
    stage.lab.corrupt(stage.name, key)
    _restore(stage, "", "hash-mismatch")
    stage.lab.client().delete_object(Bucket=stage.name, Key=key)
    _plan(stage, "", "volume-missing")


def mismatch(stage: Stage) -> None:
    """The chain is of another source directory, or of another host."""
    _fill(stage.source, {"file": 1000})
    stage.backup()
    other = stage.directory / "other"
    _fill(other, {"file": 1000})
    stage.backup("source-mismatch", source=str(other))
    stage.backup("host-mismatch", hostname="web02")


def lock_held(stage: Stage) -> None:
    """A foreign duplicity holds the lock of the archive directory."""
    _fill(stage.source, {"file": 1000})
    stage.backup()
    with Path(stage.job().archive_dir, "web01-data", "lockfile").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        stage.backup("lock-held")


def temp_space(stage: Stage) -> None:
    """The temporary directory is too small, first by duplicity's own sum, then in the middle of a volume."""
    _fill(stage.source, {f"data/{number}": MB for number in range(30)})
    small = stage.directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(small)], check=True)
    try:
        stage.backup("temp-space-preflight", temp_dir=str(small), volume_size=20)
        (small / "taken").write_bytes(bytes(7 * MB))
        stage.backup("temp-space", temp_dir=str(small), volume_size=1, concurrency=0)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def open_files(stage: Stage) -> None:
    """The engine gives containers fewer open files than duplicity wants at least."""
    _fill(stage.source, {"file": 1000})
    stage.engine_options = ("--ulimit", "nofile=512")
    stage.backup("open-files")


def codes(stage: Stage) -> None:
    """Exit codes that our own preflights keep away, so that the argv is changed by hand."""
    _fill(stage.source, {"file": 1000})
    job = stage.job()

    def backup(record_as: str | None, before: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
        spec = command.backup(job, stage.run_dir, full=False, dry_run=False)
        stage.run(job, spec, record_as, argv=before(spec.argv))

    backup("incremental-without-a-full", lambda argv: (argv[0], "incremental", *argv[4:]))
    backup("usage", lambda argv: (*argv[:-2], "--no-such-option", *argv[-2:]))
    backup(None, lambda argv: argv)
    _restore_by_hand(stage, "target-exists", ())
    _restore_by_hand(stage, "nothing-restored", ("--exclude", "**"))
    for signatures in Path(job.archive).glob("*.sigtar.gz"):
        signatures.write_bytes(b"no gzip at all")
    (stage.source / "file").write_text("changed")
    time.sleep(1.1)
    backup("exception", lambda argv: argv)


def _restore_by_hand(stage: Stage, record_as: str, more: tuple[str, ...]) -> None:
    job = stage.job()
    into = stage.directory / "taken"
    shutil.rmtree(into, ignore_errors=True)
    (into / "data").mkdir(parents=True)
    if not more:
        (into / "data" / "file").write_text("was here")
    spec = command.restore(job, stage.run_dir, path="", time=_now(), into=str(into))
    stage.run(job, spec, record_as, argv=(*spec.argv[:-2], *more, *spec.argv[-2:]))


SCENARIOS: tuple[Callable[[Stage], None], ...] = (
    life,
    verified,
    resumed,
    stopped,
    unreadable,
    passphrase,
    bucket,
    frozen,
    damaged,
    mismatch,
    lock_held,
    temp_space,
    open_files,
    codes,
)
