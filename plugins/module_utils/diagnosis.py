# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a run of duplicity failed: exit code and ERROR stanzas become one error with a next step.

Pure. Exit codes are those of duplicity 3.2 (log.py, ErrorCode) and of the engine (128 + signal).
"""

from __future__ import annotations

import re

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.module_utils.log import Run

# By SIGKILL, as the engine and a shell tell it.
KILLED = 137

# (exit codes or None for any, text in the ERROR stanza or the output, the error). The first that fits counts: a text is
# surer than a code, since duplicity ends with 1, 23, 30 and 50 for many causes.
_CAUSES: tuple[tuple[tuple[int, ...] | None, str, type[errors.PermafrostError]], ...] = (
    (None, r"Another duplicity instance is already running", errors.LockHeld),
    (None, r"No space left on device|Temp space has", errors.TemporarySpace),
    (None, r"Max open files of \d+ is too low", errors.OpenFilesTooFew),
    (None, r"long term storage|InvalidObjectState", errors.VolumesFrozen),
    (None, r"key decryption failed: Bad pass|signing failed: Bad pass|can't get input", errors.WrongKeyPassphrase),
    (None, r"Unusable (?:public|secret) key", errors.KeyUnusable),
    (None, r"No secret key|Neither remote nor local manifest is readable", errors.SecretKeyMissing),
    (None, r"Volume was signed by key", errors.WrongSigner),
    (None, r"Bad session key|decryption failed|GPG Failed|gpg: .*[Bb]ad passphrase", errors.WrongPassphrase),
    (None, r"hash mismatch", errors.DamagedVolume),
    (None, r"difftar volume \d+ not found", errors.VolumesMissing),
    (None, r"Backup source (?:host|directory) has changed", errors.SourceMismatch),
    (None, r"not found in archive", errors.PathNotInBackup),
    (None, r"No (?:backup|signature) chains found", errors.NoBackup),
    (None, r"NoSuchBucket|bucket .* does not exist", errors.BucketMissing),
    (None, r"NoCredentialsError|Unable to locate credentials|Error when retrieving credentials", errors.NoCredentials),
    (None, r"RequestTimeTooSkewed|Signature (?:expired|not yet current)", errors.ClockSkewed),
    (None, r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|\b403\b|ExpiredToken", errors.AccessRefused),
    (
        None,
        r"EndpointConnectionError|Could not connect to the endpoint|ConnectTimeoutError",
        errors.EndpointUnreachable,
    ),
    ((23,), r"CommandLineError|usage: duplicity", errors.UsageRefused),
    ((30,), r"BadGzipFile|tarfile\.ReadError|EOFError", errors.ArchiveDamaged),
    ((11,), r"", errors.DestinationNotEmpty),
    ((17, 18), r"", errors.NoBackup),
    ((19, 20), r"", errors.PathNotInBackup),
    ((21,), r"", errors.DamagedVolume),
    ((22,), r"", errors.WrongSigner),
    ((31,), r"", errors.WrongPassphrase),
    ((35, 53), r"", errors.TemporarySpace),
    ((3, 42), r"", errors.SourceMismatch),
    ((50, 51, 52, 54, 55, 56), r"", errors.BackendFailed),
    ((KILLED,), r"", errors.OutOfMemory),
    ((130, 143), r"", errors.Stopped),
    ((4,), r"\A(?!.*No manifests)", errors.Stopped),  # how duplicity ends after SIGINT
    ((1,), r"(?m)^KeyboardInterrupt$", errors.Stopped),  # and Python, while it starts
)


# After a failed first attempt duplicity's S3 backend trips over itself: only that attempt's warning says why.
_MASKED = "'NoneType' object has no attribute"
_TRACE = "Traceback (innermost last)"
# What duplicity prints whatever happens.
_NOISE = r"Duplicity backup complete|\ADEBUG: |\AExtension modules: "


def failure(exit_code: int, run: Run, output: str) -> errors.PermafrostError:
    """The error of a run that did not end with 0. ``output`` is the tail of what the container printed."""
    said = _said(run)
    evidence = "\n".join(said) or output
    error, text = _cause(exit_code, evidence)
    telling = [one for one in said if re.search(text, one)] or said
    what = _what(exit_code, _of_gpg(evidence) or (telling[-1] if telling else _last_line(output)))
    return error(what, exit_code=exit_code)


def _cause(exit_code: int, evidence: str) -> tuple[type[errors.PermafrostError], str]:
    """The error, and the text by which it is known."""
    for codes, text, error in _CAUSES:
        if (codes is None or exit_code in codes) and re.search(text, evidence):
            return error, text
    return errors.DuplicityFailed, ""


def of_memory(error: errors.PermafrostError, seen: bool, limit: int | None) -> errors.PermafrostError:
    """A failure with what is known of memory: whether the engine saw a kill for lack of it, and the limit in MB.

    Of a process that duplicity had started the exit code tells nothing.
    """
    if not seen and not (limit and isinstance(error, errors.OutOfMemory)):
        return error
    where = f"at the limit of {limit} MB (job.limits.memory)" if limit else "for lack of memory"
    what = f"The kernel killed a process {where}." if seen else f"It may have been killed {where}."
    return errors.OutOfMemory(f"{error.what} {what}", **error.facts, out_of_memory=seen)


def _said(run: Run) -> list[str]:
    said = [event.text for event in run.errors]
    if any(_MASKED in text for text in said):
        attempts = [text for text in run.warnings if text.startswith("Attempt of ") and _MASKED not in text]
        return attempts or said
    return said


def _of_gpg(evidence: str) -> str:
    """The last words of gpg, whose log duplicity quotes in the middle of its own."""
    return "; ".join(re.findall(r"^\s*(gpg: .*?)\s*$", evidence, re.MULTILINE)[-2:])


def _what(exit_code: int, said: str) -> str:
    head, _mark, trace = said.partition(_TRACE)
    line = " ".join((head.strip() or _last_line(trace)).split())[:400].rstrip(".: ")
    return (
        f"duplicity ended with exit code {exit_code}: {line}."
        if line
        else f"duplicity ended with exit code {exit_code}."
    )


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip() and not re.search(_NOISE, line)]
    return lines[-1] if lines else ""
