"""repeating.py and signing.py: the requests for all keys are those that the SDK would have sent. No S3 answers here."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import botocore.session
import pytest
from botocore import auth, awsrequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import repeating
from ansible_collections.permafrost.backup.plugins.module_utils.repeating import Repeated

NOW = datetime(2026, 11, 1, 3, 4, 5)
PLACES: dict[str, dict[str, Any]] = {
    "amazon": {"region_name": "eu-central-1"},
    "path style": {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9000"},
    "dual stack": {"region_name": "us-west-2", "config": Config(s3={"use_dualstack_endpoint": True})},
    "china": {"region_name": "cn-north-1"},
}
# Those differ from call to call, and S3 knows nothing of them.
CALLS_OWN = {"amz-sdk-invocation-id", "amz-sdk-request"}


class Wire:
    """Takes what would be sent, and answers it."""

    def __init__(self, status: int = 202, body: bytes = b"") -> None:
        self.sent: list[Any] = []
        self.status, self.body = status, body

    def send(self, request: Any) -> Any:
        self.sent.append(request)
        reply = awsrequest.AWSResponse(request.url, self.status, {}, None)
        reply._content = self.body
        return reply


def client_of(place: dict[str, Any], wire: Wire, token: str | None = None) -> tuple[Any, Credentials]:
    session = botocore.session.get_session()
    session.set_credentials("AKIDEXAMPLE", "secret/key+x", token)
    client = session.create_client("s3", **place)
    client._endpoint.http_session = wire
    return client, session.get_credentials()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """One time for the SDK's signer and ours."""
    monkeypatch.setattr(auth, "get_current_datetime", lambda: NOW)
    fixed = type("datetime", (datetime,), {"now": classmethod(lambda _cls, _zone: NOW.replace(tzinfo=timezone.utc))})
    monkeypatch.setattr(repeating, "datetime", fixed)


def seen(request: Any) -> tuple[Any, ...]:
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    headers.pop("host", None)  # the SDK leaves it to the connection
    url = request.url.replace("?restore=", "?restore")
    return request.method, url, request.body, {name: one for name, one in headers.items() if name not in CALLS_OWN}


def same(place: str, key: str, token: str | None) -> None:
    wire = Wire()
    client, credentials = client_of(PLACES[place], wire, token)
    request = {"Days": 7, "GlacierJobParameters": {"Tier": "Bulk"}}
    client.restore_object(Bucket="acme-dr", Key=key, RestoreRequest=request)
    assert Repeated(client, "acme-dr", credentials).restore(key, "Bulk", 7) == 202
    sdk, ours = (seen(one) for one in wire.sent)
    assert ours == sdk


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", [None, "session-token"])
@pytest.mark.parametrize("key", ["k", "web01/data/vol 1+2~*'(ä).gpg", "/a//b?c#d%41=&"])
def test_the_request_is_that_of_the_sdk(place: str, token: str | None, key: str) -> None:
    same(place, key, token)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_the_key_is(key: str) -> None:
    same("path style", key, None)


def test_the_sample_is_made_once_for_tier_and_days() -> None:
    wire = Wire()
    client, credentials = client_of(PLACES["amazon"], wire)
    asked = []
    client.meta.events.register("before-send.s3.RestoreObject", lambda request, **_more: asked.append(request))
    repeated = Repeated(client, "acme-dr", credentials)
    for number in range(5):
        repeated.restore(f"vol{number}", "Bulk", 7)
    repeated.restore("vol0", "Standard", 7)
    assert (len(asked), len(wire.sent)) == (2, 6)


def test_a_refusal_is_the_sdk_s_exception() -> None:
    body = b"<Error><Code>RestoreAlreadyInProgress</Code><Message>Wait.</Message></Error>"
    client, credentials = client_of(PLACES["amazon"], Wire(409, body))
    with pytest.raises(ClientError) as caught:
        Repeated(client, "acme-dr", credentials).restore("vol1", "Bulk", 7)
    response: Any = caught.value.response
    assert response["Error"]["Code"] == "RestoreAlreadyInProgress"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 409
