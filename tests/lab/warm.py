"""Python programs in processes that are forked where much is imported already (`lab.warm_server`).

Half of a short playbook's time is the import of Ansible and the packing of modules, and two thirds of a module's are
what it imports; the tests run hundreds of the one and thousands of the other. They are the same programs with the same
arguments, but the table of processes shows their server's. Who has to send them signals, look at their arguments or
environment, or give them a terminal starts them as commands of their own (`lab.play.start`, `lab.kills.ModuleProcess`).

`python -m lab.warm ARGUMENT…` is ansible-playbook for those who look for a command.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import marshal
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from lab.places import LabError, lock

_START_SECONDS, _RUN_SECONDS = 180, 1800
# A process and a directory: the servers end with the one, and their sockets are in the other, so that all that the
# process starts can share them.
_HOME = "LAB_WARM"
# What each kind of program imports at its start, whatever it does then; never what is run as the program itself.
_OF_PLAYBOOKS = ("ansible.cli", "lab.warm_ansible")
_OF_MODULES = ("ansible.module_utils.basic", "boto3", "docker")
_INTERPRETER = Path(__file__).with_name("warm_python.py")

Streams = tuple[IO[bytes], IO[bytes], IO[bytes]]  # standard input, output and error
Settings = tuple[tuple[str, str], ...]


def home() -> tuple[int, Path]:
    """The process and the directory of the servers: this process and a new one, unless there is a home already."""
    if _HOME not in os.environ:
        place = f"/tmp/warm-{secrets.token_hex(4)}"  # addresses must be short
        os.environ[_HOME] = f"{os.getpid()} {place}"
        atexit.register(shutil.rmtree, place, ignore_errors=True)
    owner, place = os.environ[_HOME].split()
    return int(owner), Path(place)


def interpreter() -> str:
    """What Ansible may be told to be Python on this machine: `warm_python`, beside a running server."""
    return f"{_server(_OF_MODULES)}.python"


def playbook(arguments: list[str], environment: dict[str, str], log: Path) -> int:
    """Run ansible-playbook to its end; gives its exit code."""
    with log.open("wb") as output, Path(os.devnull).open("rb") as nothing:
        started = _playbook(arguments, (nothing, output, output), environment)
    try:
        return ended(started, _RUN_SECONDS)
    except TimeoutError as error:
        raise LabError(f"ansible-playbook takes more than {_RUN_SECONDS} s; what it said is in {log}") from error


def module(name: str, options: dict[str, Any]) -> str:
    """Run a module of a collection, by its name in Python, to its end; gives what it said."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        given.seek(0)
        ended(start(_OF_MODULES, ["-m", name], (given, output, output), dict(os.environ)), _RUN_SECONDS)
        output.seek(0)
        return output.read().decode()


def main(arguments: list[str]) -> int:
    """Be ansible-playbook, without a limit."""
    streams = (sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer)
    code = ended(_playbook(arguments, streams, dict(os.environ)), None)
    return code if code >= 0 else 128 - code


def _playbook(arguments: list[str], streams: Streams, environment: dict[str, str]) -> socket.socket:
    # What Ansible reads when it is imported.
    settings = sorted(item for item in environment.items() if item[0].startswith("ANSIBLE") or item[0] == "HOME")
    return start(_OF_PLAYBOOKS, ["-m", "ansible.cli.playbook", *arguments], streams, environment, tuple(settings))


def start(
    modules: tuple[str, ...],
    arguments: list[str],
    streams: Streams,
    environment: dict[str, str],
    settings: Settings = (),
) -> socket.socket:
    """Start a program; its exit code comes by this connection (`ended`), and ending the connection ends the program."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(_server(modules, settings))
    socket.send_fds(connection, [b"-"], [stream.fileno() for stream in streams])
    connection.sendall(marshal.dumps((arguments, environment, str(Path.cwd()))))
    return connection


def ended(connection: socket.socket, seconds: float | None) -> int:
    """The exit code of a program, once it has ended. Raises TimeoutError."""
    with connection:
        connection.settimeout(seconds)
        answer = connection.recv(16)
    if not answer:
        raise LabError("whoever waited for the end of a program was killed")
    return int(marshal.loads(answer))


@functools.cache
def _server(modules: tuple[str, ...], settings: Settings = ()) -> str:
    """The socket of a server with these modules, and settings that they read when they are imported."""
    owner, place = home()
    place.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(json.dumps([modules, settings]).encode()).hexdigest()[:8]
    address = place / name
    with lock(place / f"{name}.lock"):
        if not address.exists():
            _make(owner, address, modules, settings)
    return str(address)


def _make(owner: int, address: Path, modules: tuple[str, ...], settings: Settings) -> None:
    python = Path(f"{address}.python")
    python.write_text(f"#!{sys.executable} -IS\n{_INTERPRETER.read_text(encoding='utf-8')}", encoding="utf-8")
    python.chmod(0o755)
    log = Path(f"{address}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.warm_server", str(owner), str(address), *modules],
            env={**os.environ, **dict(settings)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for its owner
        )
    until = time.monotonic() + _START_SECONDS
    while not address.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise LabError(f"no server for Python programs: {log.read_text(encoding='utf-8', errors='replace')}")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
