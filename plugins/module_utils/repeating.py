# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same request of S3 for very many keys.

I/O. For each call the SDK resolves the endpoint, validates, serializes, signs and parses anew, which takes longer than
all else that a request needs. So it makes one request of a kind, which is not sent; the requests for all keys are like
it but for key and signature, and go over the SDK's connections.
"""

from __future__ import annotations

import hashlib
import threading
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlsplit

from ansible_collections.permafrost.backup.plugins.module_utils import signing

# What is of one request alone, or of its signature.
_OWN = {"authorization", "x-amz-date", "x-amz-security-token", "amz-sdk-invocation-id", "amz-sdk-request"}
_SAMPLE_KEY = "k"


class Repeated:
    """Requests of one bucket through a client of the SDK that knows where it is. For any number of threads."""

    def __init__(self, client: Any, bucket: str, credentials: Any) -> None:
        from botocore import awsrequest, exceptions, parsers

        self._awsrequest, self._exceptions, self._parsers = awsrequest, exceptions, parsers
        self._client, self._bucket, self._credentials = client, bucket, credentials
        self._lock = threading.Lock()
        self._samples: dict[tuple[str, int], _Sample] = {}

    def restore(self, key: str, tier: str, days: int, version_id: str | None = None) -> int:
        """RestoreObject, sent once; the status of a good reply. Raises the SDK's own exceptions."""
        with self._lock:
            sample = self._samples.get((tier, days))
            if sample is None:
                sample = self._samples[tier, days] = self._sample(tier, days)
        now = datetime.now(timezone.utc)
        url, headers = sample.signed(key, version_id, self._credentials.get_frozen_credentials(), now)
        request = self._awsrequest.AWSPreparedRequest("POST", url, headers, sample.body, False)
        reply = self._client._endpoint.http_session.send(request)
        if reply.status_code >= 300:
            raise self._refused(reply)
        return int(reply.status_code)

    def _sample(self, tier: str, days: int) -> _Sample:
        """What the SDK makes of a request. It is answered here, and never sent."""
        made: list[Any] = []

        def take(request: Any, **_more: Any) -> Any:
            made.append(request)
            return self._awsrequest.AWSResponse(request.url, 202, {}, _Nothing())

        request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
        events = self._client.meta.events
        events.register("before-send.s3.RestoreObject", take)
        try:
            self._client.restore_object(Bucket=self._bucket, Key=_SAMPLE_KEY, RestoreRequest=request)
        finally:
            events.unregister("before-send.s3.RestoreObject", take)
        return _Sample(made[0])

    def _refused(self, reply: Any) -> Exception:
        """The SDK's exception for such a reply."""
        shape = self._client.meta.service_model.operation_model("RestoreObject").output_shape
        got = {"body": reply.content, "headers": reply.headers, "status_code": reply.status_code}
        parsed = self._parsers.create_parser("rest-xml").parse(got, shape)
        refused: Exception = self._exceptions.ClientError(parsed, "RestoreObject")
        return refused


class _Sample:
    """A request as the SDK would have sent it: what others of its kind have in common."""

    def __init__(self, made: Any) -> None:
        url, _mark, query = made.url.partition("?")
        place = urlsplit(url)
        self._origin, self._path = f"{place.scheme}://{place.netloc}", place.path[: -len(_SAMPLE_KEY)]
        self._query = query if "=" in query else f"{query}="
        self.body = made.body
        given = {name: value.decode() if isinstance(value, bytes) else value for name, value in made.headers.items()}
        claim = given["Authorization"]
        # "… Credential=KEY/20261101/us-east-1/s3/aws4_request, SignedHeaders=a;b, …": the Region is that of the bucket.
        self._region = claim.split("Credential=")[1].split(",")[0].split("/")[-3]
        signed = claim.split("SignedHeaders=")[1].split(",")[0].split(";")
        lower = {name.lower(): value for name, value in given.items()}
        # Only the host is not among the headers yet.
        self._signed = {name: lower.get(name, place.netloc) for name in signed if name not in _OWN}
        self._signed["x-amz-content-sha256"] = hashlib.sha256(self.body).hexdigest()
        self._unsigned = {name: value for name, value in lower.items() if name not in {*signed, *_OWN}}

    def signed(self, key: str, version_id: str | None, credentials: Any, now: datetime) -> tuple[str, dict[str, str]]:
        """The URL and the headers of the request for a key, or for an older version of it."""
        path = self._path + quote(key, safe="/~")
        # Parameters in order of their names, as the signature wants them.
        query = self._query + (f"&versionId={quote(version_id, safe='~')}" if version_id else "")
        headers = {**self._signed, "x-amz-date": signing.stamp(now)}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        headers["authorization"] = signing.authorization(
            credentials.access_key,
            credentials.secret_key,
            self._region,
            method="POST",
            path=path,
            query=query,
            headers=headers,
        )
        return f"{self._origin}{path}?{query}", {**self._unsigned, **headers}


class _Nothing:
    """The empty content of a reply that never came."""

    def stream(self) -> list[bytes]:
        return []
