# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand the requests of a thaw to S3 Batch Operations: manifest and request as files, in S3, and as a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import batch
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish, Work
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket


@dataclass(frozen=True)
class Order:
    """A job that could be created now: its manifest, and where it goes."""

    terms: batch.Terms
    todo: Work
    wish: Wish
    now: datetime
    content: bytes
    key: str
    digest: str

    def request(self, etag: str | None = None) -> dict[str, Any]:
        """CreateJob's parameters. Before the manifest is in S3, its ETag is foretold: the MD5 of what is one PUT."""
        foretold = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        return batch.request(self.terms, self.wish, key=self.key, etag=etag or foretold, digest=self.digest)

    def to_result(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "manifest": f"s3://{self.terms.place[0]}/{self.key}",
            "object_count": len(self.todo),
            "request": request,
            "job_id": None,
            "files": self.files,
        }

    @property
    def files(self) -> list[str]:
        names = ("manifest.csv", "create-job.json") if self.terms.dest else ()
        return [str(Path(self.terms.dest or "", name)) for name in names]


def order(terms: batch.Terms, bucket: str, todo: Work, wish: Wish, now: datetime) -> Order:
    """What the job of this work would be."""
    content = batch.manifest(bucket, todo)
    digest = _digest(content)
    key = batch.manifest_key(terms, digest)
    return Order(terms, todo, wish, now, content, key, _digest(batch.identity(terms, wish, digest, now).encode()))


def work(order: Order, bucket_of: Callable[[str], Bucket], check_mode: bool) -> tuple[bool, dict[str, Any]]:
    """Write the files, and create the job where that was agreed to. Whether something changed, and the result."""
    request = order.request()
    if not len(order.todo):
        return False, {**order.to_result(request), "request": None, "files": []}
    bucket = bucket_of(order.terms.place[0])
    bucket.check_batch(request)
    result = order.to_result(request)
    written = _write(order, request, check_mode)
    if order.terms.confirm and not check_mode:
        request = order.request(bucket.put(order.key, order.content))
        result.update(request=request, job_id=bucket.create_batch(request))
    return written or order.terms.confirm, result


def _write(order: Order, request: dict[str, Any], check_mode: bool) -> bool:
    """The files for a person who wants to look first; whether they changed."""
    contents = [order.content, json.dumps(request, indent=2, sort_keys=True).encode() + b"\n"]
    changed = False
    for path, content in zip((Path(name) for name in order.files), contents):
        try:
            if path.exists() and path.read_bytes() == content:
                continue
            changed = True
            if not check_mode:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        except OSError as error:
            raise BadInput(
                f"{path} cannot be written: {error.strerror}. batch.dest is a directory on this host."
            ) from error
    return changed


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
