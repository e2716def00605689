"""Sends a mail, with TLS and a login. I/O.

With Python's own library and not by Apprise, which knows no STARTTLS where it is offered, as the guide's contract wants
it, and keeps to itself why a server refused.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

from ansible_collections.permafrost.backup.plugins.module_utils.reporting import IF_OFFERED, IMPLICIT, STARTTLS, Mail
from permafrost import tls

TRIES = 3
_TIMEOUT = 20.0
_PAUSE_SECONDS = 2.0
# A reply that says no for good.
_PERMANENT = 500


def send(mail: Mail, subject: str, text: str, hostname: str, tries: int = TRIES) -> list[str]:
    """Send, and return warnings. Raises OSError, of which SMTPException is one."""
    written = _written(mail, subject, text)
    for left in reversed(range(tries)):
        try:
            with _connected(mail, hostname) as (smtp, warnings):
                refused = smtp.send_message(written)
            return [*warnings, *(f"The mail server refused {one}: {_reply(*refused[one])}." for one in refused)]
        except OSError as error:
            if not left or _is_final(error):
                raise
        time.sleep(_PAUSE_SECONDS * (tries - left))
    return []


def _written(mail: Mail, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.to)
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=parseaddr(mail.sender)[1].rpartition("@")[2] or "localhost")
    # No absence notes, please.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.encode("utf-8", "replace").decode())
    return message


@contextlib.contextmanager
def _connected(mail: Mail, hostname: str) -> Iterator[tuple[smtplib.SMTP, list[str]]]:
    """A connection that is encrypted and logged in as the mail asks, and warnings about it."""
    warnings = []
    with _opened(mail, hostname) as smtp:
        smtp.ehlo()
        offered = mail.tls == IF_OFFERED and smtp.has_extn("starttls")
        if mail.tls == STARTTLS or offered:
            # Who could strip the offer could as well show a certificate of his own: it counts once a password follows.
            smtp.starttls(context=tls.context(checked=mail.tls == STARTTLS or mail.user is not None))
        if mail.user:
            if mail.tls == IF_OFFERED and not offered:
                warnings.append("The mail server offers no TLS, so SMTP_PASS was sent to it as it is.")
            smtp.login(mail.user, mail.password or "")
        yield smtp, warnings


def _opened(mail: Mail, hostname: str) -> smtplib.SMTP:
    # With a name for its greeting the library need not ask DNS for one.
    if mail.tls == IMPLICIT:
        return smtplib.SMTP_SSL(mail.host, mail.port, local_hostname=hostname, timeout=_TIMEOUT, context=tls.context())
    return smtplib.SMTP(mail.host, mail.port, local_hostname=hostname, timeout=_TIMEOUT)


def _is_final(error: OSError) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _reply in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= _PERMANENT
    return isinstance(error, (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError))


def _reply(code: int, text: bytes) -> str:
    return f"{code} {text.decode('utf-8', 'replace')}"
