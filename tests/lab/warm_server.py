"""python -m lab.warm_server OWNER SOCKET MODULE…: run programs for `lab.warm`, forked where MODULEs are imported.

Who connects sends standard input, output and error as descriptors, and what Python would be started with: arguments
(`-m MODULE ARGUMENT…`, or none for a program on standard input), environment and directory. The answer is the exit
code. A program whose caller goes away is ended; the server ends with the process OWNER. All else that a process
inherits, such as its umask, is the server's.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import types
from pathlib import Path

_PATIENCE_SECONDS = 60  # longer than a module takes to stop its container


def main(owner: int, address: Path, modules: list[str]) -> None:
    """Serve; in forks, be the program that was asked for."""
    alive = _watched(owner, address)
    for name in modules:
        importlib.import_module(name)
    gc.freeze()  # else the first collection in each fork copies all of it
    connection = _asked(alive, address)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        arguments, environment, place = marshal.load(stream)
    program = os.fork()
    if program:
        _answer(connection, program)
    connection.close()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None  # what the server found by its own environment
    os.chdir(place)
    _be(arguments)


def _watched(owner: int, address: Path) -> int:
    """A descriptor that tells the end of the owner; who comes too late goes at once."""
    try:
        return os.pidfd_open(owner)
    except ProcessLookupError:
        shutil.rmtree(address.parent, ignore_errors=True)
        sys.exit()


def _asked(alive: int, address: Path) -> socket.socket:
    """A connection, in a process of its own; the server itself never returns."""
    draft = Path(f"{address}.new")  # who sees the socket may connect
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(draft))
        listener.listen(100)
        draft.rename(address)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while alive not in select.select([alive, listener.fileno()], [], [])[0]:
            connection, _ = listener.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                # Temporary files are the server's own. What else would be done at the end has not begun in it.
                vars(atexit)["_clear"]()
                return connection
            connection.close()
    shutil.rmtree(address.parent, ignore_errors=True)
    sys.exit()


def _answer(connection: socket.socket, program: int) -> None:
    """Wait for the program's end, or the caller's."""
    ended = os.pidfd_open(program)
    if ended not in select.select([ended, connection.fileno()], [], [])[0]:
        os.kill(program, signal.SIGTERM)
        if not select.select([ended], [], [], _PATIENCE_SECONDS)[0]:
            os.kill(program, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    try:
        connection.sendall(marshal.dumps(code))
    finally:
        os._exit(0)


def _be(arguments: list[str]) -> None:
    """What Python does with its arguments."""
    if arguments:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = [""]
    program = types.ModuleType("__main__")
    sys.modules["__main__"] = program
    exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec"), vars(program))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
