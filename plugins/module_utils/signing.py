# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signature Version 4 of a request to S3. Pure: the time is handed in.

Amazon S3 API Reference, "Signature calculations for the Authorization header". The SDK's signer takes ten times as
long, mostly for the key, which is the same for a day, and for headers that all requests of a kind have in common.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache


def authorization(
    access_key: str, secret_key: str, region: str, *, method: str, path: str, query: str, headers: Mapping[str, str]
) -> str:
    """The Authorization header. All headers are signed, x-amz-date and x-amz-content-sha256 among them.

    Their names are in lower case, and a value has no two blanks in a row; ``path`` and ``query`` are as they are sent,
    with the parameters in order and an equals sign behind each.
    """
    stamp = headers["x-amz-date"]
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    names = sorted(headers)
    signed = ";".join(names)
    lines = [method, path, query, *(f"{name}:{headers[name]}" for name in names), "", signed]
    digest = hashlib.sha256("\n".join([*lines, headers["x-amz-content-sha256"]]).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = _mac(_key(secret_key, stamp[:8], region), text).hex()
    return f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"


def stamp(now: datetime) -> str:
    """A time in UTC, as x-amz-date has it."""
    return f"{now:%Y%m%dT%H%M%SZ}"


@lru_cache(maxsize=16)
def _key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
