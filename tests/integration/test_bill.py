"""What a quote says of a large thaw is what the requests cost, line by line, by the server's log."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import yaml

from lab import bill, kills
from lab.places import CHECKOUT
from lab.s3 import rush
from lab.s3.client_api import S3Lab

PRICES = yaml.safe_load((CHECKOUT / "playbooks" / "prices" / "us-east-1.yml").read_text())
# Objects by prefix: how many, of how many bytes, in which class. Odd sizes, so that a rounding that is off is seen.
OBJECTS = {
    "tree/a/": (69_900, 1_021, "DEEP_ARCHIVE"),
    "tree/b/": (30_000, 7, "GLACIER"),
    "tree/c/": (100, 12_345_678_901, "DEEP_ARCHIVE"),
}


def test_the_quote_of_a_hundred_thousand_objects_is_their_bill(s3: S3Lab, bucket: str) -> None:
    for prefix, (count, size, storage_class) in OBJECTS.items():
        s3.seed(bucket, prefix, count, size, storage_class)
    connection = {
        "bucket": bucket,
        "credentials": {"access_key": s3.access_key, "secret_key": s3.secret_key},
        "endpoint_url": s3.endpoint_url,
        "region": s3.region,
    }
    check: dict[str, Any] = {"prefix": "tree/", "tier": "Standard", "days": 9, "limit": 100_000}
    plan = kills.succeeded(kills.run("glacier_restore", **connection, **check, _ansible_check_mode=True))
    keys = plan["requested"]
    assert len(keys) == len(set(keys)) == 100_000
    # Check mode gives the plan as it would be afterwards; the quote is asked for before.
    frozen = {**plan["plan"], "volumes": [{**one, "state": "frozen"} for one in plan["plan"]["volumes"]]}
    quote = kills.succeeded(kills.run("glacier_quote_info", plan=frozen, prices=PRICES, tier="Standard", days=9))
    mark = s3.mark()
    s3.restore_limit(None)
    rush.restores(s3, bucket, keys, "Standard", 9)
    s3.advance(hours=13)
    rush.gets(s3, bucket, keys)
    log = s3.requests(mark)
    assert Counter((one["operation"], one["status"]) for one in log) == {
        ("RestoreObject", 202): 100_000,
        ("GetObject", 200): 100_000,
    }
    billed = bill.bill(log, PRICES)
    quoted = {(one["what"], one["storage_class"]): Decimal(one["amount_usd"]) for one in quote["chosen"]["lines"]}
    assert quoted == billed
    assert Decimal(quote["chosen"]["total_usd"]) == sum(billed.values()) > 100
