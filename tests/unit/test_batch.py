"""batch.py: the job of S3 Batch Operations, judged by the SDK's model of the service."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import batch, errors
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import Credentials
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import PlannedObject
from ansible_collections.permafrost.backup.plugins.module_utils.retrieval import Wish
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
GIVEN = {
    "account_id": "123456789012",
    "role_arn": "arn:aws-cn:iam::123456789012:role/path/thaw",
    "manifest": "s3://acme-batch/thaws/",
    "reports": None,
    "priority": 10,
    "dest": None,
    "confirm": False,
}


def request(tier: str = "Bulk", **changes: Any) -> dict[str, Any]:
    terms = batch.checked_terms({**GIVEN, **changes}, tier)
    return batch.request(terms, Wish(tier, 7), key="thaws/thaw-0.csv", etag="0" * 32, digest="f" * 64)


def unfit(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """What the model does not allow: the SDK's own check knows no patterns and no lists of words."""
    if shape.type_name == "structure":
        yield from (f"{where}.{name}: unknown" for name in value.keys() - shape.members.keys())
        for name in value.keys() & shape.members.keys():
            yield from unfit(value[name], shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from unfit(one, shape.member, f"{where}[]")
    else:
        rules = shape.metadata
        pattern, words = rules.get("pattern", ""), shape.metadata.get("enum", [value])
        if value not in words or not re.search(pattern, str(value)):
            yield f"{where}: {value!r}"


@pytest.mark.parametrize("tier", ["Standard", "Bulk"])
@pytest.mark.parametrize("reports", [None, "s3://acme-reports/of/thaws"])
def test_the_request_is_one_of_the_service_s_model(tier: str, reports: str | None) -> None:
    made = request(tier, reports=reports)
    shape = botocore.session.get_session().get_service_model("s3control").operation_model("CreateJob").input_shape
    assert list(unfit(made, shape)) == []
    botocore.validate.validate_parameters(made, shape)
    assert made["Operation"]["S3InitiateRestoreObject"] == {"ExpirationInDays": 7, "GlacierJobTier": tier.upper()}
    assert made["Manifest"]["Location"]["ObjectArn"] == "arn:aws-cn:s3:::acme-batch/thaws/thaw-0.csv"
    bucket, prefix = ("acme-reports", "of/thaws") if reports else ("acme-batch", "thaws")
    assert (made["Report"]["Bucket"], made["Report"]["Prefix"]) == (f"arn:aws-cn:s3:::{bucket}", prefix)


def test_the_model_notices_a_wrong_word() -> None:
    made = request()
    made["Operation"]["S3InitiateRestoreObject"]["GlacierJobTier"] = "Bulk"
    made["Report"]["Bucket"] = "acme-batch"
    made["Spare"] = 1
    shape = botocore.session.get_session().get_service_model("s3control").operation_model("CreateJob").input_shape
    assert len(list(unfit(made, shape))) == 3


class Wire:
    """Takes what would be sent to Amazon, and answers that the job is made."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, request: Any) -> Any:
        self.sent.append(request)
        reply = AWSResponse(request.url, 200, {}, None)
        reply._content = b"<CreateJobResult><JobId>job-00000001</JobId></CreateJobResult>"
        return reply


def control(monkeypatch: pytest.MonkeyPatch) -> tuple[Bucket, Wire]:
    """A bucket whose job goes to a wire of ours."""
    bucket = Bucket("acme-batch", credentials=Credentials(access_key="A", secret_key="s"), region="us-east-1")
    client, wire = bucket._control(), Wire()
    client._endpoint.http_session = wire
    monkeypatch.setattr(bucket, "_control", lambda: client)
    return bucket, wire


def test_the_sdk_sends_it_to_the_account_s_own_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, wire = control(monkeypatch)
    bucket.check_batch(request())
    assert wire.sent == []
    assert bucket.create_batch(request()) == "job-00000001"
    (sent,) = wire.sent
    assert sent.url == "https://123456789012.s3-control.us-east-1.amazonaws.com/v20180820/jobs"
    for part in (
        "<GlacierJobTier>BULK</GlacierJobTier>",
        "<ExpirationInDays>7</ExpirationInDays>",
        "<member>Key</member>",
    ):
        assert part.encode() in sent.body
    with pytest.raises(errors.BadInput, match="Priority"):
        bucket.check_batch({**request(), "Priority": "high"})


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": "12345678901"}, {"role_arn": "thaw"}, {"priority": -1}, {"priority": 2**31},
        {"manifest": "s3://bucket-alone"}, {"reports": "reports"}, {"dest": "relative"},
    ],
)  # fmt: skip
def test_terms_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.BadInput):
        batch.checked_terms({**GIVEN, **changes}, "Bulk")


def test_there_is_no_expedited() -> None:
    with pytest.raises(errors.BadInput, match="Expedited"):
        batch.checked_terms(GIVEN, "Expedited")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=20))
def test_every_key_comes_back_from_the_manifest(keys: list[str]) -> None:
    objects = [PlannedObject(key, 1, "GLACIER", "frozen") for key in keys]
    content = batch.manifest("acme-dr", objects).decode("ascii")
    rows = list(csv.reader(io.StringIO(content)))
    assert [(bucket, unquote(key)) for bucket, key in rows] == [("acme-dr", key) for key in keys]


def test_another_wish_or_another_day_is_another_job() -> None:
    terms = batch.checked_terms(GIVEN, "Bulk")
    same = batch.identity(terms, Wish("Bulk", 7), "digest", NOW)
    later = NOW.replace(day=2)
    others = [
        batch.identity(terms, Wish("Standard", 7), "digest", NOW),
        batch.identity(terms, Wish("Bulk", 8), "digest", NOW),
        batch.identity(terms, Wish("Bulk", 7), "other", NOW),
        batch.identity(terms, Wish("Bulk", 7), "digest", later),
        batch.identity(batch.checked_terms({**GIVEN, "priority": 1}, "Bulk"), Wish("Bulk", 7), "digest", NOW),
    ]
    assert same == batch.identity(terms, Wish("Bulk", 7), "digest", NOW.replace(hour=23))
    assert len({same, *others}) == 6
