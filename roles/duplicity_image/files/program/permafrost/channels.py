"""Where the reports of one run go: by the job's option ``reports``, or by the environment of the guide's container.

Pure. The names of the environment and what they mean are those of the guide's container; APPRISE_URLS and METRICS_DIR
are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.permafrost.backup.plugins.module_utils import reporting
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.reporting import Mail, Reports

_YES = ("1", "true")
_TLS = {"": reporting.IF_OFFERED, "0": reporting.IF_OFFERED, "false": reporting.IF_OFFERED,
        "1": reporting.IMPLICIT, "true": reporting.IMPLICIT,
        "none": reporting.NONE, "starttls": reporting.STARTTLS}  # fmt: skip
# Defaults of the guide's image.
_SMTP_HOST, _SMTP_PORT, _SMTP_REPORT_SUCCESS = "smtp", "25", "1"
# The guide's words for a result; a subject of one's own may be what a filter looks for.
_GUIDE_WORDS = ("OK", "ERROR")


@dataclass(frozen=True)
class Channels:
    """Where one run is reported. Mails and messages tell of runs that went well only with ``report_success``."""

    mail: Mail | None = None
    report_success: bool = False
    healthchecks_url: str | None = field(default=None, repr=False)
    uptime_kuma_url: str | None = field(default=None, repr=False)
    apprise_urls: tuple[str, ...] = field(default=(), repr=False)
    metrics_dir: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not stand in any report, nor in a warning about one."""
        password = self.mail.password if self.mail else None
        found = (password, self.healthchecks_url, self.uptime_kuma_url, *self.apprise_urls)
        return tuple(one for one in found if one)


def of_job(reports: Reports, verb: str) -> Channels:
    """Those of a job's backup, of its integrity check, or of its cleanup, which has no pings."""
    pings = {
        "backup": (reports.healthchecks_url, reports.uptime_kuma_url),
        "verify": (reports.integrity_healthchecks_url, reports.integrity_uptime_kuma_url),
    }
    healthchecks, uptime_kuma = pings.get(verb, (None, None))
    return Channels(
        mail=reports.mail,
        report_success=reports.report_success,
        healthchecks_url=healthchecks,
        uptime_kuma_url=uptime_kuma,
        apprise_urls=reports.apprise_urls,
        metrics_dir=reports.metrics_dir,
    )


def of_environment(environment: Mapping[str, str], number: int, periodicity: str = "") -> Channels:
    """Those of JOB_number, which may differ by the periodicity that it runs with now. Raises BadInput."""
    return Channels(
        mail=_mail(environment, periodicity),
        report_success=environment.get("SMTP_REPORT_SUCCESS", _SMTP_REPORT_SUCCESS).lower() in _YES,
        healthchecks_url=_ping(environment, number, periodicity, "HEALTHCHECKS_URL"),
        uptime_kuma_url=_ping(environment, number, periodicity, "UPTIME_KUMA_URL"),
        apprise_urls=reporting.message_urls(environment.get("APPRISE_URLS", "").split(), "APPRISE_URLS"),
        metrics_dir=_metrics_dir(environment),
    )


def _mail(environment: Mapping[str, str], periodicity: str) -> Mail | None:
    """As the guide's container: a mail needs a sender and somebody who gets it."""
    sender, to = environment.get("EMAIL_FROM", ""), environment.get("EMAIL_TO", "")
    if not sender and not to:
        return None
    if not sender or not to:
        given, lacks = ("EMAIL_FROM", "EMAIL_TO") if sender else ("EMAIL_TO", "EMAIL_FROM")
        raise BadInput(f"{given} is set and {lacks} is not: a mail needs both.")
    tls = environment.get("SMTP_TLS", "").lower()
    if tls not in _TLS:
        raise BadInput(f"SMTP_TLS is '{tls}': 1 for TLS from the start is wanted, starttls, none, or nothing.")
    template = environment.get("EMAIL_SUBJECT", "")
    return Mail(
        host=reporting.mail_host(environment.get("SMTP_HOST") or _SMTP_HOST, "SMTP_HOST"),
        port=_port(environment.get("SMTP_PORT") or _SMTP_PORT),
        tls=_TLS[tls],
        user=environment.get("SMTP_USER") or None,
        password=environment.get("SMTP_PASS", ""),
        sender=reporting.addresses([sender.strip()], "EMAIL_FROM")[0],
        to=reporting.addresses([one.strip() for one in to.split(",") if one.strip()], "EMAIL_TO"),
        subject=_subject(template, periodicity) if template else reporting.SUBJECT,
        words=_GUIDE_WORDS if template else ("OK", "FAILED"),
    )


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise BadInput(f"SMTP_PORT '{text}' is not a number.")
    return reporting.mail_port(int(text), "SMTP_PORT")


def _subject(template: str, periodicity: str) -> str:
    """The guide's template, of which the periodicity is known already."""
    if re.search(r"[\x00-\x1f\x7f]", template):
        raise BadInput("EMAIL_SUBJECT holds a line break or another control character.")
    return template.replace("{periodicity}", periodicity)


def _ping(environment: Mapping[str, str], number: int, periodicity: str, ending: str) -> str | None:
    """The address for this periodicity goes before the one for all."""
    names = [f"JOB_{number}_{periodicity.upper()}_{ending}"] if periodicity else []
    for name in (*names, f"JOB_{number}_{ending}"):
        if environment.get(name):
            return reporting.ping_url(environment[name], name)
    return None


def _metrics_dir(environment: Mapping[str, str]) -> str | None:
    place = environment.get("METRICS_DIR") or None
    if place and not place.startswith("/"):
        raise BadInput(f"METRICS_DIR '{place}' is not an absolute path.")
    return place
