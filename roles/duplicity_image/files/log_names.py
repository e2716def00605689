"""Let duplicity's log hold every file name.

duplicity opens its log as strict UTF-8, so that a record which names a file that is not valid UTF-8 is dropped whole: a
file missing from a listing, or a failed file from a restore's warnings. Such bytes are written escaped instead. This
module is imported by a .pth file at the start of Python.
"""

import logging

_MODE, _ENCODING, _DELAY = "a", None, False
logging.FileHandler.__init__.__defaults__ = (_MODE, _ENCODING, _DELAY, "backslashreplace")
