"""reports.py and what it sends with, to real receivers on loopback."""

from __future__ import annotations

import json
import re
import smtplib
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import Interrupted
from ansible_collections.permafrost.backup.plugins.module_utils.reporting import Mail
from lab.receivers import MailReceiver, PingReceiver
from permafrost import apprising, channels, mailing, pings, wording
from permafrost.channels import Channels
from permafrost.masking import hide, mask
from permafrost.outcome import Outcome
from permafrost.reports import Reporter

BEGUN = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)
GOOD = Outcome("data", "backup", 0, BEGUN, BEGUN + timedelta(seconds=90), "line one\nkey canary-phrase here\n", None)
BAD = replace(GOOD, exit_code=31)
HEADLINE = "gpg cannot open it: canary-phrase.\nThe passphrase does not open what is in the bucket.\nNext: Give it."
LOGIN = ("watch", "canary-password")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pings, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(mailing, "_PAUSE_SECONDS", 0.01)


@pytest.fixture
def web() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


def reporter(**given: Any) -> Reporter:
    return Reporter(Channels(**given), "web01.example.com", lambda text: hide(text, ["canary-phrase"]))


def mail(server: MailReceiver, **changes: Any) -> Mail:
    given = {
        "host": "127.0.0.1",
        "port": server.port,
        "tls": "none",
        "sender": "backup@example.com",
        "to": ("ops@b.c",),
    }
    return Mail(**{**given, **changes})


def trust(monkeypatch: pytest.MonkeyPatch, server: MailReceiver) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))


# --- mail -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_mail_over_tls_with_a_login(tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    with MailReceiver(tmp_path, tls, LOGIN) as server:
        trust(monkeypatch, server)
        to = ("ops@b.c", "Night Watch <night@b.c>")
        reporter(mail=mail(server, tls=tls, user=LOGIN[0], password=LOGIN[1], to=to)).end(BAD, HEADLINE)
    (got,) = server.mails
    assert (got.encrypted, got.user) == (True, "watch")
    assert (got.sender, got.to) == ("backup@example.com", ["ops@b.c", "night@b.c"])
    assert got.message["Subject"] == "web01.example.com: data backup FAILED"
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert got.text.replace("\r", "") == (
        "gpg cannot open it: ********.\nThe passphrase does not open what is in the bucket.\nNext: Give it.\n\n"
        "job       data\nverb      backup\nhost      web01.example.com\nresult    FAILED, exit code 31\n"
        "started   2026-11-01T02:00:00Z\nfinished  2026-11-01T02:01:30Z\nelapsed   1 min 30 s\n\n"
        "The last lines of the output:\n\nline one\nkey ******** here\n"
    )
    assert capfd.readouterr() == ("", "")


def test_of_runs_that_went_well_only_who_wants_it_hears(tmp_path: Path) -> None:
    with MailReceiver(tmp_path) as server:
        reporter(mail=mail(server)).end(GOOD, "incremental: 1 new")
        assert server.mails == []
        reporter(mail=mail(server), report_success=True).end(GOOD, "incremental: 1 new, naïve")
    (got,) = server.mails
    assert got.message["Subject"] == "web01.example.com: data backup OK"
    assert got.text.startswith("incremental: 1 new, naïve")
    assert "result    OK" in got.text


def test_starttls_where_it_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """The guide's contract: the server decides. Its certificate counts once a password is sent."""
    with MailReceiver(tmp_path, "starttls") as server:
        reporter(mail=mail(server, tls="if_offered")).end(BAD)
        assert server.mails[0].encrypted
    with MailReceiver(tmp_path, "starttls", LOGIN) as server:
        with_login = reporter(mail=mail(server, tls="if_offered", user=LOGIN[0], password=LOGIN[1]))
        with_login.end(BAD)
        assert "certificate" in capfd.readouterr().err
        trust(monkeypatch, server)
        with_login.end(BAD)
        (got,) = server.mails
        assert (got.encrypted, got.user) == (True, "watch")
    with MailReceiver(tmp_path, "none", LOGIN) as server:
        reporter(mail=mail(server, tls="if_offered", user=LOGIN[0], password=LOGIN[1])).end(BAD)
        assert [(one.encrypted, one.user) for one in server.mails] == [(False, "watch")]
        assert "offers no TLS" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("server_tls", "changes", "says"),
    [
        ("none", {"tls": "starttls"}, "STARTTLS extension not supported"),
        ("starttls", {"tls": "starttls"}, "certificate verify failed"),
        ("implicit", {"tls": "implicit"}, "certificate verify failed"),
        ("none", {"user": "watch", "password": "canary-wrong"}, "535"),
        ("none", {"to": ("nobody@b.c",)}, "550"),
        ("none", {"port": 9}, "refused"),
    ],
)
def test_a_mail_that_cannot_be_sent_is_a_warning(
    server_tls: str, changes: dict[str, Any], says: str, tmp_path: Path, capfd: Any
) -> None:
    with MailReceiver(tmp_path, server_tls, LOGIN if "user" in changes else None) as server:
        reporter(mail=mail(server, **changes)).end(BAD, HEADLINE)
        assert server.mails == []
    told = capfd.readouterr()
    assert told.out == ""
    assert re.fullmatch(r"warning: A report failed, the mail: .*\n", told.err)
    assert says in told.err
    assert "canary" not in told.err


def test_one_who_is_refused_does_not_keep_the_others_from_it(tmp_path: Path, capfd: Any) -> None:
    with MailReceiver(tmp_path) as server:
        reporter(mail=mail(server, to=("ops@b.c", "nobody@b.c"))).end(BAD)
    assert server.mails[0].to == ["ops@b.c"]
    assert "warning: The mail server refused nobody@b.c: 550 5.1.1 There is nobody." in capfd.readouterr().err


def test_a_busy_mail_server_is_asked_again(tmp_path: Path, capfd: Any) -> None:
    with MailReceiver(tmp_path, busy=2) as server:
        reporter(mail=mail(server)).end(BAD)
        assert len(server.mails) == 1
        assert capfd.readouterr().err == ""
        server.busy = 1
        reporter(mail=mail(server)).end(BAD, hurry=True)
        assert len(server.mails) == 1
        assert "451" in capfd.readouterr().err


# --- pings ----------------------------------------------------------------------------------------------------------


def test_healthchecks_hears_of_start_and_end(web: PingReceiver) -> None:
    for outcome in (GOOD, BAD):
        told = reporter(healthchecks_url=f"{web.url}/ping/uuid/?create=1")
        told.begin()
        told.end(outcome, HEADLINE)
    assert [one.path for one in web.requests] == [
        "/ping/uuid/start",
        "/ping/uuid",
        "/ping/uuid/start",
        "/ping/uuid/fail",
    ]
    runs = [one.query["rid"] for one in web.requests]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert {one.query["create"] for one in web.requests} == {"1"}
    assert web.requests[0].body == ""
    assert web.requests[3].body.endswith("line one\nkey ******** here\n")


def test_uptime_kuma(web: PingReceiver) -> None:
    told = reporter(uptime_kuma_url=f"{web.url}/api/push/token?status=up&msg=OK&ping=")
    told.begin()
    told.end(GOOD)
    told.end(BAD, HEADLINE)
    good, bad = web.requests
    assert {one.path for one in web.requests} == {"/api/push/token"}
    assert good.query == {"status": "up", "msg": "backup of data ended well after 1 min 30 s", "ping": "90000"}
    assert bad.query["status"] == "down"
    assert bad.query["msg"].startswith("gpg cannot open it: ********. The passphrase")


def test_a_long_output_is_cut_at_its_beginning(web: PingReceiver) -> None:
    told = reporter(healthchecks_url=f"{web.url}/x")
    told.end(replace(BAD, output="".join(f"line {number} ä\n" for number in range(5000))))
    assert len(web.requests[0].body.encode()) <= 10_000
    assert web.requests[0].body.endswith("line 4999 ä\n")


@pytest.mark.parametrize(("answers", "asked"), [([503, 429], 3), ([503, 503, 503], 3), ([404], 1)])
def test_pings_are_repeated_where_that_may_help(answers: list[int], asked: int, web: PingReceiver, capfd: Any) -> None:
    web.answers += answers
    reporter(healthchecks_url=f"{web.url}/canary-token").end(GOOD)
    assert len(web.requests) == asked
    told = capfd.readouterr().err
    if len(answers) == asked:
        assert f"warning: A report failed, the ping of healthchecks: the server answered {answers[-1]}" in told
        assert "canary" not in told
    else:
        assert told == ""


def test_a_monitor_that_is_away_is_a_warning(capfd: Any) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/canary-token"
        told = reporter(healthchecks_url=url, uptime_kuma_url=url)
        told.begin()
        told.end(BAD)
    heard = capfd.readouterr().err
    assert heard.count("Connection refused") == 3
    assert "canary" not in heard


# --- messages -------------------------------------------------------------------------------------------------------


def test_messages_go_through_apprise(web: PingReceiver, capfd: Any) -> None:
    address = web.url.removeprefix("http://")
    long = replace(BAD, output="".join(f"line {number}\n" for number in range(100)))
    reporter(apprise_urls=(f"json://{address}/one", f"json://{address}/two")).end(long, HEADLINE)
    assert [one.path.strip("/") for one in web.requests] == ["one", "two"]
    sent = json.loads(web.requests[0].body)
    assert (sent["title"], sent["type"]) == ("web01.example.com: data backup FAILED", "failure")
    assert sent["message"].startswith("gpg cannot open it: ********.")
    assert "line 99" in sent["message"]
    assert "line 50" not in sent["message"]
    assert capfd.readouterr().err == ""


def test_a_message_that_is_not_sent_is_a_warning_without_its_keys(web: PingReceiver, capfd: Any) -> None:
    web.answers.append(403)
    address = web.url.removeprefix("http://")
    reporter(apprise_urls=(f"json://user:canary-key@{address}/canary-path", "canaryservice://canary-token")).end(BAD)
    told = capfd.readouterr().err.splitlines()
    assert [re.sub(r":.*", "", one.removeprefix("warning: ")) for one in told] == [
        "A report failed, message number 1 (json)",
        "A report failed, message number 2 (canaryservice)",
    ]
    assert "403" in told[0]
    assert not [one for one in told if "canary-" in one]


def test_parts_of_an_address_are_taken_out() -> None:
    assert apprising._without("slack://bot@tok%41en/x", "no tokAen, no tok%41en") == "no ********, no ********"


# --- all of them ----------------------------------------------------------------------------------------------------


def test_a_job_of_the_guides_environment(tmp_path: Path, web: PingReceiver, capfd: Any) -> None:
    with MailReceiver(tmp_path) as server:
        environment = {
            "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "EMAIL_FROM": "a@b.c", "EMAIL_TO": "d@e.f,g@h.i",
            "EMAIL_SUBJECT": "Backup report: {hostname} - {periodicity} - {result}", "PASSPHRASE": "canary-phrase",
            "JOB_200_HEALTHCHECKS_URL": f"{web.url}/200", "JOB_300_HEALTHCHECKS_URL": f"{web.url}/300",
            "METRICS_DIR": str(tmp_path),
        }  # fmt: skip
        for number, outcome in ((200, BAD), (300, GOOD)):
            found = channels.of_environment(environment, number, "daily")
            told = Reporter(found, "srcname.backup", lambda text: mask(text, environment))
            told.begin()
            output = f"{outcome.output}[ Backup Statistics ]\nSourceFileSize 4096 (4 KB)\n"
            run = replace(outcome, job=f"JOB_{number}", number=number, output=output)
            told.end(run, next_run=BEGUN + timedelta(days=1))
    assert [one.path for one in web.requests] == ["/200/start", "/200/fail", "/300/start", "/300"]
    assert [one.message["Subject"] for one in server.mails] == [
        "Backup report: srcname.backup - daily - ERROR",
        "Backup report: srcname.backup - daily - OK",
    ]
    assert server.mails[0].to == ["d@e.f", "g@h.i"]
    figures = (tmp_path / "permafrost-JOB_300.prom").read_text()
    assert 'permafrost_read_bytes{job="JOB_300",verb="backup"} 4096\n' in figures
    assert 'permafrost_next_run_timestamp_seconds{job="JOB_300",verb="backup"} 1793584800\n' in figures
    assert "canary" not in str([*web.requests, *(one.text for one in server.mails), *capfd.readouterr()])


def test_a_signal_while_it_reports_goes_on(monkeypatch: pytest.MonkeyPatch, web: PingReceiver, capfd: Any) -> None:
    def interrupted(*_given: object) -> None:
        raise Interrupted("SIGTERM")

    told = reporter(healthchecks_url=f"{web.url}/x")
    monkeypatch.setattr(pings, "healthchecks", interrupted)
    with pytest.raises(Interrupted):
        told.end(GOOD)
    assert "Not all was reported, since SIGTERM came meanwhile." in capfd.readouterr().err
    with pytest.raises(Interrupted):
        told.begin()


def test_metrics_that_cannot_be_written_are_a_warning(tmp_path: Path, web: PingReceiver, capfd: Any) -> None:
    reporter(metrics_dir=str(tmp_path / "none"), healthchecks_url=f"{web.url}/x").end(GOOD)
    assert "warning: A report failed, the file of metrics: " in capfd.readouterr().err
    assert len(web.requests) == 1


def test_the_guides_subject() -> None:
    template = "Backup report: {hostname} - daily - {result} {job.__class__} {other}"
    shown = wording.subject(BAD, "web01", template, ("OK", "ERROR"))
    assert shown == "Backup report: web01 - daily - ERROR {job.__class__} {other}"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (3600, "1 h 00 min 00 s"), (90061, "25 h 01 min 01 s")]
)
def test_elapsed(seconds: float, shown: str) -> None:
    assert wording.elapsed(replace(GOOD, finished=BEGUN + timedelta(seconds=seconds))) == shown


def test_a_line_is_short() -> None:
    assert len(wording.line(BAD, "x" * 1000)) == 200
    assert wording.line(BAD) == "backup of data failed with exit code 31 after 1 min 30 s"


def test_smtp_errors_are_os_errors() -> None:
    """What mailing.send says that it raises."""
    assert issubclass(smtplib.SMTPException, OSError)
