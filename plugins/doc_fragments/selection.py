# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of SELECTION_ARGUMENTS in module_utils/module.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  path:
    description:
      - A file or directory relative to the job's source; outer slashes do not matter. Without it, the whole tree.
    type: str
  time:
    description:
      - The state of that time. The newest set that is not younger is taken.
      - A W3 time or date, an interval before now such as V(3D) or V(4W), or V(now). Without a zone it means UTC.
      - A time before the first backup is refused.
    type: str
    default: now
"""
