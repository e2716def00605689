"""Run one program as the container's main one would run: its exit code, its terminal, its signals. I/O."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

# As process 1 of a container duplicity would ignore SIGTERM; as its child it does not.
_HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_WAITED_FOR = (*_HANDED_ON, signal.SIGCHLD)
# A terminal's own signals (Ctrl-C) have reached the child already: si_code SI_KERNEL.
_BY_THE_KERNEL = 0x80
# What leads to this program's own code is not for others.
_OWN = ("PYTHONPATH", "PYTHONSAFEPATH")


def run(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run to the end and return the exit code; 128 and its number for a signal, as a shell tells it.

    For a program of one thread: another would take the signals.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    try:
        given = {name: value for name, value in environment.items() if name not in _OWN}
        child = os.posix_spawnp(argv[0], list(argv), given, setsigmask=before)
        while True:
            received = signal.sigwaitinfo(_WAITED_FOR)
            if received.si_signo != signal.SIGCHLD and received.si_code != _BY_THE_KERNEL:
                os.kill(child, received.si_signo)
            code = _ended(child)
            if code is not None:
                return code
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(child: int) -> int | None:
    """The child's exit code when it has ended. Process 1 also clears away what others left behind."""
    while True:
        try:
            process, status = os.waitpid(-1 if os.getpid() == 1 else child, os.WNOHANG)
        except ChildProcessError:
            return None
        if process == 0:
            return None
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
