"""metrics.py: the text that node_exporter reads, by the parser of Prometheus; what is kept between runs."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.permafrost.backup.plugins.module_utils import figures
from permafrost import measuring, metrics
from permafrost.outcome import Outcome

BEGUN = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)
GOOD = Outcome("web01-data", "backup", 0, BEGUN, BEGUN + timedelta(seconds=90.5), "", None)
BAD = replace(GOOD, exit_code=31, started=BEGUN + timedelta(days=1), finished=BEGUN + timedelta(days=1, seconds=2))
KNOWN = {"read_bytes": 5e9, "stored_bytes": 1234567.0, "volumes": 3.0, "last_full_timestamp_seconds": 1.7e9}
STATISTICS = """\
Last full backup date: Sun Nov  1 02:00:00 2026
--------------[ Backup Statistics ]--------------
StartTime 1762000000.00 (Sun Nov  1 02:00:00 2026)
ElapsedTime 1.50 (1.50 seconds)
SourceFiles 12
SourceFileSize 4096000 (3.91 MB)
TotalDestinationSizeChange 2048 (2.00 KB)
Errors 0
-------------------------------------------------
"""


def parsed(text: str) -> dict[tuple[str, str], float]:
    """Metric and verb to value; all are of one job, documented, and gauges."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert sample.labels.keys() == {"job", "verb"}
            found[sample.name.removeprefix("permafrost_"), sample.labels["verb"]] = sample.value
    return found


def test_a_good_run() -> None:
    found = parsed(figures.text("web01-data", metrics.updated({}, "backup", metrics.figures(GOOD, KNOWN))))
    ended = GOOD.finished.timestamp()
    assert found == {
        **{(name, "backup"): value for name, value in KNOWN.items()},
        ("last_run_timestamp_seconds", "backup"): ended,
        ("last_success_timestamp_seconds", "backup"): ended,
        ("duration_seconds", "backup"): 90.5,
        ("exit_code", "backup"): 0,
    }


def test_a_bad_run_keeps_what_it_does_not_know() -> None:
    state = metrics.updated({}, "backup", metrics.figures(GOOD, KNOWN, BEGUN))
    found = parsed(figures.text("a", metrics.updated(state, "backup", metrics.figures(BAD, {}))))
    assert found["exit_code", "backup"] == 31
    assert found["last_run_timestamp_seconds", "backup"] == BAD.finished.timestamp()
    assert found["last_success_timestamp_seconds", "backup"] == GOOD.finished.timestamp()
    assert (found["volumes", "backup"], found["duration_seconds", "backup"]) == (3, 2)
    assert found["next_run_timestamp_seconds", "backup"] == BEGUN.timestamp()


def test_verbs_do_not_mix() -> None:
    state = metrics.updated({}, "backup", metrics.figures(BAD, KNOWN))
    state = metrics.updated(state, "verify", metrics.figures(replace(GOOD, verb="verify"), {}))
    found = parsed(figures.text("a", state))
    assert (found["exit_code", "backup"], found["exit_code", "verify"]) == (31, 0)
    assert ("last_success_timestamp_seconds", "backup") not in found
    assert ("volumes", "verify") not in found


def test_figures_of_what_duplicity_prints() -> None:
    assert metrics.of_output(STATISTICS) == {"read_bytes": 4096000, "stored_bytes": 2048}
    assert metrics.of_output("Error: no statistics") == {}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "ünï"])
def test_a_label_holds_any_name(name: str) -> None:
    text = figures.text(name, {"backup": {"exit_code": 0.0}})
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels["job"] == name


@pytest.mark.parametrize(
    "state", [None, [], {"backup": 1}, {"backup": {"exit_code": "x"}}, {"backup": {"surprise": 1, "volumes": None}}]
)
def test_a_state_that_is_none_does_not_matter(state: object) -> None:
    assert figures.text("a", metrics.checked(state)) == ""


def test_the_file_is_for_all_and_the_state_is_kept(tmp_path: Path) -> None:
    figures_file = tmp_path / "state" / "metrics.json"
    figures_file.parent.mkdir()
    figures_file.write_text("{cut of")
    measuring.write(str(tmp_path), str(figures_file), GOOD, metrics.figures(GOOD, KNOWN))
    verify = replace(GOOD, verb="verify")
    measuring.write(str(tmp_path), str(figures_file), verify, metrics.figures(verify, {}))
    file = tmp_path / "permafrost-web01-data.prom"
    assert {verb for _name, verb in parsed(file.read_text())} == {"backup", "verify"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert set(json.loads(figures_file.read_text())) == {"backup", "verify"}
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".prom" or "new" in path.name] == [file.name]
    # Without a place for figures they lie beside the metrics, under a name that node_exporter does not read.
    measuring.write(str(tmp_path), None, GOOD, metrics.figures(GOOD, KNOWN))
    assert {verb for _name, verb in parsed(file.read_text())} == {"backup"}
    assert (tmp_path / "permafrost-web01-data.json").is_file()
