# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of CONNECTION in module_utils/schema.py, for modules that speak to S3 without a job."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  credentials:
    description:
      - Who the run is for S3 - a key pair, a profile, or an assumed role. Without it the role of the instance or of
        the ECS task counts. Environment variables of this host do not reach the container.
  endpoint_url:
    description:
      - The URL of an S3 service other than Amazon's.
    type: str
  region:
    description:
      - The Region of the bucket.
    type: str
  ca_bundle:
    description:
      - A file of CA certificates, for O(endpoint_url).
    type: path
"""

    # Modules that take a job, and may be somebody else for S3 than the job is.
    CREDENTIALS = r"""
options:
  credentials:
    description:
      - Who this task is for S3, in the place of O(job.credentials) - a key pair, a profile, or an assumed role.
      - So hosts that back up need no permission for what this module does.
"""

    # What credentials are, for both.
    KEYS = r"""
options:
  credentials:
    type: dict
    suboptions:
      access_key:
        description: The access key ID.
        type: str
      secret_key:
        description: The secret access key.
        type: str
      session_token:
        description: The token of temporary credentials.
        type: str
      profile:
        description: A profile of O(credentials.aws_dir).
        type: str
      aws_dir:
        description: The directory on this host with the files C(config) and C(credentials) of the AWS tools.
        type: path
        default: ~/.aws
      role_arn:
        description: A role to assume, with the key pair or else with the role of the instance.
        type: str
      external_id:
        description: The external ID that the role asks for.
        type: str
      sts_endpoint_url:
        description: The URL of a Security Token Service other than Amazon's.
        type: str
"""
