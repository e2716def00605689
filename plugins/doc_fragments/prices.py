# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of PRICES_ARGUMENTS in module_utils/module.py, for modules that say what costs."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  prices:
    description:
      - The prices of a Region, with C(region), C(date), C(source) and C(figures) by storage class. The file
        C(playbooks/prices/us-east-1.yml) of this collection shows the names, and is a table itself.
      - A figure is a number, or a dictionary of C(usd), C(source) and C(verified).
    type: dict
    required: true
  region:
    description:
      - The Region of the bucket. A warning says when the prices are those of another.
    type: str
"""
