# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Count in a source tree what duplicity does not keep (docs/not-preserved.md).

I/O, read only, in constant memory. It is done in a process of its own: a thread would share Python's lock with the
preflight, and delay the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import stat
from typing import NoReturn

KINDS = ("hard_links", "subsecond_mtimes", "symlink_mtimes", "sparse_files", "sockets", "acls", "xattrs")
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_BLOCK = 512  # st_blocks counts these, whatever the file system's own block size
_PR_SET_PDEATHSIG = 1  # prctl(2)
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NICE = 19  # the backup comes first, and is rarely done before the count


class Survey:
    """Counts from its creation on. ``result()`` waits for the walk; ``close()`` must be called in any case."""

    def __init__(self, source: str) -> None:
        self._source = os.fsencode(source)
        task, (told, tell) = os.getpid(), os.pipe()
        self._child = _forked()
        if not self._child:
            _tell(self._source, tell, task)
        os.close(tell)
        self._told = os.fdopen(told, "rb")

    def result(self) -> dict[str, int]:
        told = self._told.read()
        # A machine without memory may have ended the process before it told anything.
        counts: dict[str, int] = json.loads(told) if told else count(self._source)
        return counts

    def close(self) -> None:
        """End a walk that nobody waits for any more."""
        os.kill(self._child, signal.SIGKILL)  # one that has ended is there until it is waited for
        os.waitpid(self._child, 0)
        self._told.close()


def _forked() -> int:
    """As os.fork. A signal meanwhile comes after it: Python drops what its handler raises amid a fork."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        return os.fork()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(source: bytes, tell: int, task: int) -> NoReturn:
    """The life of the process: it ends here in any case, and before that with the task that it counts for."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.nice(_NICE)
        if os.getppid() == task:  # else it was killed before the kernel knew
            os.write(tell, json.dumps(count(source)).encode())
    finally:
        os._exit(0)


def count(top: bytes) -> dict[str, int]:
    """The number of each kind below ``top``, itself included."""
    counts = dict.fromkeys(KINDS, 0)
    with contextlib.suppress(OSError):
        _count(counts, top, os.lstat(top))
    pending = [top]
    while pending:
        # What cannot be read or has vanished is duplicity's to report.
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    _count(counts, entry.path, entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
    return counts


def _count(counts: dict[str, int], path: bytes, found: os.stat_result) -> None:
    if stat.S_ISSOCK(found.st_mode):
        counts["sockets"] += 1
        return
    if stat.S_ISLNK(found.st_mode):
        counts["symlink_mtimes"] += 1
    else:
        counts["subsecond_mtimes"] += found.st_mtime_ns % 1_000_000_000 != 0
    if stat.S_ISREG(found.st_mode):
        counts["hard_links"] += found.st_nlink > 1
        counts["sparse_files"] += found.st_blocks * _BLOCK < found.st_size
    names = os.listxattr(path, follow_symlinks=False)
    if names:
        acls = sum(name in _ACLS for name in names)
        counts["acls"] += acls > 0
        counts["xattrs"] += len(names) > acls
