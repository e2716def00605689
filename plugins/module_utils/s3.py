# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List, read, thaw and delete objects through boto3.

I/O, without decisions. Every failure becomes one of the errors of errors.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import sessions
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import Credentials
from ansible_collections.permafrost.backup.plugins.module_utils.errors import (
    AccessRefused,
    BackendFailed,
    BadInput,
    BucketMissing,
    ClockSkewed,
    EndpointUnreachable,
    MissingLibrary,
    NoCredentials,
    PermafrostError,
    VolumesFrozen,
    VolumesMissing,
)
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import S3Object, Upload
from ansible_collections.permafrost.backup.plugins.module_utils.repeating import Repeated

# As many as are at work at once for one job.
CONNECTIONS = 4
_CONNECT_SECONDS = 10
# The most keys that DeleteObjects takes.
DELETE_AT_ONCE = 1000
_READ_SECONDS = 60
_ATTEMPTS = 6
# How much of an object is in memory at once, and how often one may break off on its way.
_PIECE = 1 << 20
_BREAKS = 10
_REFUSED = {
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "403",
    "Forbidden",
}
_UNREADABLE = {"InvalidObjectState", "NoSuchKey"}
# How a service says that it keeps no versions.
_NO_VERSIONS = {"NotImplemented", "MethodNotAllowed", "501"}
# Replies of RestoreObject that are states, not failures.
ACCEPTED, EXTENDED, IN_PROGRESS, NO_CAPACITY = "accepted", "extended", "in_progress", "no_capacity"
BUSY = "busy"  # not now: too many requests, or a moment's failure
_RESTORE_STATES = {
    "RestoreAlreadyInProgress": IN_PROGRESS,
    "GlacierExpeditedRetrievalNotAvailable": NO_CAPACITY,
    # Above 1,000 requests a second the User Guide names ThrottlingException, the API Reference SlowDown.
    **dict.fromkeys(("SlowDown", "ThrottlingException", "Throttling", "RequestLimitExceeded"), BUSY),
    **dict.fromkeys(("InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503", "504"), BUSY),
}


class Bucket:
    """One bucket with one set of credentials."""

    def __init__(
        self,
        name: str,
        *,
        credentials: Credentials | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        ca_bundle: str | None = None,
        connections: int = 1,
    ) -> None:
        try:
            from botocore import exceptions, validate  # late, so that its absence is one clear message
            from botocore.config import Config
        except ImportError as error:
            raise MissingLibrary(f"The Python library boto3 cannot be imported: {error}.", library="boto3") from error
        if ca_bundle and not Path(ca_bundle).is_file():
            raise BadInput(f"The ca_bundle {ca_bundle} is not a file on this host.")
        self.name = name
        self._where = endpoint_url or "Amazon S3"
        self._exceptions = exceptions
        self._validate = validate.validate_parameters
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=connections,
        )
        self._connection = {"region_name": region, "verify": ca_bundle, "config": config}
        with self._explained("connect"):
            self._session = sessions.session(credentials or Credentials(), region, ca_bundle)
            self._client: Any = self._session.create_client("s3", endpoint_url=endpoint_url, **self._connection)
            self._thaws = Repeated(self._client, name, self._session.get_credentials())

    def objects(self, prefix: str) -> Iterator[S3Object]:
        """The current objects below ``prefix`` with their restore status, page by page: one request for 1,000 keys."""
        with self._explained("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"]
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    yield _object(entry)

    def list(self, prefix: str) -> dict[str, S3Object]:
        """All of them, by key."""
        return {found.key: found for found in self.objects(prefix)}

    def versions(self, prefix: str) -> dict[str, list[S3Object]] | None:
        """All versions of the objects below ``prefix``, by key, with their restore status.

        None where the credentials may not see them, or the service keeps none.
        """
        try:
            return self._versions(prefix)
        except AccessRefused:
            return None
        except BackendFailed as error:
            if error.facts["code"] not in _NO_VERSIONS:
                raise
            return None

    def _versions(self, prefix: str) -> dict[str, list[S3Object]]:
        found: dict[str, list[S3Object]] = {}
        with self._explained("list"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=self.name, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"]
            )
            for page in pages:
                for entry in page.get("Versions", []):
                    found.setdefault(entry["Key"], []).append(_object(entry, entry["VersionId"]))
        return found

    def read(self, key: str, first: int | None = None, version_id: str | None = None) -> bytes:
        """The content of a small object, or its ``first`` bytes."""
        part = {"Range": f"bytes=0-{first - 1}"} if first else {}
        part.update(_version(version_id))
        with self._explained("read", key):
            content: bytes = self._client.get_object(Bucket=self.name, Key=key, **part)["Body"].read()
            return content

    def pieces(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        """The content of an object piece by piece. Where a connection breaks, it goes on from there."""
        at, etag, breaks = 0, "", 0
        while True:
            rest = _version(version_id)
            if at:
                rest.update(Range=f"bytes={at}-", IfMatch=etag)
            try:
                with self._explained("read", key):
                    reply = self._client.get_object(Bucket=self.name, Key=key, **rest)
                    etag = reply["ETag"]
                    for piece in reply["Body"].iter_chunks(_PIECE):
                        at += len(piece)
                        yield piece
                return
            except EndpointUnreachable:
                breaks += 1
                if not at or breaks > _BREAKS:
                    raise

    def uploads(self, prefix: str) -> list[Upload]:
        """Unfinished multipart uploads below ``prefix``."""
        with self._explained("list"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
            return [
                Upload(entry["Key"], entry["UploadId"], entry["Initiated"])
                for page in pages
                for entry in page.get("Uploads", [])
            ]

    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to DELETE_AT_ONCE objects in one request. An error names the keys that S3 did not delete."""
        wanted = [{"Key": key} for key in keys]
        with self._explained("delete"):
            reply = self._client.delete_objects(Bucket=self.name, Delete={"Objects": wanted, "Quiet": True})
        failed = {entry["Key"]: entry["Code"] for entry in reply.get("Errors", [])}
        if failed:
            raise self._not_deleted(failed)

    def _not_deleted(self, failed: dict[str, str]) -> AccessRefused | BackendFailed:
        some = ", ".join(f"{key} ({code})" for key, code in list(failed.items())[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        what = f"S3 did not delete {len(failed)} objects of bucket {self.name}: {some}{more}."
        # Without the permission S3 takes the request, and refuses each key.
        kind = AccessRefused if set(failed.values()) <= _REFUSED else BackendFailed
        return kind(what, failed=failed)

    def abort(self, upload: Upload) -> None:
        """Give up an unfinished multipart upload; one that is gone already is as good."""
        try:
            with self._explained("abort", upload.key):
                self._client.abort_multipart_upload(Bucket=self.name, Key=upload.key, UploadId=upload.upload_id)
        except BackendFailed as error:
            if error.facts["code"] != "NoSuchUpload":
                raise

    def ask(self, operation: str, absent: Sequence[str] = (), **params: Any) -> dict[str, Any] | None:
        """One call about the bucket itself, by botocore's name; None where S3 replies with a code of ``absent``."""
        try:
            with self._explained(operation.replace("_", " ")):
                reply: dict[str, Any] = getattr(self._client, operation)(Bucket=self.name, **params)
                return reply
        except PermafrostError as error:
            if error.facts.get("code") in absent:
                return None
            raise

    def thaw(self, key: str, *, tier: str, days: int, version_id: str | None = None) -> str:
        """Ask once for a thaw; ``days`` is how long the copy stays. Returns one of the five states.

        It is the caller who asks again, as it knows what its other requests meet.
        """
        try:
            with self._explained("thaw", key):
                status = self._thaws.restore(key, tier, days, version_id)
        except _Reply as reply_state:
            return reply_state.state
        return EXTENDED if status == 200 else ACCEPTED

    def put(self, key: str, content: bytes) -> str:
        """Write a small object; its ETag."""
        with self._explained("write", key):
            etag: str = self._client.put_object(Bucket=self.name, Key=key, Body=content)["ETag"]
            return etag.strip('"')

    def check_batch(self, request: dict[str, Any]) -> None:
        """Raise BadInput where a request to create a job of S3 Batch Operations does not fit the SDK's model of it."""
        shape = self._session.get_service_model("s3control").operation_model("CreateJob").input_shape
        with self._explained("create a job"):
            self._validate(request, shape)

    def create_batch(self, request: dict[str, Any]) -> str:
        """Create a job of S3 Batch Operations; its ID. The same request again is the same job."""
        with self._explained("create a job"):
            job_id: str = self._control().create_job(**request)["JobId"]
            return job_id

    def _control(self) -> Any:
        """A client of S3 Control, which is another service, with endpoints of its own for each account."""
        return self._session.create_client("s3control", **self._connection)

    @contextmanager
    def _explained(self, action: str, key: str | None = None) -> Iterator[None]:
        what = f"{action} {key}" if key else action
        exceptions = self._exceptions
        try:
            yield
        except exceptions.ClientError as error:
            raise self._refused(error, what, error.response["Error"]["Code"]) from None
        except (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
            exceptions.ProfileNotFound,
        ) as error:
            raise NoCredentials(f"There are no AWS credentials on this host: {error}.") from None
        except exceptions.ParamValidationError as error:
            raise BadInput(
                f"S3 cannot be asked to {what} in bucket '{self.name}': {' '.join(str(error).split())}"
            ) from None
        except (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.NoRegionError,
            exceptions.InvalidRegionError,
        ) as error:
            raise EndpointUnreachable(f"{self._where} cannot be reached: {error}.") from None
        except (exceptions.BotoCoreError, ValueError) as error:  # such as botocore's "Invalid endpoint"
            raise EndpointUnreachable(f"{self._where} cannot be reached: {error}.") from None

    def _refused(self, error: Exception, what: str, code: str) -> Exception:
        """What a reply of S3 that is an error stands for."""
        if code in _RESTORE_STATES and what.startswith("thaw "):
            return _Reply(_RESTORE_STATES[code])
        if code == "RequestTimeTooSkewed" or re.search("Signature (?:expired|not yet current)", str(error)):
            return ClockSkewed(f"{_clocks(error)}, so it refused to {what} in bucket {self.name}.", code=code)
        if code in _UNREADABLE and what.startswith("read "):
            return self._not_read(what.partition(" ")[2], code)
        if code in ("NoSuchBucket", "404") and what == "list":
            return BucketMissing(f"The bucket {self.name} does not exist at {self._where}.", bucket=self.name)
        if code in _REFUSED:
            return AccessRefused(f"S3 refused to {what} in bucket {self.name}: {code}.", code=code)
        return BackendFailed(f"S3 failed to {what} in bucket {self.name}: {error}.", code=code)

    def _not_read(self, key: str, code: str) -> PermafrostError:
        if code == "NoSuchKey":
            return VolumesMissing(f"{key} is not in bucket {self.name} any more.", volumes=[key])
        return VolumesFrozen(f"{key} is frozen: its thawed copy has expired.", frozen=[key], thawing=[])


def _clocks(error: Any) -> str:
    """Both times, as far as the reply tells its own. Signature Version 4 has times in UTC."""
    there = error.response["ResponseMetadata"]["HTTPHeaders"].get("date")
    there = error.response["Error"].get("ServerTime", there or "unknown")
    return f"The clock of this host says {datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}, and that of S3 {there}"


class _Reply(Exception):
    """Carries a reply of RestoreObject that is a state."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


def _version(version_id: str | None) -> dict[str, str]:
    """The parameter that names an older version; the current one has none."""
    return {"VersionId": version_id} if version_id else {}


def _object(entry: dict[str, Any], version_id: str | None = None) -> S3Object:
    status = entry.get("RestoreStatus", {})
    return S3Object(
        key=entry["Key"],
        size_bytes=entry["Size"],
        storage_class=entry.get("StorageClass", "STANDARD"),
        etag=entry["ETag"].strip('"'),
        last_modified=entry["LastModified"],
        restoring=bool(status.get("IsRestoreInProgress")),
        expires=status.get("RestoreExpiryDate"),
        version_id=version_id,
    )
