# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Count in a source tree what duplicity does not keep (docs/not-preserved.md).

I/O, read only, in constant memory. Runs in a thread beside the container, so that a backup does not wait for it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading

KINDS = ("hard_links", "subsecond_mtimes", "symlink_mtimes", "sparse_files", "sockets", "acls", "xattrs")
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_BLOCK = 512  # st_blocks counts these, whatever the file system's own block size


class Survey:
    """Counts from ``start()`` on, which may be left out; ``result()`` waits for the end of the walk."""

    def __init__(self, source: str) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._walk, args=(os.fsencode(source),), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def result(self) -> dict[str, int]:
        if not self._thread.ident:
            self.start()
        self._thread.join()
        return self.counts

    def cancel(self) -> None:
        self._stop.set()

    def _walk(self, top: bytes) -> None:
        with contextlib.suppress(OSError):
            self._count(top, os.lstat(top))
        pending = [top]
        while pending and not self._stop.is_set():
            # What cannot be read or has vanished is duplicity's to report.
            with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        self._count(entry.path, entry.stat(follow_symlinks=False))
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)

    def _count(self, path: bytes, found: os.stat_result) -> None:
        counts = self.counts
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
