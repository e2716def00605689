"""python -m lab.role_spec: write the argument spec of the role duplicity from the documentation of the job.

A role's argument spec can include nothing, so the job stands in it once more; a guard test compares.
"""

from __future__ import annotations

import ast
import sys
from typing import Any

import yaml

from lab.places import CHECKOUT

FRAGMENT = CHECKOUT / "plugins" / "doc_fragments" / "job.py"
SPEC = CHECKOUT / "roles" / "duplicity" / "meta" / "argument_specs.yml"
OWN = CHECKOUT / "roles" / "duplicity" / "meta" / "own_options.yml"
HEAD = (
    "---\n# Written by `python -m lab.role_spec` from own_options.yml and the documentation of the job: do not edit.\n"
)


def spec() -> dict[str, Any]:
    """The argument spec as data."""
    own: dict[str, Any] = yaml.safe_load(OWN.read_text(encoding="utf-8"))
    own["argument_specs"]["main"]["options"]["duplicity_jobs"]["options"] = _options(_job())
    return own


def _job() -> dict[str, Any]:
    for node in ast.walk(ast.parse(FRAGMENT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            # What is an option of job there is one of duplicity_jobs here.
            found: dict[str, Any] = yaml.safe_load(str(node.value.value).replace("O(job.", "O(duplicity_jobs[]."))
            suboptions: dict[str, Any] = found["options"]["job"]["suboptions"]
            return suboptions
    raise SystemExit(f"{FRAGMENT} documents no job")


def _options(documented: dict[str, Any]) -> dict[str, Any]:
    """What is ``suboptions`` in a module's documentation is ``options`` in a spec."""
    return {
        name: {("options" if key == "suboptions" else key): (_options(value) if key == "suboptions" else value)
               for key, value in option.items() if key != "version_added"}
        for name, option in documented.items()
    }  # fmt: skip


class _Indented(yaml.SafeDumper):
    """Lists below a key are indented, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def text() -> str:
    """The file."""
    shown: str = yaml.dump(spec(), Dumper=_Indented, sort_keys=False, width=90, allow_unicode=True)
    return HEAD + shown


if __name__ == "__main__":
    SPEC.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{SPEC}\n")
