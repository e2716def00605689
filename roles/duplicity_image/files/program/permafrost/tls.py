"""How certificates of servers are checked. I/O: the image's list of authorities is read."""

from __future__ import annotations

import ssl


def context(*, checked: bool = True) -> ssl.SSLContext:
    """Against what the image trusts. From Python 3.13 on, authorities would need fields that many made at home lack."""
    found = ssl.create_default_context()
    found.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    if not checked:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    return found
