"""channels.py: where a run is reported, by a job and by the environment of the guide's container."""

from __future__ import annotations

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.reporting import Reports
from permafrost import channels
from permafrost.channels import Channels

# The guide's compose file.
GUIDE = {"SMTP_HOST": "localhost", "EMAIL_FROM": "user@nobody.com", "EMAIL_TO": "user@nobody.com"}


def test_the_guides_environment() -> None:
    found = channels.of_environment(GUIDE, 200)
    mail = found.mail
    assert mail
    assert (mail.host, mail.port, mail.tls, mail.user) == ("localhost", 25, "if_offered", None)
    assert (mail.sender, mail.to) == ("user@nobody.com", ("user@nobody.com",))
    assert found.report_success, "SMTP_REPORT_SUCCESS is 1 by default"
    assert found == Channels(mail=mail, report_success=True)


def test_without_addresses_there_is_no_mail() -> None:
    assert channels.of_environment({"SMTP_HOST": "mail", "EMAIL_FROM": "", "EMAIL_TO": ""}, 1).mail is None
    mail = channels.of_environment({"EMAIL_FROM": "a@b", "EMAIL_TO": "c@d, e@f"}, 1).mail
    assert mail
    assert (mail.host, mail.to) == ("smtp", ("c@d", "e@f"))


@pytest.mark.parametrize(
    ("given", "tls"),
    [("", "if_offered"), ("0", "if_offered"), ("1", "implicit"), ("True", "implicit"), ("starttls", "starttls"),
     ("none", "none")],
)  # fmt: skip
def test_encryption(given: str, tls: str) -> None:
    mail = channels.of_environment({**GUIDE, "SMTP_TLS": given, "SMTP_PORT": "2525"}, 1).mail
    assert mail
    assert (mail.tls, mail.port) == (tls, 2525)


@pytest.mark.parametrize(("given", "wanted"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)])
def test_successes(given: str, wanted: bool) -> None:
    assert channels.of_environment({"SMTP_REPORT_SUCCESS": given}, 1).report_success is wanted


def test_pings_are_of_a_job_and_may_be_of_a_periodicity() -> None:
    environment = {
        "JOB_300_HEALTHCHECKS_URL": "https://hc.example/all",
        "JOB_300_WEEKLY_HEALTHCHECKS_URL": "https://hc.example/weekly",
        "JOB_300_UPTIME_KUMA_URL": "https://kuma.example/api/push/x?status=up",
        "JOB_30_HEALTHCHECKS_URL": "",
    }
    assert channels.of_environment(environment, 300, "daily").healthchecks_url == "https://hc.example/all"
    assert channels.of_environment(environment, 300, "weekly").healthchecks_url == "https://hc.example/weekly"
    assert channels.of_environment(environment, 300).uptime_kuma_url == "https://kuma.example/api/push/x?status=up"
    assert channels.of_environment(environment, 30, "daily") == Channels(report_success=True)


def test_a_subject_is_the_guides() -> None:
    subject = "Backup report: {hostname} - {periodicity} - {result}"
    mail = channels.of_environment({**GUIDE, "EMAIL_SUBJECT": subject}, 1, "daily").mail
    assert mail
    assert mail.subject == "Backup report: {hostname} - daily - {result}"
    assert mail.words == ("OK", "ERROR")


def test_ours() -> None:
    found = channels.of_environment({"APPRISE_URLS": " ntfy://a  slack://b/c ", "METRICS_DIR": "/metrics"}, 1)
    assert found.apprise_urls == ("ntfy://a", "slack://b/c")
    assert found.metrics_dir == "/metrics"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"EMAIL_TO": ""}, "EMAIL_FROM is set and EMAIL_TO is not"), ({"EMAIL_FROM": ""}, "EMAIL_TO is set and"),
        ({"EMAIL_TO": "a b"}, "EMAIL_TO 'a b' is not"), ({"SMTP_PORT": "smtp"}, "SMTP_PORT 'smtp' is not a number"),
        ({"SMTP_PORT": "0"}, "SMTP_PORT is 0"), ({"SMTP_TLS": "maybe"}, "SMTP_TLS is 'maybe'"),
        ({"SMTP_HOST": "a b"}, "SMTP_HOST"), ({"EMAIL_SUBJECT": "a\nBcc: x"}, "EMAIL_SUBJECT holds a line break"),
        ({"JOB_7_HEALTHCHECKS_URL": "canary"}, "JOB_7_HEALTHCHECKS_URL is not a URL"),
        ({"JOB_7_UPTIME_KUMA_URL": "canary"}, "JOB_7_UPTIME_KUMA_URL is not a URL"),
        ({"APPRISE_URLS": "canary"}, "Number 1 of APPRISE_URLS"), ({"METRICS_DIR": "x"}, "METRICS_DIR 'x'"),
    ],
)  # fmt: skip
def test_what_is_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        channels.of_environment({**GUIDE, **changes}, 7)
    assert "canary" not in refused.value.message


def test_a_job_pings_for_each_verb_another() -> None:
    reports = Reports(
        healthchecks_url="https://hc/backup", uptime_kuma_url="https://kuma/backup",
        integrity_healthchecks_url="https://hc/integrity", metrics_dir="/metrics",
    )  # fmt: skip
    backup, verify = channels.of_job(reports, "backup"), channels.of_job(reports, "verify")
    assert (backup.healthchecks_url, backup.uptime_kuma_url) == ("https://hc/backup", "https://kuma/backup")
    assert (verify.healthchecks_url, verify.uptime_kuma_url) == ("https://hc/integrity", None)
    assert backup.metrics_dir == verify.metrics_dir == "/metrics"


def test_secrets_are_known_and_not_shown() -> None:
    environment = {
        **GUIDE, "SMTP_USER": "u", "SMTP_PASS": "canary-1", "APPRISE_URLS": "ntfy://canary-2",
        "JOB_1_HEALTHCHECKS_URL": "https://hc/canary-3", "JOB_1_UPTIME_KUMA_URL": "https://kuma/canary-4",
    }  # fmt: skip
    found = channels.of_environment(environment, 1)
    assert set(found.secrets) == {"canary-1", "https://hc/canary-3", "https://kuma/canary-4", "ntfy://canary-2"}
    assert "canary" not in repr(found)
