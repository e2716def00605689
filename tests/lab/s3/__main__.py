"""python -m lab.s3: the server in the foreground."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from lab.s3.app import App
from lab.s3.wire import Server

ACCESS_KEY, SECRET = "LABACCESSKEY00000001", "lab-secret-of-the-default-pair"
SECRET_VARIABLE = "LAB_S3_SECRET"  # never in argv: tests look for secrets in the process list


def main() -> None:
    """Parse, serve, clean up."""
    parser = argparse.ArgumentParser(prog="python -m lab.s3", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--data-dir", type=Path, help="where large bodies are kept while the server runs")
    parser.add_argument("--access-key", default=ACCESS_KEY)
    options = parser.parse_args()
    os.environ["MOTO_ACCOUNT_ID"] = "123456789012"  # spares moto a search through IAM for each request
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="lab-s3-", dir=options.data_dir) as data_dir:
        serve(options, Path(data_dir))


def serve(options: argparse.Namespace, data_dir: Path) -> None:
    """Answer until a signal."""
    with Server(
        (options.host, options.port), App(options.access_key, os.environ.get(SECRET_VARIABLE, SECRET)), data_dir
    ) as server:
        if options.ready_file:
            _announce(options.ready_file, options.host, server.server_address[1])
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


def _announce(path: Path, host: str, port: int) -> None:
    """Written whole or not at all: the socket already listens."""
    shown = "127.0.0.1" if host in ("", "0.0.0.0") else host
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"endpoint_url": f"http://{shown}:{port}", "pid": os.getpid()}))
    draft.replace(path)


if __name__ == "__main__":
    main()
