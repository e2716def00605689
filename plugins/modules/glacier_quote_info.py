#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_quote_info
short_description: Say what a restore costs and when it can be ready, tier by tier
version_added: 0.1.0
description:
  - Takes the plan of a restore and a table of prices, and gives an offer for each retrieval tier that can work, line by
    line in exact decimals, with the cheapest that keeps the limits as the chosen one.
  - Only what is frozen is thawed and paid for. What is thawed or thawing costs no request, and what needs no thaw is
    only read.
  - Asks nobody. It reaches neither S3 nor an engine, so it runs anywhere.
  - Amounts are text, since a float would not hold them exactly. A GB is 2^30 bytes, a month 30 days. Not counted are
    the requests for listings and manifests, and the hours up to midnight UTC that S3 adds to the days of a copy.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.prices
  - permafrost.backup.attributes.computes
  - permafrost.backup.attributes.group_cost
  - permafrost.backup.attributes.info
options:
  plan:
    description:
      - The plan, as RV(permafrost.backup.glacier_restore_info#module:plan) has it, with all of its volumes.
    type: dict
    required: true
  days:
    description:
      - For how many days the copies stay. Without it, as long as the slowest thaw and the restore
        take, and three days more.
    type: int
  egress:
    description:
      - Whether the data leave the Region. Within the Region S3 bills no transfer.
    type: bool
    default: true
  expected_rate:
    description:
      - How many MB of volumes the host reads and restores in a second.
    type: float
    default: 10
  fetch:
    description:
      - How the volumes are got. V(staged) is one GET each. With V(streamed) duplicity reads them itself, by a HEAD and
        GETs of 8 MB. O(permafrost.backup.duplicity_restore#module:fetch) stages wherever there is room.
    type: str
    choices: [staged, streamed]
    default: staged
  upgrade:
    description:
      - Count what is thawing already at the price of the faster tier too, as
        O(permafrost.backup.glacier_restore#module:upgrade) would request it. Give the O(tier) as well.
    type: bool
    default: false
  extend:
    description:
      - Count copies that end too soon as O(permafrost.backup.glacier_restore#module:extend) would extend them.
    type: bool
    default: false
  tier:
    description:
      - Choose this tier. Where nothing has to be requested it does not matter.
    type: str
    choices: [Expedited, Standard, Bulk]
  max_cost:
    description:
      - US dollars that the whole restore may cost.
    type: float
  ready_by:
    description:
      - When the data have to be back, a W3 time or date, or an interval from now such as V(12h). The upper bound of the
        thaw counts, and the time of the restore at O(expected_rate).
      - What thaws already was requested before; it is waited for, whatever this says.
    type: str
seealso:
  - module: permafrost.backup.glacier_restore_info
  - module: permafrost.backup.glacier_restore
"""

EXAMPLES = r"""
- name: What would this restore cost?
  permafrost.backup.glacier_quote_info:
    plan: "{{ planned.plan }}"
    prices: "{{ lookup('ansible.builtin.file', 'prices-us-east-1.yml') | from_yaml }}"
  delegate_to: localhost
  register: quoted

- name: The cheapest that has the data back within 12 hours, for at most 20 dollars
  permafrost.backup.glacier_quote_info:
    plan: "{{ planned.plan }}"
    prices: "{{ prices }}"
    ready_by: 12h
    max_cost: 20
  delegate_to: localhost

- name: Restored to a machine in the same Region, with copies for two weeks
  permafrost.backup.glacier_quote_info:
    plan: "{{ planned.plan }}"
    prices: "{{ prices }}"
    egress: false
    days: 14
    tier: Bulk
  delegate_to: localhost
"""

RETURN = r"""
offers:
  description:
    - An offer a tier, the cheapest first; without a tier where nothing has to be requested. C(ready_at) is when all can
      be read at the latest; a thaw that runs already counts with the slowest tier, since S3 does not tell its own.
    - C(lines) add up to the sums. Each has what it is for, a count or bytes, the price by its name in the table, and
      the amount.
  returned: success, and when no offer fits
  type: list
  elements: dict
  sample:
    - tier: Bulk
      days: 6
      ready_within_hours: 48.0
      ready_at: "2026-11-03T02:00:00Z"
      restored_at: "2026-11-03T02:29:01Z"
      thaw_usd: "0.042925"
      copies_usd: "0.0782"
      copies_usd_a_day: "0.013033333"
      reading_usd: "0.0008772"
      egress_usd: "1.53"
      total_usd: "1.6520022"
      lines:
        - what: thaw_data
          storage_class: DEEP_ARCHIVE
          size_bytes: 18253611008
          price: DEEP_ARCHIVE.Bulk.data_gb
          price_usd: "0.0025"
          price_source: public price guides of mid 2026
          price_verified: true
          amount_usd: "0.0425"
chosen:
  description: The offer that was chosen, of the same form.
  returned: success
  type: dict
  sample: {tier: Bulk, days: 6, total_usd: "1.6520022"}
consent_needed:
  description: Whether a thaw has to be requested, and so paid, before the restore.
  returned: success
  type: bool
  sample: true
table:
  description: The offers side by side, as lines of text.
  returned: success, and when no offer fits
  type: list
  elements: str
  sample: ["tier  thawed by  thaw  copies  a day  reading  egress  total USD"]
volume_count:
  description: How many volumes the restore reads.
  returned: success, and when no offer fits
  type: int
  sample: 17
size_bytes:
  description: Their bytes.
  returned: success, and when no offer fits
  type: int
  sample: 18253611008
restore_seconds:
  description: How long the restore takes at O(expected_rate), once all is thawed.
  returned: success, and when no offer fits
  type: float
  sample: 1740.8
region:
  description: The Region of the prices.
  returned: success, and when no offer fits
  type: str
  sample: us-east-1
prices_date:
  description: When the prices were read.
  returned: success, and when no offer fits
  type: str
  sample: 2026-06
unverified:
  description: The prices in the offers that the table says nobody has verified.
  returned: success, and when no offer fits
  type: list
  elements: str
  sample: [egress_gb]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: no_offer_fits, what: "No tier fits max_cost 1 USD."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, quoting
from ansible_collections.permafrost.backup.plugins.module_utils.glacier import TIERS

SPEC = {
    "plan": {"type": "dict", "required": True},
    **module.PRICES_ARGUMENTS,
    "days": {"type": "int"},
    "egress": {"type": "bool", "default": True},
    "expected_rate": {"type": "float", "default": 10},
    "fetch": {"type": "str", "choices": ["staged", "streamed"], "default": "staged"},
    "upgrade": {"type": "bool", "default": False},
    "extend": {"type": "bool", "default": False},
    "tier": {"type": "str", "choices": list(TIERS)},
    "max_cost": {"type": "float"},
    "ready_by": {"type": "str"},
}


def main() -> None:
    module.run(SPEC, quoting.work)


if __name__ == "__main__":
    main()
