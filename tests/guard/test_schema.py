"""Argument specs equal their documentation, option for option; and the comparison notices every single change."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from guard.sources import FRAGMENTS, MODULES, PREFIX, constant, documented
from lab import role_spec

KEYS = ("type", "default", "choices", "required", "elements")
ALL = sorted(MODULES.glob("*.py"))


def differences(spec: dict[str, Any], docs: dict[str, Any], where: str = "") -> Iterator[str]:
    """What differs between an argument spec and the documentation of its options."""
    for name in sorted(spec.keys() ^ docs.keys()):
        yield f"{where}{name} is only in {'the spec' if name in spec else 'the documentation'}"
    for name in sorted(spec.keys() & docs.keys()):
        one, other = spec[name], docs[name]
        for key in KEYS:
            if one.get(key, False if key == "required" else None) != other.get(
                key, False if key == "required" else None
            ):
                yield f"{where}{name}.{key} is {one.get(key)!r} and documented as {other.get(key)!r}"
        if not other.get("description"):
            yield f"{where}{name} has no description"
        yield from differences(one.get("options", {}), other.get("suboptions", {}), f"{where}{name}.")


def job_docs() -> dict[str, Any]:
    options: dict[str, Any] = constant(FRAGMENTS / "job.py", "DOCUMENTATION")["options"]["job"]["suboptions"]
    return options


def test_the_job_is_documented_as_it_is() -> None:
    assert list(differences(JOB_OPTIONS, job_docs())) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_each_module_is_documented_as_it_is(path: Path) -> None:
    module = importlib.import_module(f"{PREFIX}.modules.{path.stem}")
    assert list(differences(module.SPEC, documented(path))) == []


def mutations(options: dict[str, Any], nested: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to change one thing of one option, at any depth."""
    for name, option in options.items():
        without = copy.deepcopy(options)
        del without[name]
        yield f"{name} gone", without
        for key in KEYS:
            changed = copy.deepcopy(options)
            before = changed[name].get(key)
            changed[name][key] = not before if isinstance(before, bool) else "something else"
            yield f"{name}.{key}", changed
            if key in option and option[key] is not False:
                less = copy.deepcopy(options)
                del less[name][key]
                yield f"{name}.{key} gone", less
        for label, inner in mutations(option.get(nested, {}), nested):
            yield f"{name}.{label}", {**options, name: {**option, nested: inner}}


def test_every_change_of_the_spec_is_noticed() -> None:
    docs = job_docs()
    assert [label for label, spec in mutations(JOB_OPTIONS, "options") if not list(differences(spec, docs))] == []


def test_every_change_of_the_documentation_is_noticed() -> None:
    changed = list(mutations(job_docs(), "suboptions"))
    assert len(changed) > 5 * len(JOB_OPTIONS)
    assert [label for label, docs in changed if not list(differences(JOB_OPTIONS, docs))] == []


def own(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """A module's options. What is in the job is changed elsewhere, once for all modules."""
    job = {key: value for key, value in options.get("job", {}).items() if key != nested}
    return {**options, "job": job} if job else options


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_change_of_a_module_is_noticed(path: Path) -> None:
    spec = own(importlib.import_module(f"{PREFIX}.modules.{path.stem}").SPEC, "options")
    docs = own(documented(path), "suboptions")
    assert list(differences(spec, docs)) == []
    specs, docses = list(mutations(spec, "options")), list(mutations(docs, "suboptions"))
    assert min(len(specs), len(docses)) > 5 * len(spec)
    assert [label for label, changed in specs if not list(differences(changed, docs))] == []
    assert [label for label, changed in docses if not list(differences(spec, changed))] == []


def role_options() -> dict[str, Any]:
    """The job in the role's argument spec, with the words of a module's documentation."""
    found = yaml.safe_load(role_spec.SPEC.read_text())["argument_specs"]["main"]["options"]["duplicity_jobs"]
    return as_documented(found["options"])


def as_documented(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {("suboptions" if key == "options" else key): (as_documented(value) if key == "options" else value)
               for key, value in option.items()}
        for name, option in options.items()
    }  # fmt: skip


def test_the_role_takes_the_job_as_it_is() -> None:
    assert list(differences(JOB_OPTIONS, role_options())) == []
    assert role_spec.SPEC.read_text() == role_spec.text(), "run python -m lab.role_spec"


def test_every_change_of_the_role_is_noticed() -> None:
    changed = list(mutations(role_options(), "suboptions"))
    assert [label for label, options in changed if not list(differences(JOB_OPTIONS, options))] == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_examples_use_existing_options(path: Path) -> None:
    examples = constant(path, "EXAMPLES")
    own = [task[f"permafrost.backup.{path.stem}"] for task in examples if f"permafrost.backup.{path.stem}" in task]
    assert own, "an example of the module itself"
    for task in examples:
        for action, given in task.items():
            name = action.removeprefix("permafrost.backup.")
            if action != name:
                assert set(given) <= set(documented(MODULES / f"{name}.py"))
