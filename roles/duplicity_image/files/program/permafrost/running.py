"""One run of the image's own program as a child of the scheduler: shown as it goes, its last lines kept. I/O."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

# As many lines as the engine's log is asked for.
_OUTPUT_LINES = 200
# So often the scheduler gives a sign of life, also during a run that takes days.
TICK_SECONDS = 5.0
# Once duplicity gets SIGTERM it ends at once; the rest is for a slow disk.
_STOP_SECONDS = 30
_PROGRAM = (sys.executable, "-m", "permafrost")


def run(given: Sequence[str], show: Callable[[str], str], tick: Callable[[], None]) -> tuple[int, str]:
    """Run ``permafrost WORDS`` to the end: exit code and last lines, as ``show`` gave them back.

    Whatever ends this program ends the child first. A duplicity that is ended leaves volumes behind, which go with the
    run's own temporary directory.
    """
    with tempfile.TemporaryDirectory(prefix="permafrost-", ignore_cleanup_errors=True) as place:
        process = subprocess.Popen(
            [*_PROGRAM, *given],
            env={**os.environ, "TMPDIR": place},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        kept: deque[str] = deque(maxlen=_OUTPUT_LINES)
        try:
            for line in _lines(process, tick):
                kept.append(show(line))
            code = _wait(process, tick)
        except BaseException:
            _end(process)
            raise
    return code if code >= 0 else 128 - code, "".join(kept)


def clear_away() -> None:
    """As process 1 of a container: take note of processes that lost their parent and ended. With no child running."""
    if os.getpid() != 1:
        return
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _lines(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> Iterator[str]:
    """What the child prints, until it ends: what it leaves behind may hold its output open for ever."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            tick()
            if selector.select(TICK_SECONDS):
                piece = os.read(process.stdout.fileno(), 65536)
                *lines, rest = (rest + piece).split(b"\n")
                yield from (f"{line.decode(errors='replace')}\n" for line in lines)
                if not piece:
                    break
            elif process.poll() is not None and not selector.select(0):  # which it may have filled before it ended
                break
    if rest:
        yield f"{rest.decode(errors='replace')}\n"


def _wait(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> int:
    while True:
        tick()
        with suppress(subprocess.TimeoutExpired):
            return process.wait(TICK_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):  # what is left of its session
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
