"""moto's objects, put right: every patch of moto's private parts is in this file (moto is pinned to 5.2.5)."""

from __future__ import annotations

import base64
import bisect
import hashlib
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3 import models as moto_models
from moto.s3 import responses as moto_responses
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML, NoSuchUpload, ObjectNotInActiveTierError
from moto.s3.utils import _VersionedKeyStore, compute_checksum
from moto.utilities.utils import LowercaseDict

from lab.s3 import glacier
from lab.s3.bodies import Body, ConcatBody, FileBody, loaded
from lab.s3.clock import CLOCK
from lab.s3.message import S3Error

# Typed as Any: types of private parts would only say that they must not be replaced.
models: Any = moto_models
responses: Any = moto_responses
PRIVATE = models.get_canned_acl("private")
CONTENT_TYPE = "binary/octet-stream"


class LabKey(models.FakeKey):
    """An object version.

    Differs from moto's: the body is bytes or a `Body` (moto copies it into a spooled file and out again at each
    read); defaults live on the class, so that 100,000 seeded objects stay small; the thaw follows the lab's clock
    (moto's is done at once and never expires).
    """

    acl: Any = PRIVATE
    website_redirect_location = checksum_algorithm = None
    encryption = kms_key_id = bucket_key_enabled = None
    lock_mode = lock_legal_status = lock_until = None
    checksum_value = checksum_type = checksum_parts = None
    multipart: Any = None
    _is_versioned = False
    _expiry = None
    _metadata = LowercaseDict(**{"Content-Type": CONTENT_TYPE})
    thaw: glacier.Thaw | None = None
    partition = "aws"
    disposed = False

    def __new__(cls, *_args: Any, **_kwargs: Any) -> LabKey:
        """moto keeps each instance in a list for its dashboard: no deleted body would ever be freed."""
        return object.__new__(cls)

    def __init__(self, name: str, value: bytes | Body, account_id: str, region_name: str, **fields: Any) -> None:
        self.name, self.account_id, self.region_name = name, account_id, region_name
        self.value = value
        self.last_modified: datetime = CLOCK.utcnow()
        self._storage_class = fields.pop("storage", None) or "STANDARD"
        self._etag = fields.pop("etag", None)
        self._version_id = fields.pop("version_id", None)
        self._is_versioned = fields.pop("is_versioned", False)
        self.bucket_name = fields.pop("bucket_name", None)
        for field, content in fields.items():
            if content is not None:
                setattr(self, field, content)

    def __deepcopy__(self, _memo: Any) -> LabKey:
        """moto's ListObjectVersions copies the bucket to mark the latest versions: the bodies stay shared."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    @property
    def value(self) -> bytes | Body:
        """The body, not a copy."""
        return self._body

    @value.setter
    def value(self, value: bytes | str | Body) -> None:
        self._body = value.encode() if isinstance(value, str) else value
        self.contentsize = len(self._body)

    @property
    def etag(self) -> str:
        """The MD5 in quotes: taken while the body came in, or now."""
        if self._etag is None:
            self._etag = self._body.md5 if isinstance(self._body, FileBody) else _md5(self._body)
        return f'"{self._etag}"'

    @property
    def metadata(self) -> Any:
        """moto's name for the headers that are kept."""
        return self._metadata

    def set_metadata(self, metadata: Any, replace: bool = False) -> None:
        """As moto's, on a copy: the default is shared by all objects."""
        self._metadata = LowercaseDict(**dict(self._metadata.items()))
        super().set_metadata(metadata, replace)

    def advance(self) -> None:
        """moto's own thaw ticks at each access; the lab's does not."""

    @property
    def response_dict(self) -> dict[str, Any]:
        """moto's headers and the true x-amz-restore, on which moto's own checks before GET and copy rely."""
        headers: dict[str, Any] = super().response_dict
        if (restore := glacier.restore_header(self.thaw, CLOCK.now())) is not None:
            headers["x-amz-restore"] = restore
        return headers

    @property
    def thaw_state(self) -> str:
        """readable, frozen, thawing or thawed."""
        return glacier.state(self._storage_class, self.thaw, CLOCK.now())

    def dispose(self, garbage: bool = False) -> None:
        """Let the body go; a file goes when nobody else uses it."""
        self._body, self.disposed = b"", True

    def __del__(self) -> None:
        """Nothing to warn of."""


class LabKeyStore(_VersionedKeyStore):
    """moto's dictionary of objects with an index in key order: moto sorts the whole bucket for each page."""

    def __init__(self) -> None:
        super().__init__()
        self.index: list[str] = []
        self.lock = threading.RLock()

    def __setitem__(self, key: str, value: Any) -> None:
        with self.lock:
            if key not in self:
                bisect.insort(self.index, key)
            super().__setitem__(key, value)

    def setlist(self, key: str, list_: Any) -> None:
        """All versions of one key."""
        with self.lock:
            if key not in self:
                bisect.insort(self.index, key)
            super().setlist(key, list_)

    def pop(self, key: str, *_default: Any) -> Any:
        """Forget a key; moto never gives a default, as dict would take it."""
        with self.lock:
            super().pop(key)
            del self.index[bisect.bisect_left(self.index, key)]

    def add_many(self, keys: list[LabKey]) -> None:
        """Seeding: one sort instead of one insertion each."""
        with self.lock:
            for key in keys:
                dict.__setitem__(self, key.name, [key])
            self.index = sorted(dict.keys(self))

    def current(self, key: str) -> LabKey | None:
        """The version that a plain GET reads."""
        found = self.get(key)
        return found if isinstance(found, LabKey) else None


def _complete(self: Any, body: Iterator[tuple[int, str]]) -> tuple[Any, str, Any]:
    """Replaces FakeMultipart.complete, which copies all parts 2.7 times: here they are chained."""
    parts: list[LabKey] = []
    for number, etag in body:
        part = self.parts.get(number)
        if part is None or part.etag.strip('"') != etag.strip('"'):
            raise InvalidPart
        if parts and parts[-1].contentsize < models.S3_UPLOAD_PART_MIN_SIZE:
            raise EntityTooSmall
        parts.append(part)
    if not parts:
        raise MalformedXML
    digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    whole: Any = parts[0].value if len(parts) == 1 else ConcatBody([part.value for part in parts])
    return whole, f"{_md5(digests)}-{len(parts)}", _composite(self, parts)


def _composite(multipart: Any, parts: list[LabKey]) -> tuple[str, str, int] | None:
    """The checksum of the parts' checksums; whole-object checksums of a multipart upload are not kept."""
    algorithm = multipart.metadata.get("x-amz-checksum-algorithm")
    if algorithm not in ("CRC32", "SHA1", "SHA256") or multipart.metadata.get("x-amz-checksum-type") == "FULL_OBJECT":
        return None
    joined = b"".join(_digest(part.value, algorithm) for part in parts)
    return "COMPOSITE", compute_checksum(joined, algorithm).decode(), len(parts)


def _digest(body: bytes | Body, algorithm: str) -> bytes:
    if isinstance(body, FileBody) and body.checksum and body.checksum[0] == algorithm:
        return body.checksum[1]
    return bytes(compute_checksum(loaded(body), algorithm, encode_base64=False))


def _md5(body: bytes | Body) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in body.chunks(0, len(body)) if isinstance(body, Body) else [body]:
        digest.update(chunk)
    return digest.hexdigest()


def _checksum_of_copy(body: bytes | Body, algorithm: str, encode_base64: bool = True) -> bytes:
    """moto computes a checksum over a copy's bytes; the lab's copy may be a `Body`."""
    return bytes(compute_checksum(loaded(body), algorithm, encode_base64))


def _no_such_upload(_self: Any, upload_id: str) -> None:
    """An unknown upload is a KeyError in moto, and a 500 to the client."""
    raise NoSuchUpload(upload_id=upload_id)


def _refuse_frozen_parts(upload_part_copy: Any) -> Any:
    """moto checks the source of CopyObject, but not that of UploadPartCopy, by which large objects are copied."""

    def checked(self: Any, *args: Any, src_bucket_name: str, src_key_name: str, **rest: Any) -> Any:
        source = self.get_object(src_bucket_name, src_key_name, version_id=rest.get("src_version_id"))
        if source.thaw_state in ("frozen", "thawing"):
            raise ObjectNotInActiveTierError(source)
        return upload_part_copy(self, *args, src_bucket_name=src_bucket_name, src_key_name=src_key_name, **rest)

    return checked


def install() -> None:
    """Put the lab's parts in the place of moto's; before the first bucket is made."""
    models.FakeKey = LabKey
    responses.FakeKey = LabKey
    models._VersionedKeyStore = LabKeyStore
    models.FakeMultipart.complete = _complete
    copying = models.S3Backend.upload_part_copy
    models.S3Backend.upload_part_copy = _refuse_frozen_parts(copying)
    models.MultipartDict.__missing__ = _no_such_upload
    models.utcnow = CLOCK.utcnow
    responses.compute_checksum = _checksum_of_copy


def backend() -> Any:
    """moto's one S3."""
    return models.s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def bucket_named(name: str) -> Any:
    """moto's bucket; S3's own error if there is none."""
    bucket = backend().buckets.get(name)
    if bucket is None:
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist", BucketName=name)
    return bucket


def object_named(bucket: str, key: str, version: str | None = None) -> LabKey:
    """One object, or one version of it; S3's own errors if there is none."""
    keys = bucket_named(bucket).keys
    found = [item for item in keys.getlist(key, []) if version is None or str(item.version_id) == version]
    if not found:
        code = "NoSuchVersion" if version else "NoSuchKey"
        raise S3Error(404, code, f"The specified {'version' if version else 'key'} does not exist.", Key=key)
    if not isinstance(found[-1], LabKey):
        if version is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.", Key=key)
        raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    return found[-1]


def token(text: str) -> str:
    """An opaque continuation token."""
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogateescape")).decode()


def untoken(text: str) -> str:
    """Back from the token."""
    try:
        return base64.urlsafe_b64decode(text.encode()).decode("utf-8", "surrogateescape")
    except ValueError as error:
        raise S3Error(400, "InvalidArgument", "The continuation token provided is incorrect") from error
