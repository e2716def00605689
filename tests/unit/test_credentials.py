"""credentials.py: what passes, and that the SDK reads from the files what was meant."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import command, containers, credentials, surroundings
from ansible_collections.permafrost.backup.plugins.module_utils.credentials import Credentials, checked_credentials
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, NoCredentials
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CREDENTIALS
from unit.stage import job_params

PAIR = {"access_key": "CANARYKEY", "secret_key": "canary-secret"}
ROLE = "arn:aws:iam::123456789012:role/team/backup"
WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


def params(**given_options: Any) -> dict[str, Any]:
    """As AnsibleModule hands them over."""
    return {**dict.fromkeys(CREDENTIALS["options"]), "aws_dir": "/srv/.aws", **given_options}


def job(given_options: dict[str, Any] | None, **changes: Any) -> Job:
    return Job.from_params(job_params(credentials=given_options, **changes))


def read_by_the_sdk(one: Job) -> botocore.session.Session:
    """A session of the SDK that sees the files of a run, and nothing else."""
    session = botocore.session.Session()
    with tempfile.TemporaryDirectory() as place:
        for name in ("config", "credentials"):
            path = Path(place, name)
            path.write_bytes(surroundings.secrets_of(one).get(name, b""))
            session.set_config_variable(f"{name}_file", str(path))
        assert session.full_config  # read now: the files go
    session.set_config_variable("profile", "default")
    return session


@settings(deadline=None)
@given(WORDS, WORDS, st.none() | WORDS)
def test_the_sdk_reads_any_key_pair_as_it_was(access: str, secret: str, token: str | None) -> None:
    one = job(params(access_key=access, secret_key=secret, session_token=token))
    profile = read_by_the_sdk(one).full_config["profiles"]["default"]
    read = [profile.get(f"aws_{name}") for name in ("access_key_id", "secret_access_key", "session_token")]
    assert read == [access, secret, token]


@settings(deadline=None)
@given(WORDS, WORDS)
def test_the_sdk_reads_any_external_id_as_it_was(secret: str, external_id: str) -> None:
    pair = {"access_key": "A", "secret_key": secret}
    one = job(params(**pair, role_arn=ROLE, external_id=external_id), region="eu-central-1")
    profiles = read_by_the_sdk(one).full_config["profiles"]
    assert profiles["default"] == {
        "role_arn": ROLE, "external_id": external_id, "source_profile": "source", "region": "eu-central-1",
        "role_session_name": credentials.SESSION_NAME,
    }  # fmt: skip
    assert profiles["source"] == {"aws_access_key_id": "A", "aws_secret_access_key": secret}


def test_a_role_of_the_instance() -> None:
    one = job(params(role_arn=ROLE), endpoint_url="http://s3")
    assert read_by_the_sdk(one).full_config["profiles"]["default"] == {
        "role_arn": ROLE, "credential_source": "Ec2InstanceMetadata", "role_session_name": credentials.SESSION_NAME,
        "s3": {"payload_signing_enabled": "false"},
    }  # fmt: skip
    assert "credentials" not in surroundings.secrets_of(one)


def test_a_profile_is_read_from_the_files_of_the_host() -> None:
    one = job(params(profile="backup"), endpoint_url="http://s3")
    spec = command.fetch_metadata(one, "/run-dir")
    assert spec.secrets == {}
    assert spec.environment["AWS_PROFILE"] == "backup"
    assert surroundings.Mount("/srv/.aws", surroundings.AWS_DIR) in spec.mounts
    assert spec.environment["AWS_SHARED_CREDENTIALS_FILE"] == f"{surroundings.AWS_DIR}/credentials"


def test_none_at_all_leaves_the_role_of_the_instance() -> None:
    spec = command.fetch_metadata(job(None), "/run-dir")
    assert spec.secrets == {}
    assert not {"AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_PROFILE"} & set(spec.environment)


def test_the_role_of_a_task() -> None:
    role = credentials.TaskRole({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/role"}, b"canary-token")
    one = job(params(role_arn=ROLE))
    plain = command.fetch_metadata(one, "/run-dir")
    spec = surroundings.with_task_role(plain, one, role)
    place = spec.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
    assert spec.secrets[place.removeprefix(f"{surroundings.SECRETS}/")] == b"canary-token"
    assert spec.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1/role"
    assert b"credential_source = EcsContainer" in spec.secrets["config"]
    assert "canary" not in f"{role} {spec}"
    assert spec.identity == plain.identity
    assert not one.has_credentials


@pytest.mark.parametrize("as_file", [False, True])
def test_a_task_finds_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_file: bool) -> None:
    assert containers.task_role() is None
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/role")
    found = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role"}
    assert containers.task_role() == credentials.TaskRole(found)
    if as_file:
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        with pytest.raises(NoCredentials, match="No such file"):
            containers.task_role()
        (tmp_path / "token").write_text("canary-token")
    else:
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-token")
    assert containers.task_role() == credentials.TaskRole(found, b"canary-token")


def test_a_key_pair_needs_no_role_of_a_task() -> None:
    role = credentials.TaskRole({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role"})
    one = job(params(**PAIR))
    spec = command.fetch_metadata(one, "/run-dir")
    assert surroundings.with_task_role(spec, one, role) is spec
    assert one.has_credentials
    without = surroundings.with_task_role(command.fetch_metadata(job(None), "/run-dir"), job(None), role)
    assert (without.secrets, without.environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]) == ({}, "/role")


def test_another_token_service_is_named() -> None:
    one = job(params(**PAIR, role_arn=ROLE, sts_endpoint_url="https://sts.example.com"))
    environment = command.fetch_metadata(one, "/run-dir").environment
    assert environment["AWS_ENDPOINT_URL_STS"] == "https://sts.example.com"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({**PAIR, "secret_key": "a b"}, "secret_key is empty, or holds a blank"),
        ({**PAIR, "secret_key": ""}, "secret_key is empty"),
        ({**PAIR, "access_key": "a\nb"}, "access_key is empty, or"),
        ({**PAIR, "session_token": "t\u00f6ken"}, "a character beyond ASCII"), ({"profile": "a b"}, "profile is empty"),
        ({"role_arn": "arn:aws:iam::123456789012:user/x"}, "is not the ARN of a role"),
        ({"role_arn": "backup"}, "is not the ARN of a role"),
        ({"role_arn": ROLE, "external_id": "a\nsource_profile = x"}, "external_id is empty, or"),
        ({"role_arn": ROLE, "sts_endpoint_url": "sts.example.com"}, "is not a plain URL"),
        ({"profile": "backup", "aws_dir": ".aws"}, "is not an absolute path"),
    ],
)  # fmt: skip
def test_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        checked_credentials(params(**options))
    for secret in PAIR.values():
        assert secret not in caught.value.message


def test_secrets_are_in_no_text() -> None:
    made = checked_credentials(params(**PAIR, session_token="canary-token"))
    assert isinstance(made, Credentials)
    assert "canary-" not in repr(made)


def test_none_given() -> None:
    assert checked_credentials(None) is None
    assert checked_credentials({}) is None
