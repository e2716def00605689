"""The repository: a calm root, no machine's paths, and documents that name what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from guard.sources import CHECKOUT, MODULES, documented, tracked

DOCUMENTS = [name for name in tracked() if name.endswith(".md")]
TEXTS = [name for name in tracked() if not name.startswith("tests/unit/transcripts/")]
# This checkout and anybody's home: nothing of the machine on which a file was written.
MACHINE = re.compile(rf"{re.escape(str(CHECKOUT))}\b|/(?:root|Users)/|/home/\w+/")
MAKE_TARGETS = set(re.findall(r"(?m)^([a-z][a-z ]*):", (CHECKOUT / "Makefile").read_text()))


def test_a_calm_root() -> None:
    entries = {name.split("/")[0] for name in tracked()}
    assert len(entries) <= 20


def test_galaxy_yml() -> None:
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())
    assert (galaxy["namespace"], galaxy["name"]) == ("permafrost", "backup")
    assert re.fullmatch(r"\d+\.\d+\.\d+", galaxy["version"])
    assert (CHECKOUT / galaxy["readme"]).is_file()
    licence = (CHECKOUT / galaxy["license_file"]).read_text()
    assert "GNU GENERAL PUBLIC LICENSE" in licence
    assert "Version 3" in licence
    assert {"tests", ".lab", "Makefile", "pyproject.toml"} <= set(galaxy["build_ignore"])


def test_the_changelog_knows_the_version() -> None:
    galaxy = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())
    assert galaxy["version"] in (CHECKOUT / "CHANGELOG.md").read_text()


def test_no_directory_hides_a_playbook() -> None:
    """Ansible looks for `permafrost.backup.NAME` without a suffix first."""
    place = CHECKOUT / "playbooks"
    assert [path.name for path in place.iterdir() if path.is_dir() and (place / f"{path.name}.yml").exists()] == []


def test_rulebooks_are_shipped_and_run_playbooks_that_are_there() -> None:
    books = [name for name in tracked() if name.startswith("extensions/eda/rulebooks/")]
    ignored = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["build_ignore"]
    assert books
    assert "extensions" not in ignored
    for name in books:
        for rule in yaml.safe_load((CHECKOUT / name).read_text())[0]["rules"]:
            playbook = rule["action"]["run_playbook"]["name"].removeprefix("permafrost.backup.")
            assert (CHECKOUT / "playbooks" / f"{playbook}.yml").exists()


def test_runtime_yml() -> None:
    runtime = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text())
    assert runtime["requires_ansible"].startswith(">=2.")


def test_the_execution_environment_has_what_the_collection_needs() -> None:
    made = yaml.safe_load((CHECKOUT / "meta" / "execution-environment.yml").read_text())
    lines = (CHECKOUT / made["dependencies"]["python"]).read_text().splitlines()
    assert (CHECKOUT / made["dependencies"]["system"]).is_file()
    role = yaml.safe_load((CHECKOUT / "roles" / "duplicity_image" / "vars" / "main" / "host.yml").read_text())
    assert [line for line in lines if not line.startswith("#")] == role["duplicity_image__python_pins"]


@pytest.mark.parametrize("name", TEXTS)
def test_no_path_of_a_machine(name: str) -> None:
    if name != str(Path(__file__).relative_to(CHECKOUT)):
        assert not MACHINE.search((CHECKOUT / name).read_text(errors="replace"))


def test_the_guard_finds_a_planted_path() -> None:
    assert MACHINE.search(f"see {CHECKOUT}/x")
    assert MACHINE.search("/home/somebody/src")
    assert not MACHINE.search("/srv/data /var/lib/permafrost")


def targets() -> set[str]:
    return {word for line in MAKE_TARGETS for word in line.split()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_name_existing_files(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in link and not link.startswith("mailto:"):
            assert (CHECKOUT / name).parent.joinpath(link).exists(), link
    for path in re.findall(r"`((?:plugins|tests|roles|playbooks|docs|meta)/[\w./-]+)`", text):
        assert (CHECKOUT / path).exists(), path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_name_existing_targets(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    for target in re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z]+)\b", text, re.M):
        assert target in targets(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_give_modules_existing_options(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    for block in re.findall(r"```ya?ml\n(.*?)```", text, re.S):
        for module, options in module_calls(yaml.safe_load(block)):
            path = MODULES / f"{module}.py"
            assert path.exists() or (CHECKOUT / "roles" / module).exists(), module
            if path.exists() and isinstance(options, dict):
                assert set(options) <= set(documented(path)), module


def module_calls(value: object) -> list[tuple[str, object]]:
    """All `permafrost.backup.NAME: OPTIONS` in a YAML document."""
    if isinstance(value, list):
        return [call for one in value for call in module_calls(one)]
    if not isinstance(value, dict):
        return []
    prefix = "permafrost.backup."
    own = [(key.removeprefix(prefix), given) for key, given in value.items() if str(key).startswith(prefix)]
    return own + [call for given in value.values() for call in module_calls(given)]
