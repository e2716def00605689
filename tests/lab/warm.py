"""ansible-playbook in a process that is forked where Ansible is imported already (`lab.warm_server`).

Half of a short playbook's time is the import of Ansible and the packing of modules, and the tests run hundreds. It is
the same program with the same command line. Who has to send it signals, look at its environment or give it a terminal
starts it as a command of its own (`lab.play.start`).
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from lab.places import LabError

_START_SECONDS, _RUN_SECONDS = 60, 600
_STARTING = threading.Lock()


def run(argv: list[str], environment: dict[str, str], log: Path) -> int:
    """Run ansible-playbook to its end; gives its exit code."""
    settings = tuple(sorted(item for item in environment.items() if item[0].startswith("ANSIBLE")))
    with _STARTING:
        address = _address(settings)
    request = {"argv": argv, "environment": environment, "log": str(log), "place": str(Path.cwd())}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_RUN_SECONDS)
        connection.connect(address)
        connection.sendall(f"{json.dumps(request)}\n".encode())
        try:
            answer = connection.makefile().read()
        except TimeoutError as error:
            raise LabError(f"ansible-playbook takes more than {_RUN_SECONDS} s; what it said is in {log}") from error
    if not answer:
        raise LabError(f"ansible-playbook was killed; what it said is in {log}")
    return int(answer)


@functools.cache
def _address(settings: tuple[tuple[str, str], ...]) -> str:
    """The socket of a server that was started with these settings, since Ansible reads them when it is imported."""
    place = tempfile.mkdtemp(prefix="warm-", dir="/tmp")  # an address must be short
    address = f"{place}/socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.warm_server", address],
        env={**os.environ, **dict(settings)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    atexit.register(shutil.rmtree, place)
    atexit.register(process.wait)
    atexit.register(process.terminate)
    until = time.monotonic() + _START_SECONDS
    while not Path(address).exists():
        if process.poll() is not None or time.monotonic() > until:
            raise LabError("no server for ansible-playbook: its own words stand above")
        time.sleep(0.02)
    return address
