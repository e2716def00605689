"""ListObjects, ListObjectsV2 and ListObjectVersions from the key index: a page costs what it holds, not the bucket."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from lab.s3.clock import CLOCK
from lab.s3.message import XML, Request, Response, S3Error
from lab.s3.store import LabKey, LabKeyStore, bucket_named, token, untoken

OWNER = "<Owner><ID>lab</ID><DisplayName>lab</DisplayName></Owner>"
LAST = chr(0x10FFFF)


@dataclass(slots=True)
class Page:
    """One page of a listing."""

    objects: list[LabKey] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    last: str = ""


def collect(store: LabKeyStore, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Walk the index from `after`; a common prefix counts as one entry and is skipped with one search."""
    page = Page()
    with store.lock:
        index = store.index
        position = bisect.bisect_left(index, prefix)
        if after:
            position = max(position, bisect.bisect_right(index, after))
            if delimiter and after.startswith(prefix) and after.endswith(delimiter):
                position = max(position, bisect.bisect_left(index, after + LAST))
        while position < len(index) and index[position].startswith(prefix):
            name = index[position]
            found = store.current(name)
            cut = name.find(delimiter, len(prefix)) if delimiter else -1
            position += 1
            if found is None:
                continue  # the current version is a delete marker
            if len(page.objects) + len(page.prefixes) >= limit:
                page.truncated = limit > 0
                break
            if cut < 0:
                page.objects.append(found)
                page.last = name
            else:
                page.last = name[: cut + len(delimiter)]
                page.prefixes.append(page.last)
                position = bisect.bisect_left(index, page.last + LAST, position)
    return page


def list_objects(request: Request) -> Response:
    """Both versions of the operation."""
    params = request.params
    version2 = params.get("list-type") == "2"
    store = bucket_named(request.bucket).keys
    after = params.get("start-after", "") if version2 else params.get("marker", "")
    if "continuation-token" in params:
        after = untoken(params["continuation-token"])
    try:
        limit = min(int(params.get("max-keys") or 1000), 1000)
    except ValueError as error:
        raise S3Error(400, "InvalidArgument", "Provided max-keys not an integer or within integer range") from error
    page = collect(store, params.get("prefix", ""), params.get("delimiter", ""), after, limit)
    head = _head(request, page, limit, version2)
    status = "RestoreStatus" in request.headers.get("x-amz-optional-object-attributes", "")
    owner = OWNER if not version2 or params.get("fetch-owner") == "true" else ""
    url = params.get("encoding-type") == "url"
    body = "".join(_entry(key, url, owner, status) for key in page.objects)
    folders = "".join(f"<CommonPrefixes><Prefix>{_text(name, url)}</Prefix></CommonPrefixes>" for name in page.prefixes)
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{head}{body}{folders}</ListBucketResult>"
    )
    return Response(200, dict(XML), xml.encode("utf-8", "surrogateescape"))


def list_object_versions(request: Request) -> Response:
    """All versions and delete markers, by key and then the newest first; a page ends between two keys.

    A delimiter is not part of the lab. moto's own copies the bucket for each request, and knows no RestoreStatus.
    """
    params, store = request.params, bucket_named(request.bucket).keys
    if params.get("delimiter"):
        raise S3Error(501, "NotImplemented", "A delimiter in a listing of versions is not part of the lab.")
    prefix, url = params.get("prefix", ""), params.get("encoding-type") == "url"
    status = "RestoreStatus" in request.headers.get("x-amz-optional-object-attributes", "")
    limit = min(int(params.get("max-keys") or 1000), 1000)
    entries: list[str] = []
    last, truncated = "", False
    with store.lock:
        after = params.get("key-marker", "")
        at = max(bisect.bisect_left(store.index, prefix), bisect.bisect_right(store.index, after) if after else 0)
        for name in store.index[at:]:
            if not name.startswith(prefix):
                break
            if len(entries) >= limit:
                truncated = True
                break
            versions = store.getlist(name)[::-1]
            entries += [_version(one, number == 0, url, status) for number, one in enumerate(versions)]
            last = name
    fields = {"Name": request.bucket, "Prefix": _text(prefix, url), "MaxKeys": str(limit)}
    fields["IsTruncated"] = "true" if truncated else "false"
    if url:
        fields["EncodingType"] = "url"
    if truncated:
        fields["NextKeyMarker"] = _text(last, url)
    head = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<ListVersionsResult>{head}{"".join(entries)}</ListVersionsResult>'
    return Response(200, dict(XML), xml.encode("utf-8", "surrogateescape"))


def _version(key: Any, latest: bool, url: bool, status: bool) -> str:
    stamp = key.last_modified.isoformat(timespec="milliseconds")
    version = key.version_id or "null"
    common = (
        f"<Key>{_text(key.name, url)}</Key><VersionId>{version}</VersionId>"
        f"<IsLatest>{'true' if latest else 'false'}</IsLatest><LastModified>{stamp}Z</LastModified>{OWNER}"
    )
    if not isinstance(key, LabKey):
        return f"<DeleteMarker>{common}</DeleteMarker>"
    return (
        f"<Version>{common}<ETag>{key.etag}</ETag><Size>{key.contentsize}</Size>"
        f"<StorageClass>{key.storage_class}</StorageClass>{restore_status(key) if status else ''}</Version>"
    )


def _head(request: Request, page: Page, limit: int, version2: bool) -> str:
    params, url = request.params, request.params.get("encoding-type") == "url"
    fields = {"Name": request.bucket, "Prefix": _text(params.get("prefix", ""), url), "MaxKeys": str(limit)}
    if "delimiter" in params:
        fields["Delimiter"] = _text(params["delimiter"], url)
    if url:
        fields["EncodingType"] = "url"
    if version2:
        fields["KeyCount"] = str(len(page.objects) + len(page.prefixes))
        if "continuation-token" in params:
            fields["ContinuationToken"] = params["continuation-token"]
        if "start-after" in params:
            fields["StartAfter"] = _text(params["start-after"], url)
    else:
        fields["Marker"] = _text(params.get("marker", ""), url)
    if page.truncated and version2:
        fields["NextContinuationToken"] = token(page.last)
    elif page.truncated:
        fields["NextMarker"] = _text(page.last, url)
    fields["IsTruncated"] = "true" if page.truncated else "false"
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())


def _text(text: str, url: bool) -> str:
    return quote(text, safe="/", errors="surrogateescape") if url else escape(text)


def _entry(key: LabKey, url: bool, owner: str, status: bool) -> str:
    stamp = key.last_modified.isoformat(timespec="milliseconds")
    return (
        f"<Contents><Key>{_text(key.name, url)}</Key><LastModified>{stamp}Z</LastModified>"
        f"<ETag>{key.etag}</ETag><Size>{key.contentsize}</Size><StorageClass>{key.storage_class}</StorageClass>"
        f"{owner}{restore_status(key) if status else ''}</Contents>"
    )


def restore_status(key: LabKey) -> str:
    """The element that is there only while a thaw runs or its copy exists."""
    state = key.thaw.state(CLOCK.now()) if key.thaw else "frozen"
    if key.thaw is None or state == "frozen":
        return ""
    if state == "thawing":
        return "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
    expiry = datetime.fromtimestamp(key.thaw.expires_at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    inner = f"<IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>{expiry}</RestoreExpiryDate>"
    return f"<RestoreStatus>{inner}</RestoreStatus>"
