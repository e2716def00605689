# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions of botocore, with their credentials.

botocore's session is what boto3 wraps; without boto3's resources a module starts a quarter second sooner. botocore is
imported late, so that its absence is one clear message (s3.py).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.credentials import SESSION_NAME, Credentials

# What is asked for here, and what the SDK asks for somebody's credentials.
_SERVICES = ["s3", "s3control", "sts", "sso", "sso-oidc", "signin"]


def session(credentials: Credentials, region: str | None, ca_bundle: str | None) -> Any:
    """A session that is somebody: by key pair, profile or role; else as the SDK finds out."""
    import botocore.session

    session = botocore.session.get_session()
    if credentials.profile:
        session.set_config_variable("profile", credentials.profile)
        session.set_config_variable("config_file", f"{credentials.aws_dir}/config")
        session.set_config_variable("credentials_file", f"{credentials.aws_dir}/credentials")
    if credentials.access_key:
        session.set_credentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    _know_services(session)  # not before it knows its files
    if credentials.role_arn:
        _assume(session, credentials, region, ca_bundle)
    return session


def _assume(session: Any, credentials: Credentials, region: str | None, ca_bundle: str | None) -> None:
    """Let the session get the role's credentials when it first needs them, and anew before they expire."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    def client(service: str, **keys: Any) -> Any:
        return session.create_client(
            service, region_name=region, endpoint_url=credentials.sts_endpoint_url, verify=ca_bundle, **keys
        )

    more = {"RoleSessionName": SESSION_NAME}
    if credentials.external_id:
        more["ExternalId"] = credentials.external_id
    fetcher = AssumeRoleCredentialFetcher(client, session.get_credentials(), credentials.role_arn, extra_args=more)
    session._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _know_services(session: Any) -> None:
    """Spare the SDK two looks into the directories of 400 services, to see which there are."""
    from botocore.loaders import create_loader

    loader = create_loader(session.get_config_variable("data_path"))
    loader.list_available_services = lambda _type_name: _SERVICES
    session.register_component("data_loader", loader)
