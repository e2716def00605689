"""The log of S3 requests: what a bill or a test counts."""

from __future__ import annotations

import threading
import time
from typing import Any
from xml.etree import ElementTree

from lab.s3.message import Request, S3Error
from lab.s3.restore import parse
from lab.s3.store import backend

STANDARD_RATE = {"CreateMultipartUpload", "UploadPart", "UploadPartCopy"}


class RequestLog:
    """Entries in the order in which they were served, before their answers are sent; never a control request."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def mark(self) -> int:
        """The seq that the next entry will have."""
        return len(self._entries)

    def since(self, seq: int) -> list[dict[str, Any]]:
        """The entries from a mark on."""
        return self._entries[max(seq, 0) :]

    def add(self, request: Request, classes: dict[str, Any], status: int, received: int, sent: int) -> None:
        """One answered request; status 0 is a connection that was reset."""
        entry: dict[str, Any] = {"seq": 0, "time": time.time(), "method": request.method}
        entry |= {"operation": request.operation, "bucket": request.bucket, "key": request.key, "status": status}
        entry |= {"bytes_in": received, "bytes_out": sent, "access_key": request.access_key, **classes}
        with self._lock:
            entry["seq"] = len(self._entries)
            self._entries.append(entry)


def classes_of(request: Request) -> dict[str, Any]:
    """Size and class of the object, tier and days of a thaw, and the class at whose rate Amazon bills.

    Asked after the request was served.
    """
    storage, size = request.headers.get("x-amz-storage-class"), None
    bucket = backend().buckets.get(request.bucket)
    if bucket is not None and request.params.get("uploadId") in bucket.multiparts:
        storage = bucket.multiparts[request.params["uploadId"]].storage
    elif storage is None and bucket is not None and request.key:
        found = bucket.keys.current(request.key)
        storage, size = (found.storage_class, found.contentsize) if found else (None, None)
    billed = "STANDARD" if request.operation in STANDARD_RATE or not request.key else storage
    tier, days = _wish(request)
    return {"storage_class": storage, "size": size, "tier": tier, "days": days, "billed_class": billed}


def _wish(request: Request) -> tuple[str | None, int | None]:
    if request.operation != "RestoreObject" or not isinstance(request.body, bytes) or not request.body:
        return None, None
    try:
        return parse(request.body)
    except (S3Error, ElementTree.ParseError):
        return None, None
