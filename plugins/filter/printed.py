# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the playbook print_runbook lays out: the runbook of a job, without its secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import printed
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job


def printed_runbook(job: dict[str, Any], host: str, secrets_at: str = "") -> printed.Facts:
    """The parts of a checked job's runbook."""
    return printed.runbook(Job.from_params(job), host, secrets_at)


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"printed_runbook": printed_runbook, "runbook_markdown": printed.markdown}
