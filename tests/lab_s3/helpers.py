"""What several tests say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, dict[str, Any]]:
    """Status, code and the whole error of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response: dict[str, Any] = dict(caught.value.response)
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]


def thaw(s3: Any, bucket: str, key: str, tier: str = "Standard", days: int = 1) -> int:
    """Send RestoreObject; the status of the answer."""
    request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
    answer = s3.restore_object(Bucket=bucket, Key=key, RestoreRequest=request)
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def frozen(s3: Any, bucket: str, key: str = "volume", storage_class: str = "DEEP_ARCHIVE") -> str:
    """Put one object; its key."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"ice", StorageClass=storage_class)
    return key


def stream_sha256(body: Any) -> str:
    """The digest of a body that is not loaded."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: body.read(1 << 20), b""):
        digest.update(chunk)
    return digest.hexdigest()
