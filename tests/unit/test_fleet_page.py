"""fleet_page.py: words, cells and lines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import fleet, fleet_page
from lab.places import CHECKOUT
from unit import fleets
from unit.fleets import GIB, NOW, look, record, run
from unit.priced import PRICES

TEMPLATE = CHECKOUT / "playbooks" / "tasks" / "templates" / "status.html.j2"


def page(*looks: dict[str, Any]) -> dict[str, Any]:
    seen = fleet.seen([fleets.job(one["item"]) for one in looks], looks, None)
    return fleet_page.page(fleet.status({"web01": seen}, NOW, PRICES))


def cells(changes: dict[str, Any]) -> dict[str, Any]:
    (row,) = page(look(**changes))["rows"]
    return {cell["name"]: cell for cell in row["cells"]}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (10240, "10.0 KiB"), (150 * GIB, "150 GiB"), (2 << 50, "2.0 PiB")],
)
def test_sizes(count: int, text: str) -> None:
    assert fleet_page.bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1.5, "1.5 s"), (58.4, "58 s"), (600, "10 min"), (7200, "2 h"), (90000, "25 h"), (864000, "10 d")],
)
def test_spans(seconds: float, text: str) -> None:
    assert fleet_page.span_text(seconds) == text


def test_cells() -> None:
    found = cells({})
    shown = {name: (cell["text"], *cell["notes"]) for name, cell in found.items()}
    assert shown == {
        "success": ("10 h", "2026-11-25 02:24"),
        "full": ("10 d of 4W", "2026-11-15 12:00"),
        "chains": ("2", "newest 2 sets"),
        "size": ("24.0 GiB", "DEEP_ARCHIVE 24.0 GiB", "STANDARD 3.9 KiB"),
        "cost": ("$0.03", "Standard $1.50", "Bulk $1.27"),
        "missing": ("0",),
        "unreadable": ("0",),
        "drill": ("never proven",),
    }
    assert found["full"]["fill"] == "36"
    assert found["success"]["sort"] == "34560"
    assert {cell["mark"] for cell in found.values()} == {""}


def test_marks() -> None:
    drill = record(3, "verify_differs")
    found = cells({"last_success": record(9), "last_run": record(1, unreadable=2), "last_drill": drill})
    assert {name: cell["mark"] for name, cell in found.items() if cell["mark"]} == {
        "success": "broken",
        "unreadable": "broken",
        "drill": "broken",
    }
    assert found["drill"]["text"] == "failed"


def test_the_last_proven_restore() -> None:
    proven = record(3)
    assert cells({"last_drill": proven})["drill"]["text"] == "proven"
    # A drill that could read nothing proves nothing, and what was proven before stays so.
    looked = {**record(1), "proven": proven["proven"]}
    assert cells({"last_drill": looked})["drill"]["notes"] == ("2026-11-22 12:00",)
    assert cells({"last_drill": {**looked, "proven": None}})["drill"]["text"] == "never proven"
    failed = cells({"last_drill": {**record(1, "damaged_volume"), "proven": proven["proven"]}})["drill"]
    assert failed["notes"] == ("2026-11-24 12:00", "proven 2026-11-22 12:00")


def test_what_was_not_looked_at_is_empty_and_sorts_last() -> None:
    (row,) = page({"item": "a", "unreachable": True, "msg": "gone"})["rows"]
    assert {(cell["text"], cell["sort"]) for cell in row["cells"]} == {("", "")}
    assert (row["stored"], row["durations"], row["word"]) == ({}, {}, "broken")


def test_lines() -> None:
    (row,) = page(look(history=[run(2, 30.0), run(1, 60.0, exit_code=1)]))["rows"]
    assert row["stored"]["line"].startswith("M0 ")
    assert row["stored"]["line"].endswith("V0.0H90")
    assert (row["durations"]["good"], row["durations"]["bad"]) == ("M85 22v-11", "M88 22v-22")
    assert "2 backups, 1 failed; the last took 60 s" in row["durations"]["title"]


def test_charts() -> None:
    stored, durations = page(look())["charts"]
    assert [tick["text"] for tick in stored["y_ticks"]] == ["24.0 GiB", "12.0 GiB", "0 B"]
    assert [tick["text"] for tick in stored["x_ticks"]] == ["2026-10-16", "2026-11-25"]
    assert [line["name"] for line in durations["lines"]] == ["median", "longest"]
    assert durations["summary"] == "from 2026-11-23 to 2026-11-25, last median 60 s, longest 60 s"


def test_charts_of_nothing_and_of_one_point() -> None:
    for chart in page({"item": "a", "unreachable": True, "msg": "gone"})["charts"]:
        assert (chart["lines"], chart["summary"]) == ([], "no data yet")
    one = look(chains=[fleets.chain(fleets.backup_set(1, GIB, "full"))], history=[run(1)])
    for chart in page(one)["charts"]:
        assert chart["lines"][0]["path"] == "M594 0.0H600"
        assert len(chart["x_ticks"]) == 1


def test_each_expression_of_the_template_is_escaped() -> None:
    expressions = re.findall(r"\{\{(.*?)\}\}", TEMPLATE.read_text())
    assert len(expressions) > 40
    plain = [one.strip() for one in expressions if not re.search(r"\| e \Z", one)]
    assert all(re.fullmatch(r"""(['"].*['"]) if loop\.(first|last) else ['"].*['"]""", one) for one in plain), plain
