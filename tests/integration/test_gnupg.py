"""Backups for GnuPG keys: with public keys alone, and back again with the secret ones on a blank host."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.errors.playing import Result, Task, play, refused, succeeded

from lab import keys as lab_keys
from lab.keys import Key
from lab.s3.client_api import S3Lab

BACKUP, INFO, PLAN, RESTORE = "duplicity_backup", "duplicity_info", "glacier_restore_info", "duplicity_restore"
PASSPHRASE = "the passphrase of two keys"
Job = dict[str, Any]
Options = dict[str, Any]


@dataclass
class Stage:
    """One backup, hosts that know of it, and keys: ``host`` and ``signer`` have a passphrase, ``expired`` is."""

    root: Path
    base: Job
    key: dict[str, Key]

    @property
    def source(self) -> Path:
        return self.root / "source"

    def encryption(self, *names: str, secret: tuple[str, ...] = (), **changes: Any) -> Options:
        """Encrypt for these keys, with the secret keys of those. An option that is None is left out."""
        chosen = [self.key[name] for name in names]
        found: Options = {"mode": "gpg", "encrypt_keys": [key.fingerprint for key in chosen]}
        found["public_keys"] = "".join(key.public for key in chosen)
        if secret:
            found["secret_keys"] = "".join(self.key[name].secret for name in secret)
        if any(self.key[name].passphrase for name in secret):
            found["passphrase"] = PASSPHRASE
        return {name: value for name, value in {**found, **changes}.items() if value is not None}

    def job(self, encryption: Options, host: str = "host", **changes: Any) -> Job:
        """The job on a host, which is a state directory: another one has nothing of the first."""
        return {**self.base, "encryption": encryption, "state_dir": str(self.root / host), **changes}

    def backup(self, encryption: Options, host: str = "host", *, full: bool = False) -> Task:
        return Task(BACKUP, {"job": self.job(encryption, host), "full": full})

    def restore(self, encryption: Options, host: str, to: str, **options: Any) -> Task:
        return Task(RESTORE, {"job": self.job(encryption, host), "dest": str(self.root / to), **options})

    def play(self, tasks: dict[str, Task]) -> dict[str, Result]:
        """Run tasks in order."""
        return play(tasks, self.root)

    def change(self, name: str) -> None:
        """Something new to back up."""
        (self.source / name).write_text(f"content of {name}")

    def same(self, restored: str) -> bool:
        """Whether what was restored is what the source is now."""
        return not subprocess.run(["diff", "-r", self.source, self.root / restored], check=False).returncode


@pytest.fixture(scope="module")
def key(image: str) -> dict[str, Key]:
    passphrases = {"host": PASSPHRASE, "signer": PASSPHRASE, "recovery": "", "other": "", "expired": ""}
    return lab_keys.make(image, passphrases, expired=("expired",))


@pytest.fixture
def stage(tmp_path: Path, job: Job, key: dict[str, Key]) -> Stage:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "kept").write_bytes(bytes(range(256)) * 4000)
    return Stage(tmp_path, {**job, "storage_class": "STANDARD"}, key)


def test_there_and_back_again(stage: Stage) -> None:
    public = stage.encryption("host", "recovery")
    opened = stage.encryption("host", "recovery", secret=("host",))
    done = stage.play({"first": stage.backup(public)})
    assert succeeded(done["first"])["action"] == "full"
    stage.change("second")
    done = stage.play(
        {
            "second": stage.backup(public),
            "info": Task(INFO, {"job": stage.job(public), "files": True}),
            "restore": stage.restore(opened, "blank", "restored"),
        }
    )
    assert succeeded(done["second"])["action"] == "incremental"
    assert succeeded(done["info"])["file_count"] == 3
    succeeded(done["restore"])
    assert stage.same("restored")
