"""python -m lab.warm_server SOCKET: run ansible-playbook for `lab.warm`, in forks of a process that has it imported."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
from pathlib import Path

from ansible.cli import playbook


class _Playbook(socketserver.StreamRequestHandler):
    """One run, in a process of its own: asked with command line, environment and log, it answers with the exit code."""

    def handle(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        request = json.loads(self.rfile.readline())
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["place"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code: object = 0
        try:
            playbook.main(request["argv"])
        except SystemExit as done:
            code = done.code
        sys.stdout.flush()
        sys.stderr.flush()
        self.wfile.write(json.dumps(code).encode())


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks a process for each request, and ends with the process that started it."""

    parent = os.getppid()
    max_children = 100

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.parent:
            sys.exit()


def main(address: str) -> None:
    """Serve until the process that started it ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that Ansible's temporary files go
    # Under another name first: who sees the socket may connect.
    with _Server(f"{address}.new", _Playbook) as server:
        Path(f"{address}.new").rename(address)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
