"""What a command of the guide becomes, for people: the argv, the warnings, and a job. Pure."""

from __future__ import annotations

import json
from typing import Any

from permafrost.call import Call
from permafrost.entry import entry
from permafrost.masking import mask
from permafrost.words import Values


def text(wanted: Call, values: Values) -> str:
    """Three parts, secrets masked. The last one is YAML, remarks as comments."""
    found = entry(wanted.line, values.hostname(False), values.environment)
    parts = [
        ["# What would be run, one word a line:", *(_shown(word) for word in wanted.argv)],
        ["# Warnings:", *(f"warning: {one}" for one in wanted.warnings or ("none",))],
        ["# The same as a job:", "duplicity_jobs:", *_yaml([found.job], "  "), *(f"# {one}" for one in found.remarks)],
    ]
    return mask("\n\n".join("\n".join(part) for part in parts), values.environment)


def _shown(word: str) -> str:
    """A word that is empty or holds a line break is shown in quotes."""
    return word if word and word.isprintable() else json.dumps(word)


def _yaml(value: Any, indent: str) -> list[str]:
    """Block YAML of lists and dicts. Scalars are JSON, which YAML is too."""
    lines: list[str] = []
    if isinstance(value, list):
        for one in value:
            inner = _yaml(one, indent + "  ") if isinstance(one, dict) else [f"{indent}  {json.dumps(one)}"]
            lines += [f"{indent}- {inner[0].lstrip()}", *inner[1:]]
        return lines
    for name, one in value.items():
        if isinstance(one, (dict, list)):
            lines += [f"{indent}{name}:", *_yaml(one, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {json.dumps(one)}")
    return lines
