# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an interrupted backup may be resumed.

I/O, with a pause. To resume, duplicity walks the source from its beginning: it skips what the uploaded
volumes hold, but computes the signatures of all of it anew. A file that changed after it was uploaded would keep its
old content in the set, and the new signature would make every later incremental believe that it is stored. So a
resumption is allowed only while nothing up to the last volume's end has changed, and while the bucket has all that was
uploaded. The image asks the former once more when duplicity has walked up to there (mend.py).

Nor may an incremental be resumed whose signature is in the bucket already, when only its manifest was still to come:
duplicity would take that signature for the base, see no change any more, and complete the set with an empty last volume
and an empty signature.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

from ansible_collections.permafrost.backup.plugins.module_utils import archive_dir, changes, records
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import (
    BackupSet,
    Volume,
    parse_manifest,
    parse_name,
)

# How long S3 may take to store what a run had sent when it was killed.
_IN_FLIGHT_SECONDS = 2.0


def await_uploads(job: Job) -> None:
    """Before the listing by which a backup is judged: what the killed run had sent comes into it, not after it."""
    if archive_dir.partial_manifests(job):
        time.sleep(_IN_FLIGHT_SECONDS)


def settle(job: Job, source: str, interrupted: list[BackupSet], listing: Mapping[str, S3Object]) -> bool:
    """Before a backup: make it start over where it must not resume. Call under the lock, with nothing running.

    Tells whether it resumes.
    """
    resumes = foreseen(job, source, interrupted, listing)
    if resumes is False:
        archive_dir.forget_partial(job)
    return bool(resumes)


def foreseen(job: Job, source: str, interrupted: list[BackupSet], listing: Mapping[str, S3Object]) -> bool | None:
    """Whether a backup would resume. None: nothing was interrupted."""
    resumes = None
    for name, content in archive_dir.partial_manifests(job).items():
        parsed, volumes = parse_name(name), _listed(content)
        stored = next((one for one in interrupted if parsed and one.end == parsed.end), None)
        if (
            parsed is None
            or not volumes
            or (stored and stored.start and stored.signature)
            or not _all_stored(volumes, stored, listing)
            or changes.changed(source, volumes[-1].end, parsed.end.timestamp())
        ):
            return False
        resumes = True
    return resumes


def rewritten(job: Job, interrupted: list[BackupSet], listing: Mapping[str, S3Object]) -> list[S3Object]:
    """The volumes that a resumption writes anew.

    The last one, since it may lack the end of its last file, and those that the killed run had not heard of.
    """
    listed = {
        parsed.end: len(_listed(content))
        for name, content in archive_dir.partial_manifests(job).items()
        if (parsed := parse_name(name))
    }
    for one in interrupted:
        if one.end in listed and 1 in one.volumes:
            last = next(number for number in sorted(one.volumes) if number + 1 not in one.volumes)
            first = min(last, listed[one.end] + 1)
            return [listing[one.volumes[number]] for number in sorted(one.volumes) if number >= first]
    return []


def forget_others(job: Job, contents: list[str], new_secrets: bool) -> None:
    """Before a backup: a set that was begun for some keys and some of the source is not ended for others.

    Call as ``settle``. duplicity notices another passphrase only, and not in archive classes, where it would have to
    read a volume. What a selection takes in that left it out before it would sign, and not store. ``contents`` is what
    decides on that.
    """
    given = job.encryption
    hashed = hashlib.sha256("\0".join(contents).encode("utf-8", "surrogateescape")).hexdigest()
    now = {"mode": given.mode, "keys": sorted(given.encrypt_keys), "signer": given.sign_key, "contents": hashed}
    before = records.read(job, "begun_for")
    if new_secrets or before != now:
        archive_dir.forget_partial(job)
    if before != now:
        records.write(job, "begun_for", now)


def _listed(content: bytes) -> list[Volume]:
    """The volumes of a partial manifest; none of one that was cut off, to which duplicity would add its lines."""
    try:
        return parse_manifest(content) if content.endswith(b"\n") else []
    except (KeyError, IndexError, ValueError):
        return []


def _all_stored(volumes: list[Volume], stored: BackupSet | None, listing: Mapping[str, S3Object]) -> bool:
    """Whether the bucket has every volume of the partial manifest: duplicity itself looks at the number of the last."""
    there = {number for number, name in (stored.volumes if stored else {}).items() if listing[name].size_bytes}
    return {volume.number for volume in volumes} <= there
