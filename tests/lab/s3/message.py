"""What passes between the wire and the operations: a request, a response, an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from lab.s3.bodies import Body

XML = {"Content-Type": "application/xml"}


@dataclass(slots=True)
class Request:
    """One S3 request, path style; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    bucket: str = ""
    key: str = ""
    params: dict[str, str] = field(default_factory=dict)
    operation: str = ""
    access_key: str = ""
    body: bytes | Body = b""

    @classmethod
    def parse(cls, method: str, target: str, headers: dict[str, str]) -> Request:
        """Split the target of the request line; a proxy's absolute form counts too."""
        if "://" in target.split("?", 1)[0]:
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        path, _, query = target.partition("?")
        bucket, _, key = path[1:].partition("/")
        params = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        return cls(method, target, headers, unquote(bucket), unquote(key), params)

    @property
    def path(self) -> str:
        """The path as it arrived, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query string as it arrived."""
        return self.target.partition("?")[2]


@dataclass(slots=True)
class Response:
    """One answer; a body object is sent without being loaded."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Body = b""


class S3Error(Exception):
    """An error in S3's own form: a code, a status and further elements."""

    def __init__(self, status: int, code: str, message: str, **elements: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status, self.code, self.message, self.elements = status, code, message, elements

    def response(self, request: Request) -> Response:
        """The XML that SDKs parse; a HEAD has no body, so there the status alone must do."""
        if request.method == "HEAD":
            return Response(self.status, dict(XML))
        fields = {"Code": self.code, "Message": self.message, **self.elements, "Resource": request.path}
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}<RequestId>LAB</RequestId></Error>'
        return Response(self.status, dict(XML), xml.encode())


class ResetError(Exception):
    """An injected fault: drop the connection without an answer."""


def slow_down() -> S3Error:
    """The answer of a busy S3."""
    return S3Error(503, "SlowDown", "Please reduce your request rate.")
