# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which shell patterns of duplicity can fit below a path: a walk that begins there refuses all others.

Pure.
"""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"(\*\*)|(\*)|(\?)|\[([!^]?)(\]?[^\]]*)\]")


def concerns(text: str, top: str) -> bool:
    """Whether a pattern can fit ``top`` or something below it: duplicity refuses one that cannot (globmatch.py)."""
    if not top or text.startswith("**"):
        return True
    parts, names = text.rstrip("/").split("/"), top.split("/")
    for at, part in enumerate(parts[: len(names)]):
        if "**" in part:
            return bool(re.match(_expression(part[: part.index("**") + 2]) + r"\Z", "/".join(names[at:]), re.S))
        if not re.match(_expression(part) + r"\Z", names[at], re.S):
            return False
    return True


def _expression(glob: str) -> str:
    """A part of a shell pattern as a regular expression, as duplicity reads it."""
    out, done = "", 0
    for match in _SPECIAL.finditer(glob):
        out += re.escape(glob[done : match.start()])
        stuff = re.sub(r"([\\\[&~|^])", r"\\\1", match[5] or "")
        out += (
            ".*" if match[1] else "[^/]*" if match[2] else "[^/]" if match[3] else f"[{'^' if match[4] else ''}{stuff}]"
        )
        done = match.end()
    return out + re.escape(glob[done:])
