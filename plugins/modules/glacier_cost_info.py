#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_cost_info
short_description: Say what a backup costs, as a raw copy and as a job, class beside class
version_added: 0.1.0
description:
  - Counts a directory, takes counts, or looks at what a job has in its bucket, and says what it costs to upload it, to
    keep it for a month, to delete it early and to restore it - as a raw copy with an object a file (C(aws s3 sync)),
    and as the sets of a job, for each storage class.
  - Counted are requests, parts of uploads, what each archived object takes beside its content, retention with all of
    its incrementals, and minimum storage. C(docs/cost.md) of this collection has each formula with an example.
  - Sizes are upper bounds, since the content is not looked at. With O(from_bucket) they are those of the sets there.
  - Amounts are text, since a float would not hold them exactly. A GB is 2^30 bytes, a month 30 days.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.job
  - permafrost.backup.prices
  - permafrost.backup.attributes.anywhere
  - permafrost.backup.attributes.group_cost
  - permafrost.backup.attributes.info
options:
  job:
    description:
      - A job, whose sizes, compression, age policy and retention count where an option here does not say otherwise.
    required: false
  directory:
    description:
      - A directory on this host to count. It is walked once. Symbolic links are not followed, and O(job.selection) does
        not count.
    type: path
  files:
    description:
      - How many files there are, in the place of a O(directory). They count as of one size.
    type: int
  size_bytes:
    description:
      - How many bytes O(files) have in all.
    type: int
  from_bucket:
    description:
      - Take the newest full and the mean incremental of O(job) from its bucket, and say what all that lies below its
        key prefix costs a month and would cost if it were deleted now. The raw copy is told where O(directory) or
        O(files) is given as well.
    type: bool
    default: false
  change_rate:
    description:
      - The share of files, and of their bytes, that is new or different at each backup.
    type: float
    default: 0.01
  compression_ratio:
    description:
      - What compression leaves of the content of files, such as V(0.8). V(1) is an upper bound for any content. Not
        used where O(job.compression) is false.
    type: float
    default: 1
  volume_size:
    description:
      - MB of a volume. Without it that of the job, or V(256).
    type: int
  multipart_chunk_size:
    description:
      - MB of a part of an upload. Without it that of the job, or a little more than a volume, which is one PUT then.
    type: int
  full_if_older_than:
    description:
      - How old a full gets, an interval such as V(4W). Without it that of the job, or V(4W).
    type: str
  backup_every:
    description:
      - The time from one backup to the next, an interval in whole days.
    type: str
    default: 1D
  keep_fulls:
    description:
      - How many fulls are kept, with their incrementals. Without it that of O(job.retention), or the fewest by which no
        class has an early deletion.
    type: int
  egress:
    description:
      - Whether a restore leaves the Region. Within the Region S3 bills no transfer.
    type: bool
    default: true
  expected_rate:
    description:
      - How many MB a restore reads in a second. It decides for how many days the copies of a thaw have to stay.
    type: float
    default: 10
notes:
  - Secrets of O(job) are not used but for its credentials, and these with O(from_bucket) only.
seealso:
  - module: permafrost.backup.glacier_quote_info
  - module: permafrost.backup.duplicity_cleanup
"""

EXAMPLES = r"""
- name: What would this directory cost?
  permafrost.backup.glacier_cost_info:
    directory: /srv/data
    prices: "{{ lookup('ansible.builtin.file', 'prices-us-east-1.yml') | from_yaml }}"
  register: cost

- name: Ten million files of 1 KB, of which compression leaves 80 %, in volumes of 1 GB
  permafrost.backup.glacier_cost_info:
    files: 10000000
    size_bytes: 10240000000
    compression_ratio: 0.8
    volume_size: 1024
    prices: "{{ prices }}"
  delegate_to: localhost

- name: What the sets of a job cost where they are, and would cost in another class
  permafrost.backup.glacier_cost_info:
    job: "{{ web01_data }}"
    from_bucket: true
    prices: "{{ prices }}"
  delegate_to: localhost
"""

RETURN = r"""
costs:
  description:
    - Each way in each class, the cheapest in a first year first. C(way) is V(raw) for an object a file or V(job);
      C(object_count) and C(size_bytes) are what is kept.
    - C(month_usd) is storage, writes and early deletions of a month; C(year_usd) the upload and a year of months.
    - C(lines) add up to the sums. Those of C(writes_period) and C(early_delete_period) are for C(rhythm.full_days).
  returned: success
  type: list
  elements: dict
  sample:
    - way: job
      storage_class: DEEP_ARCHIVE
      object_count: 96
      size_bytes: 78643200000
      upload_usd: "0.00051"
      month_usd: "0.083"
      storage_month_usd: "0.082"
      writes_month_usd: "0.001"
      early_delete_month_usd: "0"
      year_usd: "1.01"
      restores: [{tier: Bulk, total_usd: "0.9"}, {tier: Standard, total_usd: "1.1"}]
      lines:
        upload:
          - what: upload_requests
            storage_class: DEEP_ARCHIVE
            count: 10
            price: DEEP_ARCHIVE.put_1000
            price_usd: "0.05"
            price_source: public price guides of mid 2026
            price_verified: true
            amount_usd: "0.0005"
table:
  description: The same side by side, as lines of text.
  returned: success
  type: list
  elements: str
  sample: ["way   class         objects  upload  a month  of it early  first year  restore USD"]
source:
  description:
    - What was counted. C(entries) are files, directories and links; C(unreadable_count) those that could not be read.
  returned: success; null where nothing but a bucket was looked at
  type: dict
  sample: {files: 8123, entries: 9001, size_bytes: 20132659, unreadable_count: 0}
stored:
  description: What lies below the job's key prefix, what it costs a month, and what its deletion would cost now.
  returned: success; null without O(from_bucket)
  type: dict
  sample:
    objects: [{storage_class: DEEP_ARCHIVE, object_count: 12, size_bytes: 12884901888, padding_bytes: 0}]
    month_usd: "0.011880206"
    early_delete_usd: "0.07128"
rhythm:
  description: What was reckoned with, in days, and the number of fulls that are kept.
  returned: success
  type: dict
  sample: {full_days: 28, every_days: 1, keep_fulls: 8, kept_days: 224}
retention:
  description:
    - How many of the sets of a chain are deleted before the minimum of each class, and how many fulls to keep so that
      none is.
  returned: success
  type: list
  elements: dict
  sample: [{storage_class: DEEP_ARCHIVE, minimum_days: 180, fitting_keep_fulls: 8, early_sets: 0, sets: 28}]
break_even:
  description:
    - From which size on an object costs no more than in STANDARD over the time that a full is kept (C(object_bytes),
      null is never), from which on its requests and overhead are at most a hundredth of its storage
      (C(one_percent_bytes)), and the chunk below which a volume's parts cost more than the volume's own write
      (C(chunk_bytes)).
  returned: success
  type: list
  elements: dict
  sample:
    - {storage_class: DEEP_ARCHIVE, object_bytes: 306783, one_percent_bytes: 743000000, chunk_bytes: 119304648}
region:
  description: The Region of the prices.
  returned: success
  type: str
  sample: us-east-1
prices_date:
  description: When the prices were read.
  returned: success
  type: str
  sample: 2026-06
unverified:
  description: The prices in use that the table says nobody has verified.
  returned: success
  type: list
  elements: str
  sample: [egress_gb]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: bad_input, what: "The prices of eu-central-1 have no GLACIER.put_1000, which this quote needs."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import costing, module

SPEC = {
    "job": {**module.JOB_ARGUMENT["job"], "required": False},
    **module.PRICES_ARGUMENTS,
    "directory": {"type": "path"},
    "files": {"type": "int"},
    "size_bytes": {"type": "int"},
    "from_bucket": {"type": "bool", "default": False},
    "change_rate": {"type": "float", "default": 0.01},
    "compression_ratio": {"type": "float", "default": 1},
    "volume_size": {"type": "int"},
    "multipart_chunk_size": {"type": "int"},
    "full_if_older_than": {"type": "str"},
    "backup_every": {"type": "str", "default": "1D"},
    "keep_fulls": {"type": "int"},
    "egress": {"type": "bool", "default": True},
    "expected_rate": {"type": "float", "default": 10},
}


def main() -> None:
    module.run(
        SPEC,
        costing.work,
        mutually_exclusive=[["directory", "files"]],
        required_together=[["files", "size_bytes"]],
    )


if __name__ == "__main__":
    main()
