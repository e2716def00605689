# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job's figures in the text format of Prometheus, for the textfile collector of node_exporter.

Pure, and shared by the image's program, which writes those of runs, and the playbook of drills. node_exporter refuses
two files that tell different things of one figure.
"""

from __future__ import annotations

from collections.abc import Mapping

# Figure, and what Prometheus is told of it. All are gauges.
FIGURES = {
    "last_run_timestamp_seconds": "When the last run of the verb ended.",
    "last_success_timestamp_seconds": "When the last run of the verb that went well ended.",
    "last_full_timestamp_seconds": "The time of the last full backup that is complete.",
    "duration_seconds": "How long the last run of the verb took.",
    "exit_code": "The exit code of the last run of the verb, 0 when it went well.",
    "read_bytes": "The size of the source at the last backup.",
    "stored_bytes": "What the last backup stored.",
    "volumes": "How many volumes the last backup stored.",
    "next_run_timestamp_seconds": "When the verb runs next.",
}


def text(job: str, state: Mapping[str, Mapping[str, float]]) -> str:
    """The file: figures by verb."""
    lines = []
    for figure, meaning in FIGURES.items():
        rows = [(verb, found[figure]) for verb, found in sorted(state.items()) if figure in found]
        if rows:
            name = f"permafrost_{figure}"
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [f'{name}{{job="{_label(job)}",verb="{_label(verb)}"}} {_number(value)}' for verb, value in rows]
    return "".join(f"{line}\n" for line in lines)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
