"""compose.py: what the containers of a timer are given."""

from __future__ import annotations

from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import compose, surroundings
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
        assert service["labels"][surroundings.LABEL_VERB] == verb
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


def test_the_container_with_a_scheduler() -> None:
    made = project(name="Web01", scheduler="container", source="/srv/data", state_dir="/state", limits={"cpus": 1.5})
    assert set(made["services"]) == {"scheduler"}
    service = made["services"]["scheduler"]
    assert service["command"] == ["permafrost", "scheduler"]
    assert (service["restart"], service["container_name"]) == ("unless-stopped", "permafrost-Web01-scheduler")
    assert service["healthcheck"]["test"] == ["CMD", "permafrost", "healthy"]
    assert (service["read_only"], service["cap_drop"], service["secrets"]) == (True, ["ALL"], ["job"])
    assert volumes(service) == {"/source/srv/data": ("/srv/data", True), "/state/Web01": ("/state/Web01", False)}
    assert service["cpus"] == 1.5
    assert not {"privileged", "pid", "devices"} & set(service)
    # A module would take a container with the job's label for a run that is on.
    assert surroundings.LABEL_JOB not in str(service)


def test_the_scheduler_goes_by_the_clock_of_its_host() -> None:
    job = Job.from_params(job_params(scheduler="container"))
    (service,) = compose.project(job, time_zone=True)["services"].values()
    assert volumes(service)["/etc/localtime"] == ("/etc/localtime", True)


WHO: dict[str, Any] = {"access_key": "CLEAN", "secret_key": "secret-of-cleanup"}
CLEANING: dict[str, Any] = {
    "name": "a",
    "source": "/srv/data",
    "state_dir": "/state",
    "encryption": {"mode": "symmetric", "passphrase": "secret-phrase"},
    "credentials": {"access_key": "BACKUP", "secret_key": "secret-of-backups"},
    "retention": {
        "keep_fulls": 8,
        "older_than": None,
        "keep_incrementals_of": None,
        "orphans": False,
        "orphan_age": "7D",
    },
    "cleanup_on": "host",
    "cleanup_credentials": WHO,
}


def test_the_cleanup_has_a_job_file_of_its_own_and_sees_no_source() -> None:
    made = project(**CLEANING)
    assert made["secrets"] == {"job": {"file": "./job.json"}, "cleanup": {"file": "./cleanup.json"}}
    service = made["services"]["cleanup"]
    assert service["command"] == ["permafrost", "cleanup"]
    assert service["secrets"] == [{"source": "cleanup", "target": "job"}]
    assert volumes(service) == {"/state/a": ("/state/a", False)}
    assert [made["services"][verb]["secrets"] for verb in ("backup", "verify")] == [["job"], ["job"]]


def test_each_sees_the_files_of_its_own_profile() -> None:
    profiles = {name: {"profile": "p", "aws_dir": f"/srv/aws-{name}"} for name in ("backup", "cleanup")}
    services = project(**{**CLEANING, "credentials": profiles["backup"], "cleanup_credentials": profiles["cleanup"]})[
        "services"
    ]
    for verb, own, other in (("backup", "backup", "cleanup"), ("cleanup", "cleanup", "backup")):
        found = volumes(services[verb])
        assert f"/srv/aws-{own}" in found
        assert f"/srv/aws-{other}" not in found


def test_a_keeper_leaves_nothing_on_the_host() -> None:
    made = project(**{**CLEANING, "cleanup_on": "keeper"})
    assert set(made["services"]) == {"backup", "verify"}
    assert set(made["secrets"]) == {"job"}


def test_the_two_job_files_share_no_secret() -> None:
    options = job_params(**CLEANING)
    backup, cleanup = compose.for_backups(options), compose.for_cleanup(options)
    assert "secret-of-cleanup" not in str(backup)
    assert "secret-of-backups" not in str(cleanup)
    assert "secret-phrase" not in str(cleanup)
    assert (options["cleanup_credentials"], options["credentials"]["access_key"]) == (WHO, "BACKUP"), "untouched"
    read, mine = Job.from_params(cleanup), Job.from_params(backup)
    assert (read.retention, read.cleanup_credentials.access_key) == (mine.retention, "CLEAN")
    assert (mine.cleanup_credentials, mine.credentials.access_key) == (None, "BACKUP")


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
