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

BACKUP, INFO, RESTORE = "duplicity_backup", "duplicity_info", "duplicity_restore"
CLEANUP = "duplicity_cleanup"
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
        return {**self.base, "encryption": encryption, "state_dir": str(self.root / "hosts" / host), **changes}

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


def test_public_keys_back_up_and_a_secret_key_brings_it_back(stage: Stage) -> None:
    public = stage.encryption("host", "recovery")
    first = succeeded(stage.play({"first": stage.backup(public)})["first"])
    assert (first["action"], first["new_secrets"]) == ("full", False)
    stage.change("second")
    # The recovery key alone: the other one may be lost, its public part too.
    recovery = stage.encryption("host", "recovery", secret=("recovery",), public_keys=None)
    done = stage.play(
        {
            "second": stage.backup(public),
            "info": Task(INFO, {"job": stage.job(public), "files": True}),
            "restore": stage.restore(recovery, "blank", "restored"),
            "owner": Task(CLEANUP, {"job": stage.job(public, hostname="another"), "keep_fulls": 1}),
            "elsewhere": Task(CLEANUP, {"job": stage.job(public, "nowhere", hostname="another"), "keep_fulls": 1}),
        }
    )
    assert succeeded(done["second"])["action"] == "incremental"
    refused(done["owner"], "foreign_chains", "and job.hostname is another")
    assert "owner of 1 of 1 chains was not checked" in succeeded(done["elsewhere"])["warnings"][0]
    assert succeeded(done["info"])["file_count"] == 3
    assert [one["unreadable"] for one in done["info"]["chains"]] == [None]
    succeeded(done["restore"])
    assert stage.same("restored")
    stage.change("third")
    opened = stage.encryption("host", "recovery", secret=("host",))
    done = stage.play(
        {"check": Task(BACKUP, {"job": stage.job(opened, "lost")}, check=True), "third": stage.backup(opened, "lost")}
    )
    assert [succeeded(result)["action"] for result in done.values()] == ["incremental"] * 2


def test_what_a_host_without_the_right_secret_is_told(stage: Stage, s3: S3Lab) -> None:
    public = stage.encryption("host")
    bucket = stage.base["target"].split("/")[2]
    succeeded(stage.play({"first": stage.backup(public)})["first"])
    stage.change("second")
    before = s3.state(bucket)
    opened = stage.encryption("host", secret=("host",))
    broken = bytearray(stage.key["host"].secret, "ascii")
    broken[400] ^= 1
    done = stage.play(
        {
            "no key": stage.restore(public, "lost", "a"),
            "no key, incremental": stage.backup(public, "lost"),
            "no key, check": Task(BACKUP, {"job": stage.job(public, "lost")}, check=True),
            "another key": stage.restore(stage.encryption("host", secret=("other",)), "lost", "b"),
            "another passphrase": stage.restore({**opened, "passphrase": "of another key"}, "lost", "c"),
            "broken": stage.restore({**opened, "secret_keys": broken.decode()}, "lost", "e"),
        }
    )
    for name in ("no key", "no key, incremental", "no key, check"):
        refused(done[name], "secret_key_missing", "Give job.encryption.secret_keys", "duplicity_backup with full: true")
    refused(done["another key"], "secret_key_mismatch", "No secret key", "Give the secret key of the chain")
    refused(done["another passphrase"], "wrong_key_passphrase", "Bad passphrase")
    refused(done["broken"], "bad_input", "job.encryption.secret_keys")
    assert s3.state(bucket) == before
    assert not list(stage.root.glob("?"))
    # What the message says to do.
    again = stage.play({"full": stage.backup(public, "lost", full=True)})["full"]
    assert (succeeded(again)["action"], again["new_secrets"]) == ("full", False)


def test_a_new_key_begins_a_chain_on_purpose_only(stage: Stage) -> None:
    old, new = stage.encryption("host"), stage.encryption("other")
    done = stage.play(
        {
            "old": stage.backup(old),
            "refused": Task(BACKUP, {"job": stage.job(new, full_if_older_than="0s")}),
            "passphrase": stage.backup({"mode": "symmetric", "passphrase": "something else"}),
            "new": stage.backup(new, full=True),
        }
    )
    for name in ("refused", "passphrase"):
        refused(done[name], "keys_changed", "duplicity-full.", "run duplicity_backup with full: true")
    assert succeeded(done["new"])["new_secrets"] is True
    stage.change("later")
    then = {"time": succeeded(done["old"])["set"]["time"]}
    of_old, of_new = (stage.encryption(name, secret=(name,)) for name in ("host", "other"))
    done = stage.play(
        {
            "later": stage.backup(new),
            "info": Task(INFO, {"job": stage.job(of_new, "blank")}),
            "restore": stage.restore(of_old, "blank", "restored", **then),
        }
    )
    assert succeeded(done["later"])["action"] == "incremental"
    first, second = succeeded(done["info"])["chains"]
    assert (first["missing_count"], second["missing_count"], second["unreadable"]) == (None, 0, None)
    assert "No secret key" in first["unreadable"]
    succeeded(done["restore"])
    assert [path.name for path in (stage.root / "restored").iterdir()] == ["kept"]


def test_a_new_passphrase_begins_a_chain_on_purpose_only(stage: Stage) -> None:
    old, new = ({"mode": "symmetric", "passphrase": f"the {word} passphrase"} for word in ("old", "new"))
    done = stage.play(
        {
            "old": stage.backup(old),
            "refused": Task(BACKUP, {"job": stage.job(new, full_if_older_than="0s")}),
            "new": stage.backup(new, full=True),
        }
    )
    refused(done["refused"], "wrong_passphrase", "run duplicity_backup with full: true")
    assert succeeded(done["new"])["new_secrets"] is True
    then = {"time": succeeded(done["old"])["set"]["time"]}
    done = stage.play({name: stage.restore(given, "blank", name, **then) for name, given in (("a", new), ("b", old))})
    refused(done["a"], "wrong_passphrase", "gpg cannot open duplicity-full.")
    succeeded(done["b"])
    assert stage.same("b")


def test_signed_volumes_are_verified_on_a_restore(stage: Stage) -> None:
    public = "".join(stage.key[name].public for name in ("host", "signer", "other"))
    signed = stage.encryption("host", secret=("signer",), sign_key=stage.key["signer"].fingerprint, public_keys=public)
    opened = {**signed, "secret_keys": stage.key["host"].secret}
    done = stage.play(
        {
            "signed": stage.backup(signed),
            "unsigned": stage.backup(stage.encryption("host")),
            "another": stage.restore({**opened, "sign_key": stage.key["other"].fingerprint}, "blank", "another"),
            "verified": stage.restore(opened, "blank", "verified"),
        }
    )
    succeeded(done["signed"])
    signer = stage.key["signer"].fingerprint
    refused(done["unsigned"], "keys_changed", f"was signed by {signer}, and", "signed by nobody")
    refused(done["another"], "wrong_signer", "Volume was signed by key")
    succeeded(done["verified"])
    assert stage.same("verified")
    assert not (stage.root / "another").exists()


def test_keys_of_no_use_are_told_before_anything_is_uploaded(stage: Stage, s3: S3Lab) -> None:
    signed = stage.encryption("host", secret=("signer",), sign_key=stage.key["signer"].fingerprint)
    signed["public_keys"] += stage.key["signer"].public
    done = stage.play(
        {
            "expired": stage.backup(stage.encryption("host", "expired")),
            "passphrase": stage.backup({**signed, "passphrase": "of another key"}),
            "garbage": stage.backup(stage.encryption("host", public_keys="mQENBF")),
        }
    )
    fingerprint = stage.key["expired"].fingerprint
    refused(done["expired"], "key_unusable", f"{fingerprint}: skipped: Unusable", "gpg --quick-set-expire")
    refused(done["passphrase"], "wrong_key_passphrase", "signing failed: Bad passphrase")
    refused(done["garbage"], "bad_input", "job.encryption.public_keys holds no block")
    assert s3.state(stage.base["target"].split("/")[2]) == []
