"""A Security Token Service for the lab: moto's AssumeRole, whose keys the S3 server then knows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import make_server

from lab.s3.client_api import S3Lab


class StsLab:
    """`with StsLab(s3) as sts`: roles can be assumed at sts.endpoint_url by whoever has any key pair."""

    def __init__(self, s3: S3Lab) -> None:
        self._s3 = s3
        self._moto = create_backend_app("sts")
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"
        self.assumed: list[str] = []

    def __enter__(self) -> StsLab:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()

    def _app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = b"".join(self._moto(environ, start_response))
        found = {
            name: re.search(rb"<%b>([^<]+)<" % name, body) for name in (b"AccessKeyId", b"SecretAccessKey", b"Arn")
        }
        key, secret, arn = (match[1].decode() if match else "" for match in found.values())
        if key and secret:
            self._s3.add_key(key, secret)
            self.assumed.append(arn)
        return [body]
