"""What the guards read: the collection's own files, parsed."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.places import CHECKOUT

UTILS = CHECKOUT / "plugins" / "module_utils"
MODULES = CHECKOUT / "plugins" / "modules"
FRAGMENTS = CHECKOUT / "plugins" / "doc_fragments"
PREFIX = "ansible_collections.permafrost.backup.plugins"
# The constants of a module that are documentation.
YAML = ("DOCUMENTATION", "EXAMPLES", "RETURN")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository that exists."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return tuple(name for name in done.stdout.split("\0") if name and (CHECKOUT / name).is_file())


@cache
def tree(path: Path) -> ast.Module:
    """A parsed source file, as Python 3.9 understands it when modules have to run there."""
    old = CHECKOUT / "plugins" in path.parents
    return ast.parse(path.read_text(), str(path), feature_version=(3, 9) if old else None)


def imports(path: Path) -> set[str]:
    """The dotted names of all that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def code_lines(path: Path, node: ast.AST | None = None) -> int:
    """Lines with code: neither empty, nor comment alone, nor part of a docstring or a documentation string."""
    first, last = (getattr(node, "lineno", 1), getattr(node, "end_lineno", 10**9)) if node else (1, 10**9)
    return sum(first <= number <= last for number in _numbers_of_code(path))


@cache
def _numbers_of_code(path: Path) -> frozenset[int]:
    strings = set()
    for one in ast.walk(tree(path)):
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
            strings |= set(range(one.lineno, (one.end_lineno or 0) + 1))
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and one.targets[0].id in YAML:
            strings |= set(range(one.lineno, (one.end_lineno or 0) + 1))
    lines = enumerate(path.read_text().split("\n"), 1)
    return frozenset(
        number
        for number, line in lines
        if number not in strings and line.strip() != "" and not line.strip().startswith("#")
    )


def constant(path: Path, name: str) -> Any:
    """The YAML of a string constant of a module or of a fragment's class."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            assert isinstance(node.value, ast.Constant)
            return yaml.load(str(node.value.value), Loader=yaml.CSafeLoader)  # ten times as fast as the other
    return None


def documented(module: Path) -> dict[str, Any]:
    """The options that a module documents, with those of its fragments; its own words go before theirs."""
    documentation = constant(module, "DOCUMENTATION")
    own, options = documentation.get("options", {}), {}
    for name in documentation.get("extends_documentation_fragment", []):
        file, _dot, part = name.removeprefix("permafrost.backup.").partition(".")
        fragment = constant(FRAGMENTS / f"{file}.py", part.upper() or "DOCUMENTATION")
        for option, words in fragment.get("options", {}).items():
            options[option] = {**words, **options.get(option, {})}
    return {name: {**options.get(name, {}), **own.get(name, {})} for name in {**own, **options}}
