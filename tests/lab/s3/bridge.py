"""Everything that is not the lab's own goes to moto: without Flask, and without copying the body."""

from __future__ import annotations

import io
from typing import Any

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.core.request import Request as MotoRequest
from moto.s3.responses import S3Response
from werkzeug.datastructures import ImmutableMultiDict

from lab.s3.message import Request, Response

ECHOED = {"x-amz-content-sha256", "x-amz-sdk-checksum-algorithm"}  # moto takes them for metadata and sends them back


class ServerRequest(MotoRequest):
    """moto's request, from a real server: moto then leaves the Date header alone."""

    from_wsgi_server = True


def call_moto(request: Request) -> Response:
    """Serve a request by moto's S3 class; Flask's routing and CORS would cost as much again."""
    moto_request = _moto_request(request)
    handler = S3Response()
    serve = handler.key_response if request.key else handler.bucket_response
    status, headers, body = serve(moto_request, moto_request.raw_url, dict(moto_request.headers))
    if isinstance(body, str):
        body = body.encode()
    return Response(status, {name: str(value) for name, value in headers.items() if name.lower() not in ECHOED}, body)


def _moto_request(request: Request) -> MotoRequest:
    environ: dict[str, Any] = {"REQUEST_METHOD": request.method, "RAW_URI": request.target}
    environ |= {"PATH_INFO": request.path, "QUERY_STRING": request.query, "SCRIPT_NAME": ""}
    environ |= {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    environ["wsgi.input"] = io.BytesIO()
    preserved = {}
    for name, value in request.headers.items():
        key = environ_key_for_header(name)
        if should_preserve_original_header_name(name):
            preserved[key] = name
        elif "_" in name:
            continue
        environ[key] = value
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved
    environ["HTTP_HOST"] = "127.0.0.1"  # path style, whatever name the client used
    moto_request = ServerRequest(environ)
    # werkzeug keeps these once computed; set beforehand, nothing reads, parses or copies the body again.
    nothing: ImmutableMultiDict[str, Any] = ImmutableMultiDict()
    moto_request.__dict__.update(data=request.body, form=nothing, files=nothing, stream=io.BytesIO())
    return moto_request
