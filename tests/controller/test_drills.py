"""filter/drills.py: what the playbook drill asks, and an error as Ansible shows it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.permafrost.backup.plugins.filter import drills
from unit.test_drill import ABOUT, LAST, REPORT, RESTORED, planned, volume


def test_from_the_policy_to_the_metrics() -> None:
    filters = drills.FilterModule().filters()
    policy = filters["drill_policy"]({"sample": 5}, {"films": {"cold": True, "max_cost": 2}}, "films")
    assert (policy["sample"], policy["cold"]) == (5, True)
    assert filters["drill_due"](policy, {})
    assert filters["drill_plan"]([planned("a", volume("1", "frozen"))], True)["paths"] == ["a"]
    record = filters["drill_record"](ABOUT, {"restored": [RESTORED], "report": REPORT}, LAST)
    assert record["outcome"] == "proven"
    assert 'permafrost_exit_code{job="web01-data",verb="drill"} 0' in filters["drill_metrics"](record)


def test_a_wrong_policy() -> None:
    with pytest.raises(AnsibleFilterError, match="has no smaple"):
        drills.drill_policy({"smaple": 1}, {}, "films")
