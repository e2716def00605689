# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which older version of an object a backup had stored, where the current one came later.

Pure. duplicity writes each object of a set once, and the manifest last, so what a set consists of is not newer than the
first version of its manifest. What is newer was written by somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object
from ansible_collections.permafrost.backup.plugins.module_utils.manifest import BackupSet


def stored(
    sets: Iterable[BackupSet], current: Mapping[str, S3Object], versions: Mapping[str, Sequence[S3Object]]
) -> dict[str, S3Object]:
    """By name, the version that a complete set had stored, of objects whose current version is not that one.

    ``versions`` has all versions by name, in any order. An object without a version that fits is left out.
    """
    found: dict[str, S3Object] = {}
    for one in sets:
        first = min(_real(versions, str(one.manifest)), key=_time, default=None)
        if first is None:
            continue
        for name in (*one.volumes.values(), one.signature, one.manifest):
            if name is None or current[name].last_modified <= first.last_modified:
                continue
            # A resumption writes a volume again, so the last one counts that the manifest can mean.
            fitting = [other for other in _real(versions, name) if other.last_modified <= first.last_modified]
            # A copy in place, for another storage class say, has the ETag of what it was made from.
            if fitting and max(fitting, key=_time).etag != current[name].etag:
                found[name] = max(fitting, key=_time)
    return found


def _real(versions: Mapping[str, Sequence[S3Object]], name: str) -> list[S3Object]:
    """A version of no bytes is none: a PUT that was cut off."""
    return [one for one in versions.get(name, ()) if one.size_bytes]


def _time(one: S3Object) -> datetime:
    return one.last_modified
