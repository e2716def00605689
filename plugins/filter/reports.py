# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a restore, as the playbook restore writes it step by step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import report


def begun_report(text: str, wish: dict[str, Any]) -> dict[str, Any]:
    """The report that an earlier run of the same restore left unfinished, or a new one."""
    return report.begun(text, wish)


def agreed_report(of: dict[str, Any], planned: dict[str, Any], quoted: dict[str, Any]) -> dict[str, Any]:
    """The report with plan and quote."""
    return report.agreed(of, planned, quoted, datetime.now(timezone.utc))


def finished_report(of: dict[str, Any], restored: dict[str, Any]) -> dict[str, Any]:
    """The report with what was restored, and its cost."""
    return report.finished(of, restored, datetime.now(timezone.utc))


def report_text(of: dict[str, Any]) -> str:
    """A finished report for people."""
    return report.text(of)


class FilterModule:
    """What Ansible asks for the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "agreed_report": agreed_report,
            "begun_report": begun_report,
            "finished_report": finished_report,
            "report_text": report_text,
        }
