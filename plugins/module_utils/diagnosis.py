# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a run of duplicity failed: exit code and ERROR stanzas become one error with a next step.

Pure. Exit codes are those of duplicity 3.2 (log.py, ErrorCode) and of the engine (128 + signal).
"""

from __future__ import annotations

import re

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from ansible_collections.permafrost.backup.plugins.module_utils.log import Run

# (exit codes or None for any, text in the ERROR stanza or the output, the error). The first that fits counts: a text is
# surer than a code, since duplicity ends with 1, 23, 30 and 50 for many causes.
_CAUSES: tuple[tuple[tuple[int, ...] | None, str, type[errors.PermafrostError]], ...] = (
    (None, r"Another duplicity instance is already running", errors.LockHeld),
    (None, r"No space left on device|Temp space has", errors.TemporarySpace),
    (None, r"long term storage|InvalidObjectState", errors.VolumesFrozen),
    (None, r"Bad session key|decryption failed|GPG Failed|gpg: .*[Bb]ad passphrase", errors.WrongPassphrase),
    (None, r"hash mismatch", errors.DamagedVolume),
    (None, r"difftar volume \d+ not found", errors.VolumesMissing),
    (None, r"Backup source (?:host|directory) has changed", errors.SourceMismatch),
    (None, r"not found in archive", errors.PathNotInBackup),
    (None, r"NoSuchBucket|bucket .* does not exist", errors.BucketMissing),
    (None, r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|\b403\b|ExpiredToken", errors.AccessRefused),
    (None, r"EndpointConnectionError|Could not connect to the endpoint|ConnectTimeoutError", errors.EndpointUnreachable),
    ((17, 18), r"", errors.NoBackup),
    ((19, 20), r"", errors.PathNotInBackup),
    ((21,), r"", errors.DamagedVolume),
    ((31,), r"", errors.WrongPassphrase),
    ((35, 53), r"", errors.TemporarySpace),
    ((3, 42), r"", errors.SourceMismatch),
    ((50, 51, 52, 54, 55, 56), r"", errors.BackendFailed),
    ((137,), r"", errors.OutOfMemory),
    ((130, 143), r"", errors.Stopped),
)


def failure(exit_code: int, run: Run, output: str) -> errors.PermafrostError:
    """The error of a run that did not end with 0. ``output`` is the tail of what the container printed."""
    evidence = "\n".join(event.text for event in run.errors) or output
    for codes, text, error in _CAUSES:
        if (codes is None or exit_code in codes) and re.search(text, evidence):
            return error(_what(exit_code, run, output), exit_code=exit_code)
    return errors.DuplicityFailed(_what(exit_code, run, output), exit_code=exit_code)


def _what(exit_code: int, run: Run, output: str) -> str:
    said = run.errors[-1].text if run.errors else _last_line(output)
    said = " ".join(said.partition("Traceback (innermost last)")[0].split())[:400].rstrip(".: ")
    return f"duplicity ended with exit code {exit_code}: {said}." if said else f"duplicity ended with exit code {exit_code}."


def _last_line(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip() and "Duplicity backup complete" not in line]
    return lines[-1] if lines else ""
