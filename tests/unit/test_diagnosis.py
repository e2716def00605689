"""diagnosis.py: every failure that was recorded from the real duplicity has the error that tells what to do."""

from __future__ import annotations

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.module_utils.diagnosis import failure, of_memory
from ansible_collections.permafrost.backup.plugins.module_utils.log import Event, Run
from unit import transcript

RECORDED: dict[str, type[errors.PermafrostError]] = {
    "exception": errors.ArchiveDamaged,
    "frozen": errors.VolumesFrozen,
    "hash-mismatch": errors.DamagedVolume,
    "host-mismatch": errors.SourceMismatch,
    "incremental-without-a-full": errors.NoBackup,
    "killed": errors.OutOfMemory,
    "list-empty": errors.NoBackup,
    "lock-held": errors.LockHeld,
    "no-bucket": errors.BucketMissing,
    "nothing-restored": errors.PathNotInBackup,
    "open-files": errors.OpenFilesTooFew,
    "open-manifest-wrong": errors.WrongPassphrase,
    "refused": errors.AccessRefused,
    "restore-empty": errors.NoBackup,
    "restore-no-such-path": errors.PathNotInBackup,
    "source-mismatch": errors.SourceMismatch,
    "stopped": errors.Stopped,
    "target-exists": errors.DestinationNotEmpty,
    "temp-space": errors.TemporarySpace,
    "temp-space-preflight": errors.TemporarySpace,
    "unreachable": errors.EndpointUnreachable,
    "upload-fails": errors.BackendFailed,
    "usage": errors.UsageRefused,
    "verify-volume-missing": errors.VolumesMissing,
    "volume-missing": errors.VolumesMissing,
    "wrong-passphrase-after-loss": errors.WrongPassphrase,
    "wrong-passphrase-incremental": errors.WrongPassphrase,
    "wrong-passphrase-restore": errors.WrongPassphrase,
    "wrong-passphrase-status": errors.WrongPassphrase,
}


# They came to their end; differences.py says so.
DIFFER = {"verify-differs", "verify-path"}


def test_every_recorded_failure_has_its_case() -> None:
    failed = {name for name in transcript.names() if transcript.load(name).exit_code}
    assert failed == set(RECORDED) | DIFFER


@pytest.mark.parametrize(("name", "wanted"), RECORDED.items(), ids=list(RECORDED))
def test_recorded_failures(name: str, wanted: type[errors.PermafrostError]) -> None:
    recorded = transcript.load(name)
    error = recorded.error()
    assert type(error) is wanted
    assert error.facts["exit_code"] == recorded.exit_code
    assert error.what.startswith(f"duplicity ended with exit code {recorded.exit_code}")
    assert "Duplicity backup complete" not in error.message
    assert "DEBUG: " not in error.message
    assert "\n" not in error.message
    assert len(error.what) < 500


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (1, errors.DuplicityFailed), (23, errors.DuplicityFailed), (30, errors.DuplicityFailed),
        (11, errors.DestinationNotEmpty),
        (17, errors.NoBackup), (18, errors.NoBackup), (19, errors.PathNotInBackup), (21, errors.DamagedVolume),
        (31, errors.WrongPassphrase), (35, errors.TemporarySpace), (50, errors.BackendFailed),
        (3, errors.SourceMismatch), (42, errors.SourceMismatch), (137, errors.OutOfMemory), (143, errors.Stopped),
    ],
)  # fmt: skip
def test_a_code_alone(code: int, wanted: type[errors.PermafrostError]) -> None:
    assert type(failure(code, Run(), "")) is wanted


# The exit codes that a user can meet, what the message says of duplicity's own words, and of what to do. 1 stands for
# two causes (verify's differences are the third), 23 for a wrong option and a held lock, 50 for four.
CODES = {
    "volume-missing": (1, "difftar volume 1 not found", "make a new full"),
    "wrong-passphrase-incremental": (1, "Bad session key", "Give the passphrase that the chain was made with"),
    "host-mismatch": (3, "Current hostname: web02 Previous hostname: web01-data", "Correct job.source or job.hostname"),
    "target-exists": (11, "Will not overwrite", "new or an empty directory"),
    "incremental-without-a-full": (17, "Old signatures not found", "the key prefix of job.target"),
    "restore-no-such-path": (19, "no/such not found in archive", "Give the path relative to job.source"),
    "nothing-restored": (20, "nothing restored", "Give the path relative to job.source"),
    "hash-mismatch": (21, "vol1.difftar.gz", "Restore an older version of the object"),
    "usage": (23, "--no-such-option", "Correct job.extra_args"),
    "lock-held": (23, "Another duplicity instance is already running", "Wait until it ends, or stop it"),
    "exception": (30, "Not a gzipped file", "Move the archive directory of the job away"),
    "wrong-passphrase-after-loss": (31, "Bad session key", "Give the passphrase that the chain was made with"),
    "temp-space-preflight": (35, "8,388,608 available", "point job.temp_dir to a larger file system"),
    "open-files": (37, "Max open files of 512 is too low", "Raise the engine's limit"),
    "source-mismatch": (42, "Previous directory: /source/srv/stage/source", "Correct job.source or job.hostname"),
    "no-bucket": (50, '"no-such-bucket" does not exist', "Create the bucket"),
    "refused": (50, "(403)", "Check job.credentials"),
    "unreachable": (50, "Could not connect to the endpoint URL", "Check job.endpoint_url"),
    "frozen": (50, "vol1.difftar.gz seems to be in a long term storage", "Thaw them with glacier_restore"),
    "killed": (137, "exit code 137", "an interrupted backup resumes"),
    "stopped": (143, "exit code 143", "an interrupted backup resumes"),
}


@pytest.mark.parametrize("name", CODES)
def test_each_code_was_provoked_and_says_what_to_do(name: str) -> None:
    code, says, advises = CODES[name]
    error = transcript.load(name).error()
    assert error.facts["exit_code"] == code
    assert says in error.what
    assert advises in error.next_step


@pytest.mark.parametrize(
    "said",
    [
        "(RequestTimeTooSkewed) when calling the PutObject operation: The difference between ... is too large. (403)",
        "(SignatureDoesNotMatch) when calling the AssumeRole operation: Signature expired: 20261101T020000Z is now ...",
        "(SignatureDoesNotMatch) when calling the AssumeRole operation: Signature not yet current: 20261101T020000Z",
    ],
)
def test_a_clock_that_s3_does_not_take(said: str) -> None:
    assert type(failure(50, Run(errors=[Event("ERROR", 50, "", said)]), "")) is errors.ClockSkewed


@pytest.mark.parametrize(
    ("code", "seen", "limit", "says"),
    [
        (137, True, 24, "The kernel killed a process at the limit of 24 MB (job.limits.memory)."),
        (137, False, 24, "It may have been killed at the limit of 24 MB (job.limits.memory)."),
        (137, True, None, "The kernel killed a process for lack of memory."),
        (30, True, 24, "The kernel killed a process at the limit of 24 MB (job.limits.memory)."),
    ],
)
def test_what_is_known_of_memory(code: int, seen: bool, limit: int | None, says: str) -> None:
    told = of_memory(failure(code, Run(), ""), seen, limit)
    assert type(told) is errors.OutOfMemory
    assert told.what == f"duplicity ended with exit code {code}. {says}"
    assert told.facts == {"exit_code": code, "out_of_memory": seen}


@pytest.mark.parametrize(("code", "limit"), [(137, None), (30, 24)])
def test_nothing_is_known_of_memory(code: int, limit: int | None) -> None:
    error = failure(code, Run(), "")
    assert of_memory(error, False, limit) is error


def test_the_output_speaks_when_there_is_no_log() -> None:
    error = failure(23, Run(), "usage: duplicity\nduplicity: error: unknown option\n\nDuplicity backup complete.\n")
    assert "unknown option" in error.what


def test_sigint_while_python_starts() -> None:
    """As when duplicity has begun itself anew."""
    error = failure(1, Run(), """\
Fatal Python error: init_import_site: Failed to import the site module
Python runtime state: initialized
Traceback (most recent call last):
  File "<frozen importlib._bootstrap_external>", line 648, in _get_cached
KeyboardInterrupt

Extension modules: isal.igzip_lib (total: 1)
""")  # fmt: skip
    assert isinstance(error, errors.Stopped)
    assert error.what == "duplicity ended with exit code 1: KeyboardInterrupt."


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("gpg: signing failed: Bad passphrase\ngpg: [stdin]: sign+encrypt failed: Bad passphrase",
         errors.WrongKeyPassphrase),
        ("gpg: public key decryption failed: Bad passphrase", errors.WrongKeyPassphrase),
        ("gpg: Sorry, we are in batchmode - can't get input", errors.WrongKeyPassphrase),
        ("gpg: ABCD: skipped: Unusable public key\ngpg: [stdin]: encryption failed: Unusable public key",
         errors.KeyUnusable),
        ('gpg: skipped "ABCD!": Unusable secret key', errors.KeyUnusable),
        ("gpg: public key decryption failed: No secret key\ngpg: decryption failed: No secret key",
         errors.SecretKeyMissing),
        ("gpg: decryption failed: Bad session key", errors.WrongPassphrase),
    ],
)  # fmt: skip
def test_what_gpg_says_of_keys(said: str, wanted: type[errors.PermafrostError]) -> None:
    """Its words, as runs in mode gpg printed them; duplicity ends with 31 for all of them."""
    text = f"GPGError: GPG Failed, see log below:\n===== Begin GnuPG log =====\n{said}\n===== End GnuPG log ====="
    error = failure(31, Run(errors=[Event("ERROR", 31, "GPGError", text)]), "")
    assert type(error) is wanted
    assert said.splitlines()[-1] in error.what
