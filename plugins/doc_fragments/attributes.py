# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all modules have in common."""

from __future__ import annotations


class ModuleDocFragment:
    # Modules that start a container.
    ON_HOST = r"""
requirements:
  - python >= 3.9
  - docker >= 7.0 (the Python library)
  - boto3 >= 1.34
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: linux
"""

    # Modules that speak to S3 alone.
    ANYWHERE = r"""
requirements:
  - python >= 3.9
  - boto3 >= 1.34
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
"""

    # Modules that reach nothing.
    COMPUTES = r"""
requirements:
  - python >= 3.9
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: posix
"""

    # ansible-doc takes no fragment without options or attributes.
    INFO = r"""
options: {}
notes:
  - This module never changes anything; check mode makes no difference.
"""

    # The groups of meta/runtime.yml.
    GROUP_DUPLICITY = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/permafrost.backup.duplicity) in C(module_defaults) to set O(job) for all that take one.
    support: full
    membership:
      - permafrost.backup.duplicity
"""

    GROUP_COST = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/permafrost.backup.cost) in C(module_defaults) to set O(prices) for all that say what costs.
    support: full
    membership:
      - permafrost.backup.cost
"""

    GROUP_POLICY = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/permafrost.backup.policy) in C(module_defaults) to set O(region) and O(kms_key_arn).
    support: full
    membership:
      - permafrost.backup.policy
"""

    GROUP_S3 = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/permafrost.backup.s3) in C(module_defaults) to set how S3 is reached without a job.
    support: full
    membership:
      - permafrost.backup.s3
"""
