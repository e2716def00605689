"""filter/jobs.py: the job as templates get it; filter/status.py: the state of a fleet.

Not among the unit tests: in a process that has loaded what belongs to the controller, AnsibleModule takes itself for a
part of it and hands its warnings elsewhere.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.permafrost.backup.plugins.filter import jobs, status
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from unit.fleets import look, record
from unit.priced import TABLE

PLAIN: dict[str, Any] = {
    "name": "web01",
    "source": "/srv/data",
    "target": "s3://acme-dr/web01/data",
    "encryption": {"mode": "none"},
}


def test_defaults_are_those_of_the_modules() -> None:
    checked = jobs.checked_job(PLAIN)
    assert (checked["storage_class"], checked["scheduler"], checked["state"]) == ("DEEP_ARCHIVE", "systemd", "present")
    assert checked["schedule"] == {
        "backup": "daily",
        "integrity": "weekly",
        "random_delay": "1h",
        "spread_fulls": True,
        "on_failure": [],
    }
    assert checked["hooks"] == {"before": [], "after": []}


class FromATemplate(dict[str, Any]):
    """As Ansible hands dictionaries to filters: a copy would copy all variables of the play with it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        raise AssertionError("the variables of the whole play are copied")


def test_checking_a_job_copies_no_other_variable() -> None:
    nested = {name: FromATemplate(value) if isinstance(value, dict) else value for name, value in PLAIN.items()}
    assert jobs.checked_job(FromATemplate(nested)) == jobs.checked_job(PLAIN)


def test_paths_are_not_those_of_the_controller() -> None:
    assert jobs.checked_job({**PLAIN, "source": "/srv/$HOME"})["source"] == "/srv/$HOME"
    with pytest.raises(AnsibleFilterError, match=r"Job web01: .*source"):
        jobs.checked_job({**PLAIN, "source": "~/data"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": "nowhere"}, r"Job web01: .*target"),
        ({"storage_class": "TAPE"}, r"Job web01: .*storage_class"),
        ({"surprise": 1}, r"Job web01: .*surprise"),
        ({"reports": {"healthchecks_url": "hc-ping.com"}}, r"Job web01: job\.reports\.healthchecks_url is not a URL"),
        ({"reports": {"mail": {"host": "mail", "to": ["a@b.c"]}}}, r"Job web01: missing required arguments: from"),
        ({"name": None}, r"name .. is not a name"),
    ],
)
def test_what_modules_refuse_is_refused_with_the_jobs_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        jobs.checked_job({**PLAIN, **change})


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="no dictionary"):
        jobs.FilterModule().filters()["checked_job"]("web01")


def test_the_job_file_is_the_job() -> None:
    read = json.loads(jobs.job_file(jobs.checked_job(PLAIN)))
    assert Job.from_params(read["job"]) == Job.from_params(jobs.checked_job(PLAIN))


def test_each_job_file_holds_its_own_secrets_alone() -> None:
    checked = jobs.checked_job(
        {
            **PLAIN,
            "encryption": {"mode": "symmetric", "passphrase": "secret-phrase"},
            "credentials": {"access_key": "BACKUP", "secret_key": "secret-of-backups"},
            "retention": {"keep_fulls": 8},
            "cleanup_on": "host",
            "cleanup_credentials": {"access_key": "CLEAN", "secret_key": "secret-of-cleanup"},
        }
    )
    secrets = ["secret-phrase", "secret-of-backups", "secret-of-cleanup"]
    assert [one for one in secrets if one in jobs.job_file(checked)] == secrets[:2]
    assert [one for one in secrets if one in jobs.cleanup_file(checked)] == secrets[2:]
    assert set(jobs.compose_project(checked)["services"]) == {"backup", "verify", "cleanup"}
    read = Job.from_params(json.loads(jobs.cleanup_file(checked))["job"])
    assert read.retention == Job.from_params(checked).retention


def test_directories_are_named() -> None:
    assert jobs.named_directories([jobs.checked_job(PLAIN)]) == [("web01", "/var/lib/permafrost/web01")]


def test_a_fleet_from_looks_to_its_page() -> None:
    now = datetime.now(timezone.utc)
    fresh = look(last_success={**record(0), "finished": f"{now:%Y-%m-%dT%H:%M:%SZ}"}, chains=[])
    filters = status.FilterModule().filters()
    seen = filters["looks"]([{**PLAIN, "name": "web01-data"}], [fresh], None)
    fleet = filters["fleet_status"]({"web01": seen, "web02": None, "web03": []})
    assert [(row["host"], row["verdict"]) for row in fleet["rows"]] == [("web01", "broken"), ("web02", "broken")]
    assert 0 <= fleet["rows"][0]["last_success_age_seconds"] < 60
    assert (fleet["cost"], filters["fleet_costs"](fleet)) == (None, [])
    priced = filters["fleet_status"]({"web01": seen}, TABLE)
    assert [line.split(":")[0] for line in filters["fleet_costs"](priced)] == ["web01 web01-data", "together"]
    page = filters["fleet_page"](fleet)
    assert (page["jobs"], page["hosts"], page["hosts_without_jobs"]) == (1, 3, ["web03"])
    assert json.loads(json.dumps(fleet)) == fleet


def test_prices_that_are_none_are_named() -> None:
    with pytest.raises(AnsibleFilterError, match="prices: prices has no region"):
        status.fleet_status({}, {"figures": {}})


def test_a_retention_that_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(jobs.Display, "warning", lambda _self, text, **_more: told.append(text))
    jobs.checked_job({**PLAIN, "retention": {"keep_fulls": 7}})
    (text,) = told
    assert text.startswith("Job web01: job.retention: keep_fulls is 7")
    jobs.checked_job({**PLAIN, "retention": {"keep_fulls": 8}})
    assert len(told) == 1


def test_a_wrong_max_age_is_named() -> None:
    seen = status.looks([PLAIN], [look("web01")], "soon")
    with pytest.raises(AnsibleFilterError, match=r"max_age: 'soon' is not an interval"):
        status.fleet_status({"web01": seen})


FILE = {"path": "/etc/permafrost/web01/job.json", "mode": "0600", "uid": 0, "gid": 0, "isreg": True, "isdir": False}
PLACE = {"path": "/etc/permafrost/web01", "mode": "0700", "uid": 0, "gid": 0, "isreg": False, "isdir": True}


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({}, False),
        ({"path": "/etc/permafrost/web02/job.json"}, True),
        ({"mode": "0644"}, True),
        ({"checksum": "b"}, True),
        ({"uid": 1000}, True),
        ({"gid": 1000}, True),
        ({"isreg": False}, True),
    ],
)
def test_files_that_differ(change: dict[str, Any], differs: bool) -> None:
    wanted = [{"kind": "job", "item": "web01", "path": FILE["path"], "mode": "0600", "checksum": "a"}]
    found = [{**FILE, "checksum": "a", **change}, PLACE]
    assert jobs.differing_files(wanted, found) == (wanted if differs else [])


def test_directories_of_root_alone() -> None:
    others = [{**PLACE, **change} for change in ({"mode": "0755"}, {"uid": 1}, {"gid": 1}, {"isdir": False})]
    assert jobs.private_directories([PLACE, *others, FILE]) == [PLACE["path"]]
