"""reporting.py: the option reports of a job."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.reporting import NO_REPORTS, Mail, Reports
from unit.stage import job_params

MAIL: dict[str, Any] = {
    "host": "mail.example.com", "port": None, "tls": "starttls", "user": None, "password": None,
    "from": "backup@example.com", "to": ["ops@example.com"],
}  # fmt: skip


def reports(**options: Any) -> Reports:
    return Job.from_params(job_params(reports=options)).reports


def mail(**changes: Any) -> Mail:
    made = reports(mail={**MAIL, **changes}).mail
    assert made
    return made


def test_without_the_option_nobody_hears() -> None:
    assert Job.from_params(job_params()).reports == NO_REPORTS
    assert reports(report_success=False) == NO_REPORTS


@pytest.mark.parametrize(("tls", "port"), [("none", 25), ("starttls", 587), ("implicit", 465)])
def test_the_port_follows_the_encryption(tls: str, port: int) -> None:
    assert mail(tls=tls).port == port
    assert mail(tls=tls, port=2525).port == 2525


@pytest.mark.parametrize("address", ["a@example.com", "root", "Night Watch <a@example.com>", "<a@example.com>"])
def test_addresses(address: str) -> None:
    assert mail(to=[address]).to == (address,)


@pytest.mark.parametrize("host", ["mail", "mail.example.com", "192.0.2.1", "2001:db8::1", "a_b-c.example"])
def test_hosts(host: str) -> None:
    assert mail(host=host).host == host


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host": "mail example"}, "mail.host 'mail example' is not the name"), ({"host": ""}, "mail.host"),
        ({"host": "mail:25"}, "mail.host"),
        ({"port": 0}, "mail.port is 0"), ({"port": 65536}, "mail.port is 65536"), ({"user": ""}, "mail.user is empty"),
        ({"from": "a b@example.com"}, "mail.from"), ({"from": "a@b@c"}, "mail.from"),
        ({"from": "x\nBcc: y <a@example.com>"}, "mail.from"), ({"to": []}, "mail.to names nobody"),
        ({"to": ["a@example.com", "b,c@example.com"]}, "mail.to 'b,c@example.com' is not a mail address"),
    ],
)  # fmt: skip
def test_mails_that_cannot_be_sent(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=rf"job\.reports\.{says}"):
        mail(**changes)


@pytest.mark.parametrize(
    "url",
    ["hc-ping.com/canary", "ftp://hc/canary", "https://u:canary@hc/x", "https://hc/canary#x", "https://hc/c anary"],
)
@pytest.mark.parametrize("name", ["healthchecks_url", "uptime_kuma_url", "integrity_healthchecks_url"])
def test_pings_are_urls_and_never_told(name: str, url: str) -> None:
    with pytest.raises(BadInput, match=rf"job\.reports\.{name} is not a URL") as refused:
        reports(**{name: url})
    assert "canary" not in refused.value.message.replace("canary.com", "")
    assert "canary" not in repr(reports(**{name: "https://hc.example/canary"}))


def test_messages_are_urls_and_never_told() -> None:
    assert reports(apprise_urls=["ntfy://topic", "mailto://user:pass@example.com"]).apprise_urls[0] == "ntfy://topic"
    for url in ("canary", "slack://canary b", "://canary"):
        with pytest.raises(BadInput, match=r"Number 2 of job\.reports\.apprise_urls") as refused:
            reports(apprise_urls=["ntfy://topic", url])
        assert "canary" not in refused.value.message


@pytest.mark.parametrize("place", ["metrics", "/", "/srv/../etc"])
def test_metrics_have_a_directory(place: str) -> None:
    with pytest.raises(BadInput, match=r"job\.reports\.metrics_dir"):
        reports(metrics_dir=place)
    assert reports(metrics_dir="/var/lib/node_exporter/").metrics_dir == "/var/lib/node_exporter"
