"""Python in the lab keeps the byte code of modules in zip files, as it does that of all others.

Ansible ships a module and its utilities as one zip, which Python compiles anew for every task: some 0.15 of 0.3
seconds, and the tests run thousands of tasks. Code is found by its source, so that what was changed is never run as it
was before. Python imports this file when it starts: here by its name (``site`` in its manual), on the lab's hosts by a
file ``.pth``.
"""

from __future__ import annotations

import _imp
import contextlib
import marshal
import os
import sys
import zipimport
from types import CodeType

PLACE = os.path.join(sys.pycache_prefix or "/var/cache/lab", "zipped")
# Any fixed number does: it makes the hash of a source the same in every process.
KEY = 0x5045524D41
ZIPIMPORT = vars(zipimport)
compile_source = ZIPIMPORT["_compile_source"]


def compiled(path: str, source: bytes) -> CodeType:
    """The code of a module in a zip: the one kept of this source and this Python, or compiled and kept."""
    name = f"{_imp.source_hash(KEY, source).hex()}-{len(source)}.{sys.implementation.cache_tag}"
    kept = os.path.join(PLACE, name)
    with contextlib.suppress(OSError, EOFError, ValueError, TypeError):
        with open(kept, "rb") as file:
            code: CodeType = marshal.load(file)
        vars(_imp)["_fix_co_filename"](code, path)  # for tracebacks
        return code
    code = compile_source(path, source)
    with contextlib.suppress(OSError):  # a user without the right to write there compiles each time
        os.makedirs(PLACE, exist_ok=True)
        with open(f"{kept}.{os.getpid()}", "wb") as file:
            marshal.dump(code, file)
        os.replace(f"{kept}.{os.getpid()}", kept)
    return code


ZIPIMPORT["_compile_source"] = compiled
