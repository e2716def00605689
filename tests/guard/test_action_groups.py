"""meta/runtime.yml: every module is in a group, says so in its documentation, and takes what the group is for."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.permafrost.backup.plugins.module_utils.schema import CONNECTION
from guard.sources import CHECKOUT, FRAGMENTS, MODULES, constant, documented

GROUPS: dict[str, list[str]] = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())["action_groups"]
# What a group's defaults may hold: each member must have these options.
COMMON = {"cost": {"prices"}, "duplicity": {"job"}, "policy": {"region", "kms_key_arn"}, "s3": set(CONNECTION)}
ALL = sorted(path.stem for path in MODULES.glob("*.py"))


def memberships(module: str) -> list[str]:
    """The groups that a module's documentation names."""
    found: list[str] = []
    for name in constant(MODULES / f"{module}.py", "DOCUMENTATION")["extends_documentation_fragment"]:
        file, _dot, part = name.removeprefix("permafrost.backup.").partition(".")
        fragment: dict[str, Any] = constant(FRAGMENTS / f"{file}.py", part.upper() or "DOCUMENTATION")
        found += fragment.get("attributes", {}).get("action_group", {}).get("membership", [])
    return found


@pytest.mark.parametrize("module", ALL)
def test_every_module_is_in_one_group_and_says_so(module: str) -> None:
    groups = [f"permafrost.backup.{name}" for name, members in GROUPS.items() if module in members]
    assert len(groups) == 1
    assert memberships(module) == groups


@pytest.mark.parametrize("group", sorted(COMMON))
def test_every_member_exists_and_takes_the_defaults(group: str) -> None:
    assert set(GROUPS) == set(COMMON)
    assert GROUPS[group] == sorted(set(GROUPS[group]))
    for member in GROUPS[group]:
        assert COMMON[group] <= set(documented(MODULES / f"{member}.py")), member
