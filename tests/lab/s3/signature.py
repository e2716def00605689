"""Who is asking: Signature Version 4, recomputed in the form of the S3 API Reference, "Authenticating Requests".

Verified: signatures in the header (single payload, unsigned payload, streaming payload with or without a trailer)
and presigned URLs of version 4 (boto3 makes them only with signature_version="s3v4"). Not verified: the signatures
of the chunks of a streaming payload (that of the request is only the seed of their chain), and the age of a
presigned URL. That of a signature in the header is compared with real time: the lab's own clock is for thaws.

botocore can do this sum too, and takes a third of a millisecond for it: more than all else that a request costs here.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from urllib.parse import quote, unquote

from lab.s3.message import Request, S3Error

# Amazon S3 API Reference, "Error responses".
_MAX_SKEW = timedelta(minutes=15)


class KeyRing:
    """The known pairs of access key and secret."""

    def __init__(self, access_key: str, secret: str) -> None:
        self.pairs = {access_key: secret}

    def add(self, access_key: str, secret: str) -> None:
        """Make a pair known."""
        self.pairs[access_key] = secret

    def authenticate(self, request: Request) -> str:
        """The access key of a good signature; S3's own errors for all else."""
        claim = _claim(request)
        if claim is None:
            raise S3Error(403, "AccessDenied", "Access Denied")
        access_key, scope, signed, signature = claim
        request.access_key = access_key
        secret = self.pairs.get(access_key)
        if secret is None:
            text = "The AWS Access Key Id you provided does not exist in our records."
            raise S3Error(403, "InvalidAccessKeyId", text, AWSAccessKeyId=access_key)
        if not any(hmac.compare_digest(signature, good) for good in _expected(request, secret, scope, signed)):
            text = "The request signature we calculated does not match the signature you provided."
            raise S3Error(403, "SignatureDoesNotMatch", text, AWSAccessKeyId=access_key)
        require_fresh(request)
        return access_key


def require_fresh(request: Request, ahead: float = 0) -> None:
    """Refuse what was signed at another time than now, on a server whose clock is so many seconds ahead."""
    stamp = request.headers.get("x-amz-date")
    if stamp is None:
        return
    signed = _moment(stamp)
    now = datetime.now(timezone.utc) + timedelta(seconds=ahead)
    if abs(now - signed) > _MAX_SKEW:
        raise S3Error(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            RequestTime=stamp,
            ServerTime=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            MaxAllowedSkewMilliseconds=str(_MAX_SKEW // timedelta(milliseconds=1)),
        )


@lru_cache(maxsize=64)
def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def _claim(request: Request) -> tuple[str, list[str], list[str], str] | None:
    """Access key, rest of the scope, signed header names and signature, from the header or the query."""
    header = request.headers.get("authorization", "")
    if header.startswith("AWS4-HMAC-SHA256"):
        pieces = (piece.strip().partition("=") for piece in header[len("AWS4-HMAC-SHA256") :].split(","))
        fields = {name: value for name, _, value in pieces}
    elif "X-Amz-Signature" in request.params:
        fields = {
            name: request.params.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")
        }
    elif header:
        raise S3Error(400, "InvalidRequest", "Please use AWS4-HMAC-SHA256.")
    else:
        return None
    access_key, *scope = fields.get("Credential", "").rsplit("/", 4)
    if len(scope) != 4:
        raise S3Error(400, "AuthorizationHeaderMalformed", "The authorization header is malformed.")
    return access_key, scope, fields.get("SignedHeaders", "").split(";"), fields.get("Signature", "")


def _expected(request: Request, secret: str, scope: list[str], signed: list[str]) -> list[str]:
    """The right signature; a second one for clients that sign a path spelled otherwise than they send it."""
    paths = [request.path]
    respelled = quote(unquote(request.path), safe="/-_.~")
    if respelled != request.path:
        paths.append(respelled)
    return [_signature(request, secret, scope, signed, path) for path in paths]


def sign(request: Request, access_key: str, secret: str, region: str) -> str:
    """The Authorization header for a request with all of its headers, x-amz-date among them."""
    scope = [request.headers["x-amz-date"][:8], region, "s3", "aws4_request"]
    signed = sorted(request.headers)
    signature = _signature(request, secret, scope, signed, request.path)
    claim = f"Credential={access_key}/{'/'.join(scope)}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    return f"AWS4-HMAC-SHA256 {claim}"


def _signature(request: Request, secret: str, scope: list[str], signed: list[str], path: str) -> str:
    stamp = request.headers.get("x-amz-date") or request.params.get("X-Amz-Date") or scope[0]
    payload = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in sorted(signed)]
    lines = [request.method, path, _query(request.query), "".join(headers), ";".join(sorted(signed)), payload]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{'/'.join(scope)}\n{digest}"
    return _mac(_signing_key(secret, *scope), text).hex()


def _query(query: str) -> str:
    """The parameters in order. A bare "?restore" is signed as "restore="."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair and not pair.startswith("X-Amz-Signature=")]
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


@lru_cache(maxsize=64)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
