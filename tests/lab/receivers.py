"""Receivers of reports on loopback: a mail server with TLS and a login, and a web server. Both keep what they get."""

from __future__ import annotations

import email
import email.message
import email.policy
import http.server
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from lab.authority import Authority

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Mail:
    """A mail, how its connection was, and who had logged in."""

    sender: str
    to: list[str]
    message: email.message.EmailMessage
    encrypted: bool
    user: str | None

    @property
    def text(self) -> str:
        """The body."""
        return str(self.message.get_content())


class _Listening(Controller):
    """On a socket that has its port already: one that is looked for first may be somebody else's by then."""

    def __init__(self, listener: socket.socket, handler: object, **settings: Any) -> None:
        self._listener = listener
        super().__init__(handler, **settings)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener, ssl=self.ssl_context)


class MailReceiver:
    """``tls`` is none, starttls (which it offers and does not insist on) or implicit; ``login`` a name and a password.

    It refuses whoever is called nobody, and answers "later" to as many mails as ``busy`` says.
    """

    def __init__(self, place: Path, tls: str = "none", login: tuple[str, str] | None = None, busy: int = 0) -> None:
        self.mails: list[Mail] = []
        listener = socket.create_server((HOST, 0))
        self.port: int = listener.getsockname()[1]
        self.busy = busy
        self._login = login
        authority = Authority()
        pair = authority.server(HOST)
        self.authority = place / "mail-authority.pem"
        self.authority.write_bytes(authority.certificate)
        chain = place / "mail-server.pem"
        chain.write_bytes(pair.certificate + pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        settings: dict[str, Any] = {"tls_context": context} if tls == "starttls" else {}
        settings.update({"ssl_context": context} if tls == "implicit" else {})
        if login:
            settings.update(authenticator=self._authenticate, auth_required=True, auth_require_tls=tls == "starttls")
        self._controller = _Listening(listener, self, hostname=HOST, port=self.port, ready_timeout=60, **settings)
        self._implicit = tls == "implicit"

    def __enter__(self) -> MailReceiver:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._controller.stop()

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, how: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        user, password = given.login.decode(), given.password.decode()
        return AuthResult(success=(user, password) == self._login, handled=False, auth_data=user)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 There is nobody"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.busy:
            self.busy -= 1
            return "451 4.3.2 Later"
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        encrypted = session.ssl is not None or self._implicit
        user = session.auth_data if session.authenticated else None
        self.mails.append(Mail(str(envelope.mail_from), list(envelope.rcpt_tos), parsed, encrypted, user))
        return "250 OK"


@dataclass(frozen=True)
class Request:
    """What was asked of the web server. ``query`` has one value a name."""

    path: str
    query: dict[str, str]
    body: str


@dataclass
class PingReceiver:
    """Answers 200, or first what ``answers`` holds."""

    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def __enter__(self) -> PingReceiver:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                place = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(place.query).items()}
                receiver.requests.append(Request(place.path, query, self.rfile.read(length).decode()))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()
                self.wfile.write(b"OK")

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._server.server_address[1]}"
