"""Let Python look for garbage less often: a tenth of the time of many small files, and of a short run.

What duplicity loads lives to its end, so it is not looked through at the end. What it makes for a file goes with its
last reference; cycles are found every 50,000 objects, some MB, where Python's own bound is 2,000. This module is
imported by a .pth file at the start of Python.
"""

from __future__ import annotations

import atexit
import gc

gc.set_threshold(50_000)
atexit.register(gc.freeze)
