# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the reports of a job's runs go: mail, pings, messages, metrics.

Pure. The values are made of the option ``reports`` of a job; the image's program makes the same of the environment that
the guide's container knows. Addresses of pings and messages are secrets, so no error repeats one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import checks
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

NONE, STARTTLS, IMPLICIT = "none", "starttls", "implicit"
# Of the guide's container alone: STARTTLS where the server offers it.
IF_OFFERED = "if_offered"
PORTS = {NONE: 25, STARTTLS: 587, IMPLICIT: 465}
SUBJECT = "{hostname}: {job} {verb} {result}"

PINGS = ("healthchecks_url", "uptime_kuma_url", "integrity_healthchecks_url", "integrity_uptime_kuma_url")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")
_ADDRESS = re.compile(r"[^\s<>,;:\"@]+(@[^\s<>,;:\"@]+)?")
_NAMED_ADDRESS = re.compile(r"[^<>\x00-\x1f\x7f]*<([^<>]*)>")
_PING = re.compile(r"https?://[^/\s@?#]+(/[^\s#]*)?")
_MESSAGE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Mail:
    """A server, and who writes to whom. ``words`` are what the subject calls success and failure."""

    host: str
    port: int
    tls: str
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    subject: str = SUBJECT
    words: tuple[str, str] = ("OK", "FAILED")


@dataclass(frozen=True)
class Reports:
    """Where reports go. Mails and messages are for people: of runs that went well only with ``report_success``.

    A ping is for one verb alone: an integrity check that went well must not hide a backup that failed.
    """

    mail: Mail | None = None
    report_success: bool = False
    healthchecks_url: str | None = field(default=None, repr=False)
    uptime_kuma_url: str | None = field(default=None, repr=False)
    integrity_healthchecks_url: str | None = field(default=None, repr=False)
    integrity_uptime_kuma_url: str | None = field(default=None, repr=False)
    apprise_urls: tuple[str, ...] = field(default=(), repr=False)
    metrics_dir: str | None = None


NO_REPORTS = Reports()


def checked_reports(options: Mapping[str, Any] | None) -> Reports:
    """The reports option. Raises BadInput."""
    if not options:
        return NO_REPORTS
    given = {name: value for name, value in options.items() if value is not None}
    return Reports(
        mail=_mail(given["mail"]) if given.get("mail") else None,
        report_success=given.get("report_success", False),
        apprise_urls=message_urls(given.get("apprise_urls", ()), "job.reports.apprise_urls"),
        metrics_dir=_metrics_dir(given) if given.get("metrics_dir") else None,
        **{name: ping_url(given.get(name), f"job.reports.{name}") for name in PINGS},
    )


def _mail(options: Mapping[str, Any]) -> Mail:
    tls = options["tls"] or STARTTLS
    group = "job.reports.mail"
    if options["user"] is not None and not options["user"]:
        raise BadInput(f"{group}.user is empty.")
    return Mail(
        host=mail_host(options["host"], f"{group}.host"),
        port=mail_port(PORTS[tls] if options["port"] is None else options["port"], f"{group}.port"),
        tls=tls,
        user=options["user"],
        password=options["password"],
        sender=addresses([options["from"]], f"{group}.from")[0],
        to=addresses(options["to"], f"{group}.to"),
    )


def _metrics_dir(options: Mapping[str, Any]) -> str:
    place = checks.absolute(options, "metrics_dir", "job.reports")
    if place == "/":
        raise BadInput("job.reports.metrics_dir is '/': name the directory that node_exporter reads.")
    return place


# --- parts that the environment of the guide's container has too ----------------------------------------------------


def mail_host(text: str, option: str) -> str:
    """The name or address of a mail server."""
    if not _HOST.fullmatch(text):
        raise BadInput(f"{option} '{text}' is not the name or the address of a mail server.")
    return text


def mail_port(number: int, option: str) -> int:
    """A TCP port."""
    if not 1 <= number <= 65535:
        raise BadInput(f"{option} is {number}: 1 to 65535 is wanted.")
    return number


def addresses(texts: Sequence[str], option: str) -> tuple[str, ...]:
    """Mail addresses, each with or without a name: ``a@example.com``, ``Backup <a@example.com>``, ``root``."""
    if not texts:
        raise BadInput(f"{option} names nobody.")
    for text in texts:
        named = _NAMED_ADDRESS.fullmatch(text)
        if not _ADDRESS.fullmatch(named[1] if named else text):
            raise BadInput(f"{option} '{text}' is not a mail address.")
    return tuple(texts)


def ping_url(url: str | None, option: str) -> str | None:
    """The address of a ping."""
    if url is None or _PING.fullmatch(url):
        return url
    raise BadInput(f"{option} is not a URL such as https://hc-ping.com/UUID, without a user and a fragment.")


def message_urls(urls: Sequence[str], option: str) -> tuple[str, ...]:
    """Addresses of messages in the form that Apprise takes."""
    for number, url in enumerate(urls, 1):
        if not _MESSAGE.fullmatch(url):
            raise BadInput(f"Number {number} of {option} is not a URL of Apprise such as ntfy://TOPIC, without blanks.")
    return tuple(urls)
