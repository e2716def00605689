# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the playbook drill asks: a job's policy, whether it is due, the plan of its sample, the record of its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeVar

from ansible.errors import AnsibleFilterError

from ansible_collections.permafrost.backup.plugins.module_utils import drill
from ansible_collections.permafrost.backup.plugins.module_utils.errors import PermafrostError

Found = TypeVar("Found")


def _told(make: Callable[[], Found]) -> Found:
    """The result; an error as Ansible shows those of filters."""
    try:
        return make()
    except PermafrostError as error:
        raise AnsibleFilterError(error.what) from error


def drill_policy(common: Mapping[str, Any], of_jobs: Mapping[str, Mapping[str, Any]], name: str) -> drill.Facts:
    """The policy of a job: what its host says of all, and what is said of this one."""
    return _told(lambda: drill.policy(common, of_jobs.get(name, {})))


def drill_due(policy: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Whether a job is to be drilled now."""
    return _told(lambda: drill.is_due(policy, last, datetime.now(timezone.utc)))


def drill_plan(results: Iterable[Mapping[str, Any]], cold: bool) -> drill.Facts:
    """One plan of those of all paths."""
    return _told(lambda: drill.joined(results, cold=cold))


def drill_record(about: Mapping[str, Any], outcome: Mapping[str, Any], last: Mapping[str, Any]) -> drill.Facts:
    """What is kept of a drill."""
    return _told(lambda: drill.record(about, outcome, last, datetime.now(timezone.utc)))


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "drill_due": drill_due,
            "drill_metrics": drill.metrics,
            "drill_plan": drill_plan,
            "drill_policy": drill_policy,
            "drill_record": drill_record,
        }
