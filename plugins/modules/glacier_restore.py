#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_restore
short_description: Thaw objects of an archive storage class, and wait for them
version_added: 0.1.0
description:
  - Requests a temporary copy of the named objects that are frozen, with RestoreObject.
  - What is thawed or thawing already is never requested again, so the task can be killed and run again at any time.
  - Runs wherever boto3 is, best on the controller, with credentials that backup hosts do not have.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.connection
  - permafrost.backup.attributes.anywhere
  - permafrost.backup.attributes.group_s3
options:
  bucket:
    description:
      - The bucket.
    type: str
    required: true
  keys:
    description:
      - The keys of the objects, as RV(permafrost.backup.glacier_restore_info#module:plan) names them.
      - Objects of a class that needs no thaw are ready as they are.
    type: list
    elements: str
    required: true
  tier:
    description:
      - How fast, and at what price. V(Standard) takes up to 5 hours for GLACIER and 12 for DEEP_ARCHIVE, V(Bulk) up to
        12 and 48, V(Expedited) minutes; DEEP_ARCHIVE has no V(Expedited).
      - Source - Amazon S3 User Guide, Understanding archive retrieval options.
    type: str
    choices: [Expedited, Standard, Bulk]
    default: Bulk
  days:
    description:
      - For how many days after the thaw the copy stays. It is paid at the STANDARD rate meanwhile.
    type: int
    default: 7
  wait:
    description:
      - Wait until every object can be read.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait at most; V(0) waits for as long as it takes. The thaw goes on in S3 when the waiting ends.
    type: int
    default: 0
  poll_interval:
    description:
      - Seconds between two looks while waiting. A look costs one listing for 1,000 objects.
    type: int
    default: 300
seealso:
  - module: permafrost.backup.glacier_restore_info
"""

EXAMPLES = r"""
- name: Thaw the volumes of a plan
  permafrost.backup.glacier_restore:
    bucket: "{{ planned.plan.bucket }}"
    keys: "{{ planned.plan.volumes | map(attribute='key') }}"
  delegate_to: localhost

- name: Thaw and wait, for at most two days
  permafrost.backup.glacier_restore:
    bucket: "{{ planned.plan.bucket }}"
    keys: "{{ planned.plan.volumes | map(attribute='key') }}"
    tier: Standard
    days: 3
    wait: true
    wait_timeout: 172800

- name: Say what would be requested
  permafrost.backup.glacier_restore:
    bucket: acme-dr
    keys: [web01/data/duplicity-full.20261101T020000Z.vol1.difftar.gz]
  check_mode: true
"""

RETURN = r"""
requested:
  description: The keys for which a thaw was requested, in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [web01/data/duplicity-full.20261101T020000Z.vol3.difftar.gz]
requested_bytes:
  description: Their bytes.
  returned: success
  type: int
  sample: 1073741824
replies:
  description: How S3 answered, by count - V(accepted), V(extended), V(in_progress) or V(failed).
  returned: except in check mode
  type: dict
  sample: {accepted: 1}
ready_within_hours:
  description: The upper bound that AWS states for O(tier), in hours; 0 when everything was readable at the start.
  returned: success
  type: float
  sample: 48.0
plan:
  description: The objects with size, class and state after the task, as in M(permafrost.backup.glacier_restore_info).
  returned: success
  type: dict
  sample: {bucket: acme-dr, ready: false, volume_count: 1, size_bytes: 1073741824, states: {}, volumes: []}
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: tier_unavailable, what: DEEP_ARCHIVE has no Expedited retrieval.}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, thawing
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import TIERS
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CONNECTION

SPEC = {
    "bucket": {"type": "str", "required": True},
    "keys": {"type": "list", "elements": "str", "required": True, "no_log": False},
    "tier": {"type": "str", "choices": list(TIERS), "default": "Bulk"},
    "days": {"type": "int", "default": 7},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 0},
    "poll_interval": {"type": "int", "default": 300},
    **CONNECTION,
}


def main() -> None:
    module.run(SPEC, thawing.work)


if __name__ == "__main__":
    main()
