"""compose.py: what the containers of a timer are given."""

from __future__ import annotations

from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import command, compose
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.stage import job_params


def project(**changes: Any) -> dict[str, Any]:
    return compose.project(Job.from_params(job_params(**changes)))


def volumes(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Target to source and whether it is read-only."""
    return {one["target"]: (one["source"], one["read_only"]) for one in service["volumes"]}


def test_both_services_run_the_program_with_the_job_as_a_secret() -> None:
    made = project(name="Web01")
    assert made["name"] == "permafrost-web01"
    assert made["secrets"] == {"job": {"file": "./job.json"}}
    for verb, service in made["services"].items():
        assert service["command"] == ["permafrost", verb]
        assert service["secrets"] == ["job"]
        assert (service["read_only"], service["init"], service["cap_drop"]) == (True, True, ["ALL"])
        assert service["cap_add"] == ["DAC_READ_SEARCH"]
        assert "privileged" not in service
        assert service["labels"][command.LABEL_VERB] == verb
    assert set(made["services"]) == {"backup", "verify"}


def test_the_source_is_read_only_and_where_modules_have_it() -> None:
    found = volumes(project(name="a", source="/srv/data", state_dir="/state")["services"]["backup"])
    assert found["/source/srv/data"] == ("/srv/data", True)
    assert found["/state/a"] == ("/state/a", False)
    assert len(found) == 2, "archive and temporary directory lie in the job's own"


def test_places_of_their_own_are_mounted_at_their_own_paths() -> None:
    rules = [{"exclude_list": "/etc/exclude"}]
    found = volumes(project(name="a", temp_dir="/big", ca_bundle="/etc/ca.pem", selection=rules)["services"]["backup"])
    assert found["/big/permafrost-a"] == ("/big/permafrost-a", False)
    assert found["/etc/ca.pem"] == ("/etc/ca.pem", True)
    assert found["/etc/exclude"] == ("/etc/exclude", True)


def test_directories_are_those_that_are_written_to() -> None:
    job = Job.from_params(job_params(name="a", state_dir="/state", temp_dir="/big", ca_bundle="/etc/ca.pem"))
    assert compose.directories(job) == ["/state/a", "/big/permafrost-a"]


def test_a_dollar_is_not_a_variable_and_a_missing_source_is_not_made() -> None:
    service = project(source="/srv/$HOME")["services"]["backup"]
    assert ("/srv/$$HOME", True) in volumes(service).values()
    assert all(one["bind"] == {"create_host_path": False} for one in service["volumes"])


def test_metrics_have_a_place_of_their_own_that_no_role_makes_private() -> None:
    params = job_params(name="a", state_dir="/state", reports={"metrics_dir": "/var/lib/node_exporter"})
    for service in compose.project(Job.from_params(params))["services"].values():
        (mount,) = (one for one in service["volumes"] if one["target"] == compose.METRICS)
        assert (mount["source"], mount["read_only"]) == ("/var/lib/node_exporter", False)
        assert mount["bind"] == {"create_host_path": True}, "a directory that is gone must not stop a backup"
    assert compose.directories(Job.from_params(params)) == ["/state/a"]
    assert compose.METRICS not in volumes(project()["services"]["backup"])


def test_limits() -> None:
    service = project(limits={"cpus": 1.5, "memory": 512, "pids": 64, "io_weight": 100})["services"]["backup"]
    assert (service["cpus"], service["mem_limit"], service["memswap_limit"]) == (1.5, "512m", "512m")
    assert (service["pids_limit"], service["blkio_config"]) == (64, {"weight": 100})
    assert "cpus" not in project()["services"]["backup"]


def test_no_secret_is_in_the_file() -> None:
    secrets = {"access_key": "AKIASECRETSECRET", "secret_key": "very-secret-key"}
    mail = {
        "host": "mail",
        "port": 25,
        "tls": "none",
        "user": "u",
        "password": "very-secret-word",
        "from": "a",
        "to": ["b"],
    }
    reports = {"mail": mail, "healthchecks_url": "https://hc/very-secret", "apprise_urls": ["ntfy://very-secret"]}
    encryption = {"mode": "symmetric", "passphrase": "very-secret-phrase"}
    made = project(credentials=secrets, encryption=encryption, reports=reports)
    assert not [secret for secret in ("AKIASECRETSECRET", "very-secret") if secret in str(made)]
