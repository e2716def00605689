#!/usr/bin/python
# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: glacier_policy_info
short_description: Least-privilege policies for backup, cleanup, thaw and restore
version_added: 0.1.0
description:
  - Writes IAM policies for key prefixes of a bucket, one for each part that acts on them. None reaches another prefix.
  - V(backup) can neither delete nor thaw. V(cleanup) deletes, and in a bucket with versions only hides. V(thaw) cannot
    write, and V(restore) can neither thaw nor write.
  - Nothing is asked from AWS.
author:
  - permafrost.backup contributors (@permafrost-backup)
extends_documentation_fragment:
  - permafrost.backup.attributes.computes
  - permafrost.backup.attributes.group_policy
  - permafrost.backup.attributes.info
options:
  targets:
    description: The targets of the jobs of one host, C(s3://bucket/prefix), all of one bucket.
    type: list
    elements: str
    required: true
  parts:
    description: For which parts.
    type: list
    elements: str
    choices: [backup, cleanup, thaw, restore]
    default: [backup, cleanup, thaw, restore]
  kms_key_arn:
    description: The ARN of the key by which the objects are encrypted, where that is a key of your own.
    type: str
  region:
    description: The Region of the bucket, which tells the partition of AWS.
    type: str
  partition:
    description: The partition, V(aws-cn) for example, where O(region) does not tell.
    type: str
  versions:
    description: Let V(thaw) and V(restore) see older versions, for what was overwritten.
    type: bool
    default: true
  stock_duplicity:
    description:
      - For images with a duplicity as it is published, which first asks for the bucket itself (HeadBucket). IAM cannot
        tell that from a listing of the whole bucket, so each host can then see the names of all objects, though not
        read them.
      - The image of this collection does not need it.
    type: bool
    default: false
seealso:
  - module: permafrost.backup.glacier_bucket
"""

EXAMPLES = r"""
- name: The policies of one host
  permafrost.backup.glacier_policy_info:
    targets: "{{ duplicity_jobs | map(attribute='target') }}"
  register: policies
  delegate_to: localhost

- name: For what a keeper of the whole fleet may do
  permafrost.backup.glacier_policy_info:
    targets: [s3://acme-dr/web01/data, s3://acme-dr/web02/data]
    parts: [cleanup]
  register: keeper
  delegate_to: localhost

- name: In China, with a key of one's own
  permafrost.backup.glacier_policy_info:
    targets: [s3://acme-dr/web01/data]
    region: cn-north-1
    kms_key_arn: arn:aws-cn:kms:cn-north-1:123456789012:key/0d1c6f6e-9a55-4a0c-8b8a-3f2b8d3c9e11
  delegate_to: localhost
"""

RETURN = r"""
policies:
  description: A policy document for each part.
  returned: success
  type: dict
  sample:
    restore:
      Version: "2012-10-17"
      Statement:
        - Sid: Read
          Effect: Allow
          Action: ["s3:GetObject"]
          Resource: ["arn:aws:s3:::acme-dr/web01/data/*"]
bucket:
  description: The bucket of the targets.
  returned: success
  type: str
  sample: acme-dr
prefixes:
  description: Their key prefixes.
  returned: success
  type: list
  elements: str
  sample: [web01/data]
error:
  description: The failure as facts, with the keys C(cause), C(what), C(meaning) and C(next_step).
  returned: failure
  type: dict
  sample: {cause: bad_input, what: "targets are of one bucket; these are of one, two."}
"""

from ansible_collections.permafrost.backup.plugins.module_utils import module, policies

SPEC = {
    "targets": {"type": "list", "elements": "str", "required": True},
    "parts": {"type": "list", "elements": "str", "choices": list(policies.PARTS), "default": list(policies.PARTS)},
    "kms_key_arn": {"type": "str", "no_log": False},
    "region": {"type": "str"},
    "partition": {"type": "str"},
    "versions": {"type": "bool", "default": True},
    "stock_duplicity": {"type": "bool", "default": False},
}


def main() -> None:
    module.run(SPEC, policies.work)


if __name__ == "__main__":
    main()
