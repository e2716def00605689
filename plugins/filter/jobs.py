# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the templates of the role duplicity need of a job: the same checks as in the modules, and its files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.utils.display import Display

from ansible_collections.permafrost.backup.plugins.module_utils import compose
from ansible_collections.permafrost.backup.plugins.module_utils.economy import unfit_retention
from ansible_collections.permafrost.backup.plugins.module_utils.errors import PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS


def _as_on_the_host(options: dict[str, Any]) -> dict[str, Any]:
    """The options with paths as plain text: ``~`` and ``$HOME`` would mean those of the controller here."""
    options = copy.deepcopy(options)
    for option in options.values():
        if option.get("type") == "path":
            option["type"] = "str"
        if "options" in option:
            option["options"] = _as_on_the_host(option["options"])
    return options


_OPTIONS = _as_on_the_host(JOB_OPTIONS)


def checked_job(job: dict[str, Any]) -> dict[str, Any]:
    """The job with all defaults. Raises AnsibleFilterError for what a module would refuse; what is unwise is told."""
    job = _rendered(job)
    named = job.get("name", "without a name") if isinstance(job, dict) else "that is no dictionary"
    try:
        found = ArgumentSpecValidator(_OPTIONS).validate(job)
        if found.error_messages:
            raise AnsibleFilterError(f"Job {named}: {'; '.join(found.error_messages)}")
        job_of = Job.from_params(found.validated_parameters)
    except PermafrostError as error:
        raise AnsibleFilterError(f"Job {named}: {error.what}") from error
    except (AttributeError, TypeError) as error:
        raise AnsibleFilterError(f"A job {named}: {error}") from error
    for text in unfit_retention(job_of):
        Display().warning(f"Job {named}: {text}")
    checked: dict[str, Any] = found.validated_parameters
    return checked


def _rendered(value: Any) -> Any:
    """The value in plain containers: a copy of Ansible's own, as validation makes, copies all variables of the play."""
    if isinstance(value, dict):
        return {name: _rendered(one) for name, one in value.items()}
    return [_rendered(one) for one in value] if isinstance(value, list) else value


def job_file(job: dict[str, Any]) -> str:
    """A checked job as the image's program reads it for backups. It holds the job's secrets."""
    return _text(compose.for_backups(job))


def cleanup_file(job: dict[str, Any]) -> str:
    """The same for the cleanup on the host. It holds the credentials that may delete."""
    return _text(compose.for_cleanup(job))


def _text(job: dict[str, Any]) -> str:
    return json.dumps({"job": job}, indent=2, sort_keys=True) + "\n"


def compose_project(job: dict[str, Any], time_zone: bool = False) -> dict[str, Any]:
    """The compose file of a checked job, without secrets. ``time_zone``: whether its host has /etc/localtime."""
    return compose.project(Job.from_params(job), time_zone=time_zone)


def named_directories(jobs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each checked job's name with each of its directories."""
    return [(job["name"], place) for job in jobs for place in compose.directories(Job.from_params(job))]


def differing_files(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the wanted files that are not on the host as they should be.

    ``found`` is what ``find`` with ``get_checksum`` told of the host.
    """
    there = {one["path"]: one for one in found if one["isreg"] and _is_roots(one)}
    return [
        one for one in wanted if any(there.get(one["path"], {}).get(name) != one[name] for name in ("mode", "checksum"))
    ]


def private_directories(found: list[dict[str, Any]]) -> list[str]:
    """The paths of those directories that only root can enter, of all that ``find`` told."""
    return [one["path"] for one in found if one["isdir"] and one["mode"] == "0700" and _is_roots(one)]


def _is_roots(found: dict[str, Any]) -> bool:
    return found["uid"] == 0 and found["gid"] == 0


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "checked_job": checked_job,
            "cleanup_file": cleanup_file,
            "compose_project": compose_project,
            "differing_files": differing_files,
            "job_file": job_file,
            "named_directories": named_directories,
            "private_directories": private_directories,
        }
