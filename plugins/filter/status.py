# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the playbook status makes its report of: looks at hosts, the state of the fleet, and its page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.permafrost.backup.plugins.module_utils import fleet, fleet_page
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadTime, PermafrostError
from ansible_collections.permafrost.backup.plugins.module_utils.prices import checked_prices


def looks(jobs: list[dict[str, Any]], results: list[dict[str, Any]], max_age: str | None = None) -> list[fleet.Facts]:
    """The results of duplicity_info on one host, each with what its job promises, and without secrets."""
    return fleet.seen(jobs, results, max_age)


def fleet_status(hosts: dict[str, list[fleet.Facts] | None], prices: dict[str, Any] | None = None) -> fleet.Facts:
    """The looks of all hosts as rows with verdicts and costs, and the points of charts."""
    try:
        return fleet.status(hosts, datetime.now(timezone.utc), checked_prices(prices) if prices else None)
    except BadTime as error:
        raise AnsibleFilterError(f"max_age: {error.message}") from error
    except PermafrostError as error:
        raise AnsibleFilterError(f"prices: {error.message}") from error


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "looks": looks,
            "fleet_status": fleet_status,
            "fleet_page": fleet_page.page,
            "fleet_costs": fleet_page.costs,
        }
