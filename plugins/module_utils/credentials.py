# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who a run is for S3: a key pair, a named profile, an assumed role, or the role of the instance or task.

Pure. The files that are made here are those of the AWS SDKs (AWS SDKs and Tools Reference Guide, "Shared config and
credentials files").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import checks
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::\d{12}:role/[\w+=,.@/-]+\Z")
SESSION_NAME = "permafrost-backup"


@dataclass(frozen=True)
class Credentials:
    """``aws_dir`` is the host's directory with the files of ``profile``."""

    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    aws_dir: str = ""
    role_arn: str | None = None
    external_id: str | None = None
    sts_endpoint_url: str | None = None

    @property
    def of_its_own(self) -> bool:
        """Whether the job itself says who it is. Else the role of the instance or task is to count."""
        return self.access_key is not None or self.profile is not None


@dataclass(frozen=True)
class TaskRole:
    """How a task of ECS, or of an agent that speaks as ECS does, gets the credentials of its role.

    The token is a secret, and whatever the SDK was given it as, a run gets it as a file.
    """

    environment: dict[str, str]
    token: bytes | None = field(default=None, repr=False)


# AWS SDKs and Tools Reference Guide, "Container credential provider".
TASK_ROLE_VARIABLES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
TASK_PROOF = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
TASK_PROOF_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"


def checked_credentials(options: Mapping[str, Any] | None, group: str = "credentials") -> Credentials | None:
    """The option of this name: nothing that would begin a new line in a credentials file or a header."""
    if not options:
        return None
    for name, value in options.items():
        if name != "aws_dir" and value is not None and not re.fullmatch(r"[\x21-\x7e]+", value):
            raise BadInput(f"{group}.{name} is empty, or holds a blank, a line break or a character beyond ASCII.")
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("role_arn") and not _ROLE.match(given["role_arn"]):
        raise BadInput(f"{group}.role_arn '{given['role_arn']}' is not the ARN of a role.")
    checks.endpoint(given.get("sts_endpoint_url"))
    if given.get("profile") and not given.get("aws_dir", "").startswith("/"):
        raise BadInput(f"{group}.aws_dir '{given.get('aws_dir', '')}' is not an absolute path.")
    return Credentials(**given)


def credentials_file(credentials: Credentials) -> str | None:
    """The content of a shared credentials file, for a key pair."""
    if credentials.access_key is None:
        return None
    lines = [
        f"[{'source' if credentials.role_arn else 'default'}]",
        f"aws_access_key_id = {credentials.access_key}",
        f"aws_secret_access_key = {credentials.secret_key}",
    ]
    if credentials.session_token:
        lines.append(f"aws_session_token = {credentials.session_token}")
    return "\n".join(lines) + "\n"


def config_file(
    credentials: Credentials | None, region: str | None, *, sign_bodies: bool, in_task: bool = False
) -> str | None:
    """The content of a config file, or None when the SDK's defaults serve. ``in_task`` is for who has a TaskRole."""
    lines = []
    if not sign_bodies:
        # Over HTTPS boto never hashes a body for its signature. Over HTTP it would read each volume once more for that,
        # though the checksum header, which is signed, protects the body already.
        lines += ["s3 =", "    payload_signing_enabled = false"]
    if credentials and credentials.role_arn:
        ambient = f"credential_source = {'EcsContainer' if in_task else 'Ec2InstanceMetadata'}"
        source = "source_profile = source" if credentials.access_key else ambient
        lines += [f"role_arn = {credentials.role_arn}", source, f"role_session_name = {SESSION_NAME}"]
        lines += [f"external_id = {credentials.external_id}"] if credentials.external_id else []
        lines += [f"region = {region}"] if region else []
    return "\n".join(["[default]", *lines]) + "\n" if lines else None
