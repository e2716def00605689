"""What an access key may do: identity policies, evaluated as IAM does it.

A key without a policy may do all. With one, an Allow that fits is needed and a Deny that fits wins. Known: actions and
resources with `*` and `?`, `${*}` and its like for the characters themselves, and the conditions StringEquals,
StringLike, StringNotEquals, StringNotLike and Null on the keys below; what is not known is refused, never passed over.
Not evaluated: bucket policies, ACLs and KMS.

Rules: IAM User Guide, "Policy evaluation logic"; Service Authorization Reference, "Amazon S3"; S3 User Guide, "Required
permissions for Amazon S3 API operations".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from lab.s3.message import Request, S3Error

# Operations whose permission has another name.
_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "ListBuckets": "ListAllMyBuckets",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
# With a version ID these need a permission of their own; RestoreObject has none.
_OF_VERSION = {"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion"}
_LISTINGS = {"ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"}
# Condition keys that a request has by a parameter of the same meaning.
_PARAMETERS = {"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"}
_OPERATORS = {"StringEquals", "StringLike", "StringNotEquals", "StringNotLike", "Null"}

Context = dict[str, str]


class Policies:
    """The documents by access key."""

    def __init__(self) -> None:
        self._documents: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def set(self, access_key: str, document: dict[str, Any] | None) -> None:
        """A key may do what the document says from now on; None lets it do all again."""
        if document is not None:
            for statement in _statements(document):
                _check(statement)
        with self._lock:
            self._documents.pop(access_key, None)
            if document is not None:
                self._documents[access_key] = document

    def check(self, request: Request) -> None:
        """AccessDenied unless all that the request does is allowed. What DeleteObjects names is asked key by key."""
        document = self._documents.get(request.access_key)
        if document is None or request.operation == "DeleteObjects":
            return
        for action, resource, context in _wishes(request):
            if not allowed(document, action, resource, context):
                raise _denied(request, action, resource)

    def may_delete(self, request: Request, key: str, version: str | None) -> bool:
        """Whether one key of DeleteObjects may go."""
        document = self._documents.get(request.access_key)
        action = "s3:DeleteObjectVersion" if version else "s3:DeleteObject"
        return document is None or allowed(document, action, _arn(request.bucket, key), {})


def _denied(request: Request, action: str, resource: str) -> S3Error:
    text = f"User: {request.access_key} is not authorized to perform: {action} on resource: {resource}"
    return S3Error(403, "AccessDenied", text)


def _wishes(request: Request) -> Iterator[tuple[str, str, Context]]:
    """Each permission that a request needs, on what, and what conditions can ask about it."""
    action = _ACTIONS.get(request.operation, request.operation)
    if request.params.get("versionId"):
        action = _OF_VERSION.get(action, action)
    on_key = bool(request.key) and action not in _LISTINGS
    context = {name: request.params[given] for name, given in _PARAMETERS.items() if given in request.params}
    yield f"s3:{action}", _arn(request.bucket, request.key if on_key else None), context
    if source := request.headers.get("x-amz-copy-source"):
        path, _, version = unquote(source).removeprefix("/").partition("?versionId=")
        bucket, _, key = path.partition("/")
        yield f"s3:GetObject{'Version' if version else ''}", _arn(bucket, key), {}
    if request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true":
        yield "s3:BypassGovernanceRetention", _arn(request.bucket, request.key), {}


def _arn(bucket: str, key: str | None) -> str:
    return f"arn:aws:s3:::{bucket}" + (f"/{key}" if key is not None else "")


# --- a document -----------------------------------------------------------------------------------------------------


def allowed(document: dict[str, Any], action: str, resource: str, context: Context) -> bool:
    """Whether a document lets somebody do that: one Allow, and no Deny."""
    effects = {one["Effect"] for one in _statements(document) if _fits(one, action, resource, context)}
    return effects == {"Allow"}


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = document["Statement"]
    return found if isinstance(found, list) else [found]


def _check(statement: dict[str, Any]) -> None:
    """ValueError for what would not be evaluated as it is meant."""
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    unknown |= set(statement.get("Condition", {})) - _OPERATORS
    # The rights on a KMS key have conditions of their own, which no request here ever asks about.
    if any(str(one).startswith("s3:") for one in _listed(statement["Action"])):
        unknown |= {key for tests in statement.get("Condition", {}).values() for key in tests} - set(_PARAMETERS)
    if unknown or statement["Effect"] not in ("Allow", "Deny"):
        raise ValueError(f"the lab does not know this of policies: {', '.join(sorted(unknown)) or statement['Effect']}")


def _fits(statement: dict[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, resource) for pattern in _listed(statement["Resource"]))
        and all(
            _holds(operator, context.get(key), _listed(values))
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    """One condition. A key that the request does not have fits no positive test, and any negative one."""
    if operator == "Null":
        return (value is None) == (str(wanted[0]).lower() == "true")
    if value is None:
        return "Not" in operator
    found = value in wanted or (operator.endswith("Like") and any(_like(pattern, value) for pattern in wanted))
    return found != ("Not" in operator)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch("".join(_regular(pattern)), text, re.S) is not None


def _regular(pattern: str) -> Iterable[str]:
    for part in re.findall(r"\$\{[*?$]\}|.", pattern, re.S):
        if part in ("*", "?"):
            yield ".*" if part == "*" else "."
        else:
            yield re.escape(part[2] if len(part) > 1 else part)
