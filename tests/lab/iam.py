"""An Identity and Access Management service for the lab: moto's."""

from __future__ import annotations

import threading
from types import TracebackType

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import make_server


class IamLab:
    """`with IamLab() as iam`: policies can be made at iam.endpoint_url."""

    def __init__(self) -> None:
        self._server = make_server("127.0.0.1", 0, create_backend_app("iam"), threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> IamLab:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
