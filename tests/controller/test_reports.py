"""filter/reports.py: a report from the consent to the end, as the playbook passes it on."""

from __future__ import annotations

from ansible_collections.permafrost.backup.plugins.filter import reports
from unit.test_report import PLANNED, RESTORED, WISH, quoted


def test_from_the_wish_to_the_text() -> None:
    filters = reports.FilterModule().filters()
    report = filters["begun_report"]("", WISH)
    report = filters["agreed_report"](report, PLANNED, quoted("Bulk"))
    report = filters["finished_report"](report, RESTORED)
    assert report["begun"] <= report["finished"]
    assert filters["report_text"](report).splitlines()[-1] == (
        "Cost:      at most 1.76 USD by the prices of us-east-1, 2026-06"
    )
