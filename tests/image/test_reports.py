"""A timer's container, as compose starts it: its runs are mailed, pinged, told and measured, without secrets."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from docker import DockerClient
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.permafrost.backup.plugins.module_utils import compose
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from lab.kills import until
from lab.receivers import MailReceiver, PingReceiver, Request
from lab.s3.client_api import S3Lab

SECRETS = {
    "passphrase": "canary-of-the-passphrase-1",
    "wrong": "canary-of-a-wrong-passphrase-2",
    "secret_key": "canarySECRETkey3/0123456789",
    "mail": "canary-of-the-mail-4",
    "ping": "canary-of-the-ping-5",
    "message": "canary-of-the-message-6",
}
ACCESS_KEY = "CANARYREPORTS000001"


@dataclass
class Ran:
    """A container that ended."""

    code: int
    shown: str
    inspected: str


@dataclass
class Timer:
    """Starts a job's containers with what the compose file gives them, but for the engine's own words."""

    engine: DockerClient
    job: dict[str, Any]
    place: Path
    authority: Path

    def start(self, verb: str, **changes: Any) -> Any:
        """A container that runs."""
        options = ArgumentSpecValidator(JOB_OPTIONS).validate({**self.job, **changes})
        assert not options.error_messages
        job_file = self.place / "job.json"
        job_file.write_text(json.dumps({"job": options.validated_parameters}))
        job_file.chmod(0o600)
        job = Job.from_params(options.validated_parameters)
        for directory in compose.directories(job):
            Path(directory).mkdir(parents=True, exist_ok=True)
        service = compose.project(job)["services"][verb]
        volumes = [
            f"{one['source']}:{one['target']}:{'ro' if one['read_only'] else 'rw'}" for one in service["volumes"]
        ]
        volumes += [
            f"{job_file}:/run/secrets/job:ro",
            # What the role's duplicity_image_ca_file makes of the image.
            f"{self.authority}:/etc/ssl/certs/ca-certificates.crt:ro",
        ]
        same = (
            "command",
            "user",
            "hostname",
            "network_mode",
            "init",
            "read_only",
            "cap_drop",
            "cap_add",
            "security_opt",
        )
        return self.engine.containers.run(
            service["image"],
            detach=True,
            tmpfs=dict(one.split(":") for one in service["tmpfs"]),
            volumes=volumes,
            environment={"PERMAFROST_HOST": "web01.example.com"},
            labels={**service["labels"], "permafrost.lab": ""},
            **{name: service[name] for name in same},
        )

    def run(self, verb: str, **changes: Any) -> Ran:
        """A container to its end."""
        return self.ended(self.start(verb, **changes))

    def ended(self, container: Any) -> Ran:
        try:
            code = container.wait(timeout=120)["StatusCode"]
            container.reload()
            return Ran(code, container.logs().decode(), json.dumps(container.attrs))
        except OSError as error:
            raise AssertionError(f"It goes on:\n{container.logs().decode()}\n{container.top()}") from error
        finally:
            container.remove(force=True)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    with S3Lab(tmp_path_factory.mktemp("s3")) as lab:
        lab.client().create_bucket(Bucket="reports")
        lab.add_key(ACCESS_KEY, SECRETS["secret_key"])
        yield lab


@pytest.fixture
def web() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


@pytest.fixture
def post(tmp_path: Path) -> Iterator[MailReceiver]:
    with MailReceiver(tmp_path, "starttls", ("watch", SECRETS["mail"])) as receiver:
        yield receiver


@pytest.fixture
def timer(ours: str, engine: DockerClient, s3: S3Lab, web: PingReceiver, post: MailReceiver, tmp_path: Path) -> Timer:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(300_000))
    reports = {
        "mail": {
            "host": "127.0.0.1", "port": post.port, "user": "watch", "password": SECRETS["mail"],
            "from": "backup@example.com", "to": ["ops@example.com"],
        },
        "report_success": True,
        "healthchecks_url": f"{web.url}/ping/{SECRETS['ping']}",
        "uptime_kuma_url": f"{web.url}/push/{SECRETS['ping']}?status=up",
        "apprise_urls": [f"json://{web.url.removeprefix('http://')}/{SECRETS['message']}"],
        "metrics_dir": str(tmp_path / "node_exporter"),
    }  # fmt: skip
    job = {
        "name": f"reports-{os.getpid()}",
        "source": str(source),
        "target": f"s3://reports/{tmp_path.name}",
        "encryption": {"mode": "symmetric", "passphrase": SECRETS["passphrase"]},
        "credentials": {"access_key": ACCESS_KEY, "secret_key": SECRETS["secret_key"]},
        "endpoint_url": s3.endpoint_url,
        "region": s3.region,
        "image": ours,
        "state_dir": str(tmp_path / "state"),
        "reports": reports,
    }
    return Timer(engine, job, tmp_path, post.authority)


def paths(requests: list[Request]) -> list[str]:
    """Where the requests went, with the ends of their secret parts."""
    found = [one.path for one in requests]
    for name in ("ping", "message"):
        found = [path.replace(SECRETS[name], "*") for path in found]
    return found


def measured(timer: Timer) -> dict[tuple[str, str], float]:
    """Metric and verb to value, of the one file that there is."""
    (file,) = (timer.place / "node_exporter").iterdir()
    assert file.name == f"permafrost-{timer.job['name']}.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    families = text_string_to_metric_families(file.read_text())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["job"] for sample in samples} == {timer.job["name"]}
    return {(one.name.removeprefix("permafrost_"), one.labels["verb"]): one.value for one in samples}


def leaks(timer: Timer, web: PingReceiver, post: MailReceiver, *ran: Ran) -> list[str]:
    """Which secrets stand where people and programs read."""
    read = [one.shown + one.inspected for one in ran]
    read += [f"{one.message.as_string()}{one.text}" for one in post.mails]
    read += [f"{one.body}{one.query}" for one in web.requests]
    read += [one.read_text() for one in (timer.place / "node_exporter").iterdir()]
    return [name for name, secret in SECRETS.items() if any(secret in text for text in read)]


def test_a_backup_and_a_check_are_reported(timer: Timer, web: PingReceiver, post: MailReceiver) -> None:
    backup = timer.run("backup")
    assert backup.code == 0, backup.shown
    assert "warning" not in backup.shown
    assert paths(web.requests) == ["/ping/*/start", "/ping/*", "/push/*", "/*"]
    start, end, kuma, message = web.requests
    assert start.query == end.query
    assert end.body.startswith("full: 2 new, 0 changed, 0 deleted files;")
    assert "[ Backup Statistics ]" in end.body
    assert (kuma.query["status"], kuma.query["msg"][:11]) == ("up", "full: 2 new")
    name = timer.job["name"]
    assert json.loads(message.body)["title"] == f"web01.example.com: {name} backup OK"
    (mail,) = post.mails
    assert (mail.encrypted, mail.user, mail.to) == (True, "watch", ["ops@example.com"])
    assert mail.message["Subject"] == f"web01.example.com: {name} backup OK"
    assert "result    OK" in mail.text

    check = timer.run("verify")
    assert check.code == 0, check.shown
    assert paths(web.requests[4:]) == ["/*"], "pings are for backups alone"
    assert post.mails[1].message["Subject"] == f"web01.example.com: {name} verify OK"
    assert post.mails[1].text.startswith("whole: 1 sets in 3 objects")
    found = measured(timer)
    assert found["exit_code", "backup"] == found["exit_code", "verify"] == 0
    assert found["volumes", "backup"] == 1
    assert found["read_bytes", "backup"] >= 300_000
    assert found["stored_bytes", "backup"] >= 300_000
    for figure in ("last_run", "last_success", "last_full"):
        assert time.time() - 300 < found[f"{figure}_timestamp_seconds", "backup"] <= time.time()
    assert leaks(timer, web, post, backup, check) == []


def test_a_backup_that_fails_is_reported(timer: Timer, web: PingReceiver, post: MailReceiver) -> None:
    assert timer.run("backup").code == 0
    before = measured(timer)
    web.requests.clear()
    wrong = {"mode": "symmetric", "passphrase": SECRETS["wrong"]}
    ran = timer.run("backup", encryption=wrong, reports={**timer.job["reports"], "report_success": False})
    assert ran.code == 1
    assert paths(web.requests) == ["/ping/*/start", "/ping/*/fail", "/push/*", "/*"]
    assert web.requests[2].query["status"] == "down"
    assert json.loads(web.requests[3].body)["type"] == "failure"
    mail = post.mails[1]
    assert mail.message["Subject"] == f"web01.example.com: {timer.job['name']} backup FAILED"
    what, meaning, following = mail.text.splitlines()[:3]
    assert what.startswith("gpg cannot open duplicity-full.")
    assert meaning == "The passphrase does not open what is in the bucket, so nothing was written."
    assert following.startswith("Next: Give the passphrase that the chain was made with.")
    assert web.requests[1].body.replace("\r", "") == mail.text.replace("\r", "")
    after = measured(timer)
    assert after["exit_code", "backup"] == 1
    for figure in ("last_success_timestamp_seconds", "last_full_timestamp_seconds", "stored_bytes"):
        assert after[figure, "backup"] == before[figure, "backup"]
    assert after["last_run_timestamp_seconds", "backup"] > before["last_run_timestamp_seconds", "backup"]
    assert leaks(timer, web, post, ran) == []


def test_a_backup_that_is_stopped_is_reported(timer: Timer, s3: S3Lab, web: PingReceiver, post: MailReceiver) -> None:
    s3.fault("PutObject")
    try:
        container = timer.start("backup")
        until(lambda: web.requests, "the ping of its start")
        container.kill("SIGTERM")
        ran = timer.ended(container)
    finally:
        s3.clear_faults()
    assert ran.code == 1, ran.shown
    assert paths(web.requests)[:2] == ["/ping/*/start", "/ping/*/fail"]
    assert post.mails[0].text.startswith("Ended by SIGTERM.")
    assert measured(timer)["exit_code", "backup"] == 143


def test_reports_that_cannot_be_sent_change_nothing(timer: Timer, web: PingReceiver, post: MailReceiver) -> None:
    mail = {**timer.job["reports"]["mail"], "password": SECRETS["wrong"]}
    nowhere = {"mail": mail, "healthchecks_url": "http://127.0.0.1:9/", "apprise_urls": ["json://127.0.0.1:9/"]}
    ran = timer.run("backup", reports={**timer.job["reports"], **nowhere})
    assert ran.code == 0, ran.shown
    assert ran.shown.count("warning: A report failed") == 4
    assert measured(timer)["exit_code", "backup"] == 0
    assert leaks(timer, web, post, ran) == []
    assert leaks(timer, web, post, Ran(0, SECRETS["mail"], SECRETS["ping"])) == ["mail", "ping"], "it can find some"
