"""The layers and the sizes of the code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import errors
from guard.sources import CHECKOUT, MODULES, PREFIX, UTILS, code_lines, imports, tracked, tree
from lab.typing_check import PURE

PURE_FILES = [UTILS / f"{name}.py" for name in PURE if (UTILS / f"{name}.py").exists()]
PLUGINS = sorted((CHECKOUT / "plugins").rglob("*.py"))
CODE = [CHECKOUT / name for name in tracked() if name.endswith(".py")]
# Names by which pure code could reach the world.
IMPURE = {
    "docker", "boto3", "botocore", "requests", "ansible", "os", "io", "pathlib", "shutil", "subprocess", "socket",
    "tempfile", "fcntl", "signal", "threading", "concurrent", "time", "random", "logging", "sys", "glob", "urllib",
}  # fmt: skip
LIBRARIES = {
    "docker": {"container"},
    "boto3": {"s3"},
    "botocore": {"repeating", "s3", "sessions"},
    "ansible": {"drills", "jobs", "module", "status"},
}


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(CHECKOUT)) for path in paths]


@pytest.mark.parametrize("path", PURE_FILES, ids=names(PURE_FILES))
def test_pure_code_reaches_nothing(path: Path) -> None:
    found = imports(path)
    assert not {name.split(".")[0] for name in found} & IMPURE
    own = {name.removeprefix(f"{PREFIX}.module_utils.") for name in found if name.startswith(PREFIX)}
    assert {name.split(".")[0] for name in own} <= set(PURE)
    called = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}
    clocks = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    assert not clocks & {"now", "utcnow", "today"}


def test_what_says_that_it_is_pure_is_listed() -> None:
    says = {path.stem for path in UTILS.glob("*.py") if re.search(r"\bPure\b", ast.get_docstring(tree(path)) or "")}
    assert says == {path.stem for path in PURE_FILES}


@pytest.mark.parametrize("path", PLUGINS, ids=names(PLUGINS))
def test_libraries_are_used_in_one_place(path: Path) -> None:
    for name in imports(path):
        places = LIBRARIES.get(name.split(".")[0])
        assert places is None or path.stem in places, f"{name} in {path.name}"


@pytest.mark.parametrize("path", PLUGINS, ids=names(PLUGINS))
def test_only_module_py_exits(path: Path) -> None:
    words = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    words |= {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    exits = words & {"exit_json", "fail_json", "AnsibleModule", "exit", "SystemExit"}
    assert exits == ({"exit_json", "fail_json", "AnsibleModule"} if path == UTILS / "module.py" else set())


@pytest.mark.parametrize("path", PLUGINS, ids=names(PLUGINS))
def test_licence_and_future(path: Path) -> None:
    text = path.read_text()
    if text:
        assert "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)" in text
        assert "from __future__ import annotations" in text
        assert "noqa" not in text
        assert "type: ignore" not in text


@pytest.mark.parametrize("path", CODE, ids=names(CODE))
def test_sizes(path: Path) -> None:
    assert code_lines(path) <= 400
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = code_lines(path, node)
            assert length <= (15 if node.name == "main" and path.parent == MODULES else 40), f"{node.name} has {length}"
    if path.parent == MODULES:
        assert code_lines(path) <= 90


def all_errors() -> list[type[errors.PermafrostError]]:
    return [
        one for _name, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.PermafrostError)
    ]


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.__name__)
def test_each_error_says_what_it_means_and_what_to_do(error: type[errors.PermafrostError]) -> None:
    for sentence in (error.meaning, error.next_step):
        assert sentence.endswith(".")
        assert len(sentence.split()) >= 4
    assert error.cause.isidentifier()


def test_each_cause_is_one_error() -> None:
    causes = [error.cause for error in all_errors()]
    assert len(set(causes)) == len(causes) > 20


def test_each_error_is_raised_somewhere() -> None:
    used = "".join(path.read_text() for path in UTILS.glob("*.py") if path.name != "errors.py")
    base = {errors.PermafrostError}
    assert [error.__name__ for error in all_errors() if error.__name__ not in used and error not in base] == []
