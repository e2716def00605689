"""Let uploads to S3 take no more than PERMAFROST_UPLOAD_RATE bytes a second, in each process.

boto3 can do it, but duplicity has no option for it. This module is imported by a .pth file at the start of Python, and
does nothing while no rate is set.
"""

from __future__ import annotations

import os
from functools import partialmethod

RATE = int(os.environ.get("PERMAFROST_UPLOAD_RATE") or 0)

if RATE:
    from boto3.s3.transfer import TransferConfig

    TransferConfig.__init__ = partialmethod(TransferConfig.__init__, max_bandwidth=RATE)
