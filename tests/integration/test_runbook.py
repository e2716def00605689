"""The playbook restore as a runbook: one command from a lost host to its data, however often it is killed."""

from __future__ import annotations

import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import kills, play, trees, warm
from lab.places import CHECKOUT
from lab.s3.client_api import S3Lab

BUCKET, PASSPHRASE = "runbook", "the passphrase of the runbook"
PRICES = CHECKOUT / "playbooks" / "prices" / "us-east-1.yml"
THAW_KEY, THAW_SECRET = "LABTHAWKEY0000000002", "SecretOfThoseWhoThaw"


@dataclass
class Lost:
    """A backup in Deep Archive whose host is gone, and a place to restore to."""

    s3: S3Lab
    job: dict[str, Any]
    tree: dict[bytes, trees.Entry]
    work: Path

    @property
    def dest(self) -> Path:
        return self.work / "restored"

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.work / "restored.permafrost-report.json").read_text())
        return found

    @property
    def variables(self) -> dict[str, Any]:
        pair = {"access_key": THAW_KEY, "secret_key": THAW_SECRET}
        job = {**self.job, "state_dir": str(self.work / "state")}
        return {"duplicity_jobs": [job], "thaw_credentials": pair, "dest": str(self.dest), "poll_interval": 1}

    def run(self, *options: str, **variables: Any) -> play.Run:
        """The same command once more."""
        return play.run("permafrost.backup.restore", self.work, *options, **{**self.variables, **variables})

    def volumes(self) -> list[str]:
        return [one["key"] for one in self.s3.state(BUCKET, self.prefix) if ".difftar" in one["key"]]

    @property
    def prefix(self) -> str:
        return str(self.job["target"]).removeprefix(f"s3://{BUCKET}/") + "/"

    def asked(self, since: int) -> list[str]:
        """The keys of accepted thaws since a mark."""
        thaws = [one for one in self.s3.requests(since) if one["operation"] == "RestoreObject"]
        return sorted(one["key"] for one in thaws if one["status"] == 202)

    def same(self) -> None:
        kills.same(self.tree, self.dest)


@contextmanager
def backed_up(s3_server: S3Lab, image: str, root: Path, file_bytes: int, **options: Any) -> Iterator[Lost]:
    """Some volumes in two sets, encrypted. The host that made them is gone."""
    s3_server.client().create_bucket(Bucket=BUCKET)
    s3_server.add_key(THAW_KEY, THAW_SECRET)
    job = {
        "name": f"runbook-{os.getpid()}",
        "source": str(root / "source"),
        "target": f"s3://{BUCKET}/web01/data",
        "encryption": {"mode": "symmetric", "passphrase": PASSPHRASE},
        "credentials": {"access_key": s3_server.access_key, "secret_key": s3_server.secret_key},
        "endpoint_url": s3_server.endpoint_url,
        "region": s3_server.region,
        "image": image,
        "docker_host": os.environ["DOCKER_HOST"],
        "state_dir": str(root / "state"),
        **options,
    }
    source = root / "source"
    (source / "films").mkdir(parents=True)
    for number in range(9):
        (source / "films" / f"{number}.bin").write_bytes(random.Random(number).randbytes(file_bytes))
    (source / "etc").mkdir()
    (source / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    kills.succeeded(kills.run("duplicity_backup", job=job))
    time.sleep(1.1)  # duplicity's times are whole seconds
    (source / "etc" / "hosts").write_text("127.0.0.1 localhost web01\n")
    kills.succeeded(kills.run("duplicity_backup", job=job))
    yield Lost(s3_server, job, trees.snapshot(source), root)
    kills.remove_containers(job["name"])


@pytest.fixture(scope="module")
def backed(s3_server: S3Lab, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    """Volumes of 10 MB: boto3 gets what is above 8 in parts."""
    root = tmp_path_factory.mktemp("lost")
    with backed_up(s3_server, image, root, 5_000_000, volume_size=10) as made:
        yield made


@pytest.fixture
def lost(backed: Lost, s3: S3Lab, tmp_path: Path) -> Lost:
    """All of it frozen, and a new host."""
    s3.advance(hours=24 * 365)
    assert {one["state"] for one in s3.state(BUCKET) if ".difftar" in one["key"]} == {"frozen"}
    return Lost(s3, backed.job, backed.tree, tmp_path)


def billed(requests: list[dict[str, Any]], sizes: dict[str, int]) -> dict[str, Fraction]:
    """What the requests for these objects cost by the price file, computed on its own from the server's log."""
    figures = yaml.safe_load(PRICES.read_text())["figures"]

    def price(*names: str) -> Fraction:
        found: Any = figures
        for name in names:
            found = found[name]
        return Fraction(found["usd"] if isinstance(found, dict) else found)

    bill: defaultdict[str, Fraction] = defaultdict(Fraction)
    for one in requests:
        name, tier = one["storage_class"], one["tier"]
        if one["key"] not in sizes:
            continue
        if one["operation"] == "RestoreObject" and one["status"] == 202:
            bill[f"thaw_requests {name}"] += price(name, tier, "request_1000") / 1000
            bill[f"thaw_data {name}"] += price(name, tier, "data_gb") * sizes[one["key"]] / 2**30
        if one["operation"] in ("GetObject", "HeadObject"):
            bill[f"get_requests {name}"] += price(name, "get_1000") / 1000
    return dict(bill)


def same_bill(offer: dict[str, Any], bill: dict[str, Fraction], *kinds: str) -> None:
    """The lines of an offer are those of a bill, each rounded to a billionth of a dollar."""
    lines = {
        f"{one['what']} {one['storage_class']}": one["amount_usd"] for one in offer["lines"] if one["what"] in kinds
    }
    assert lines.keys() == bill.keys()
    for name, amount in lines.items():
        assert abs(Fraction(amount) - bill[name]) <= Fraction(1, 2 * 10**9), name


def shown(run: play.Run) -> Any:
    """What the last debug task says."""
    assert run.code == 0, run.output
    return [task.result["msg"] for task in run.tasks if task.action.endswith("debug") and task.status == "ok"][-1]


def test_nothing_is_requested_without_consent(lost: Lost) -> None:
    mark = lost.s3.mark()
    quoted = lost.run()
    assert shown(quoted).startswith("Nothing was requested, paid or restored.")
    offers = quoted.result("glacier_quote_info")["offers"]
    assert [one["tier"] for one in offers] == ["Bulk", "Standard"]
    assert "copies for 6 days" in quoted.output
    assert "thawed by" in quoted.output
    dear = lost.run(confirm=True, max_cost=0.0001)
    assert dear.code
    assert dear.result("glacier_quote_info")["error"]["cause"] == "no_offer_fits"
    assert shown(lost.run("--check", confirm=True)).startswith("Nothing was requested, paid or restored.")
    assert lost.asked(mark) == []
    assert sorted(path.name for path in lost.work.iterdir() if not path.name.startswith("play-")) == ["state"]


def test_consent_thaw_continue_and_done(lost: Lost) -> None:
    mark = lost.s3.mark()
    first = lost.run(confirm=True, wait=False)
    assert "The same command continues" in shown(first)
    planned = [one["key"] for one in first.result("glacier_restore_info")["plan"]["volumes"]]
    assert lost.asked(mark) == sorted(planned) == lost.volumes()
    assert len(planned) >= 5
    senders = {one["access_key"] for one in lost.s3.requests(mark) if one["operation"] == "RestoreObject"}
    assert senders == {THAW_KEY}
    lost.s3.advance(hours=48)
    second = lost.run(confirm=True, wait=False)
    assert second.code == 0, second.output
    assert f"This continues the restore as of {lost.report['time']}" in " ".join(second.output.split())
    lost.same()
    assert lost.asked(mark) == sorted(planned)

    chosen = first.result("glacier_quote_info")["chosen"]
    sizes = {one["key"]: one["size"] for one in lost.s3.state(BUCKET) if ".difftar" in one["key"]}
    same_bill(chosen, billed(lost.s3.requests(mark), sizes), "thaw_requests", "thaw_data", "get_requests")
    assert lost.report["cost_usd"] == chosen["total_usd"]
    assert (lost.report["volume_count"], lost.report["quotes"][0]["tier"]) == (len(planned), "Bulk")
    assert lost.report["restored"]["files"] == 10
    text = (lost.work / "restored.permafrost-report.txt").read_text()
    assert f"Cost:      at most {chosen['total_usd']} USD" in text
    assert PASSPHRASE not in text + json.dumps(lost.report)

    before = lost.s3.mark()
    third = lost.run()
    assert "holds this restore already" in shown(third)
    assert "changed=0" in third.output
    assert {one["operation"] for one in lost.s3.requests(before)} <= {"ListObjectsV2"}


def test_a_new_host_and_nothing_but_the_url_and_the_secrets(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    local = play.local(warm.interpreter())
    inventory = lost.work / "inventory.yml"
    hosts = {"newhost": local, "web01": {**local, "duplicity_jobs": lost.variables["duplicity_jobs"]}}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))

    def command(*options: str, **variables: Any) -> play.Run:
        given = {"dest": str(lost.dest), "path": "/etc/", **variables}
        return play.run("permafrost.backup.restore", lost.work, *options, inventory=inventory, **given)

    # A host of the inventory that is to stand in for another one.
    stood_in = command("-l", "newhost", job=lost.job["name"], from_host="web01", region="eu-central-1")
    assert stood_in.result("glacier_restore_info")["plan"]["volume_count"] == 2
    assert shown(stood_in).startswith("Nothing was requested, paid or restored.")

    # The inventory has no such job any more.
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"newhost": local}}}))
    service = {name: lost.job[name] for name in ("endpoint_url", "region")}
    options = {name: lost.job[name] for name in ("image", "docker_host")} | {"state_dir": str(lost.work / "blank")}
    described = {"target_url": lost.job["target"], "job_options": options, "confirm": True, "wait": False, **service}
    assert "Say how s3://runbook/web01/data is encrypted" in command(**described).output
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", lost.s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", lost.s3.secret_key)
    # Without a terminal nobody answers the prompt.
    assert "job.encryption.passphrase is empty" in command(encryption="symmetric", **described).output
    monkeypatch.setenv("PASSPHRASE", PASSPHRASE)
    mark = lost.s3.mark()
    assert "The same command continues" in shown(command("-vvv", encryption="symmetric", **described))
    assert len(lost.asked(mark)) == 2
    lost.s3.advance(hours=48)
    done = command("-vvv", encryption="symmetric", **described)
    assert done.code == 0, done.output
    kills.same(trees.below(lost.tree, "etc"), lost.dest)
    assert len(lost.asked(mark)) == 2
    assert lost.report["job"] == "web01-data"
    assert PASSPHRASE not in done.output
    assert lost.s3.secret_key not in done.output


def test_a_large_quote_is_what_the_log_bills(s3: S3Lab, bucket: str) -> None:
    """Of 200 TB in two classes, with a busy S3 on the way: what is refused is asked for again and not billed."""
    s3.seed(bucket, "deep", 1300, 123_456_789_012, "DEEP_ARCHIVE")
    s3.seed(bucket, "flexible", 700, 60_000_000_001, "GLACIER")
    s3.fault("RestoreObject", kind="503", count=20)
    found = s3.state(bucket)
    sizes = {one["key"]: one["size"] for one in found}
    plan = {"bucket": bucket, "volumes": [{**one, "size_bytes": one["size"]} for one in found]}
    prices = yaml.safe_load(PRICES.read_text())
    quoted = kills.succeeded(kills.run("glacier_quote_info", plan=plan, prices=prices, tier="Standard"))
    assert float(quoted["chosen"]["thaw_usd"]) > 3000
    mark = s3.mark()
    pair = {"access_key": s3.access_key, "secret_key": s3.secret_key}
    service = {"credentials": pair, "endpoint_url": s3.endpoint_url, "region": s3.region}
    kills.succeeded(kills.run("glacier_restore", bucket=bucket, keys=list(sizes), tier="Standard", **service))
    same_bill(quoted["chosen"], billed(s3.requests(mark), sizes), "thaw_requests", "thaw_data")
