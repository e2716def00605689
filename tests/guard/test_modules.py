"""Every module is whole: examples, samples of its results, attributes, and a unit test that runs its main()."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guard.sources import CHECKOUT, FRAGMENTS, MODULES, constant, imports, tree

ALL = sorted(MODULES.glob("*.py"))
TESTS = sorted((CHECKOUT / "tests" / "unit" / "modules").glob("test_*.py"))
every_module = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def attributes(path: Path) -> dict[str, Any]:
    """The attributes that a module documents, its own over those of its fragments."""
    documentation = constant(path, "DOCUMENTATION")
    found: dict[str, Any] = {}
    for name in documentation["extends_documentation_fragment"]:
        file, _dot, part = name.removeprefix("permafrost.backup.").partition(".")
        found.update(constant_of(FRAGMENTS / f"{file}.py", part.upper() or "DOCUMENTATION").get("attributes", {}))
    for name, own in documentation.get("attributes", {}).items():
        found[name] = {**found.get(name, {}), **own}
    return found


def constant_of(path: Path, name: str) -> dict[str, Any]:
    found = constant(path, name)
    assert isinstance(found, dict), f"{path.name} has no {name}"
    return found


def without_sample(returned: dict[str, Any], where: str = "") -> Iterator[str]:
    """Results without an example; of those with parts, the parts count."""
    for name, one in returned.items():
        if "contains" in one:
            yield from without_sample(one["contains"], f"{where}{name}.")
        elif "sample" not in one and name != "error":
            yield f"{where}{name}"


@every_module
def test_three_examples(path: Path) -> None:
    own = [task for task in constant(path, "EXAMPLES") if f"permafrost.backup.{path.stem}" in task]
    assert len(own) >= 3
    assert all(task["name"] for task in own)


@every_module
def test_every_result_has_a_sample(path: Path) -> None:
    assert list(without_sample(constant_of(path, "RETURN"))) == []


@every_module
def test_check_mode_everywhere_and_a_diff_where_something_changes(path: Path) -> None:
    found = attributes(path)
    assert found["check_mode"]["support"] == "full"
    reads_only = path.stem.endswith("_info") or path.stem in ("duplicity_prove", "duplicity_verify")
    assert found["diff_mode"]["support"] == ("none" if reads_only else "full")
    assert {"platform", "action_group"} <= set(found)


@every_module
def test_a_unit_test_runs_main(path: Path) -> None:
    """A file under tests/unit/modules imports the module and hands it to world.run(), which calls main()."""
    name = f"ansible_collections.permafrost.backup.plugins.modules.{path.stem}"
    importing = [test for test in TESTS if name in imports(test)]
    assert any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "run"
        and any(isinstance(one, ast.Name) and one.id == path.stem for one in ast.walk(node))
        for test in importing
        for node in ast.walk(tree(test))
    ), f"no unit test of {path.stem}"
