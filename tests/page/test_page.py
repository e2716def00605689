"""The status page in Chromium: 500 rows sort and filter by keyboard; no complaint, and no request leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from page.conftest import JOBS, SHARP

from lab.browser import Browser

ENTER, TAB = "\ue007", "\ue004"
# Text of the cells of the first row that is shown, and how many are.
FIRST = """
  const shown = [...document.querySelectorAll("tbody:not([hidden])")];
  const cells = [...shown[0].rows[0].cells].map((cell) => cell.innerText.split("\\n")[0].trim());
  return {count: shown.length, cells: cells, shown: document.getElementById("shown").textContent};
"""
SORTED = "return [...document.querySelectorAll('thead th')].map((one) => one.getAttribute('aria-sort'))"
COLUMNS = [
    "State", "Host", "Job", "Last success", "Last full", "Chains", "Size", "Cost", "Missing",
    "Unreadable", "Restore drill",
]  # fmt: skip
WHY = "return document.querySelector('tbody:not([hidden]) .why b').textContent"


@pytest.fixture
def opened(window: Browser, page: Path) -> Browser:
    """The page, fresh."""
    window.open(page)
    return window


def first(window: Browser) -> dict[str, Any]:
    """The first row by column, and how many are shown."""
    found = window.run(FIRST)
    return {**dict(zip(COLUMNS, found["cells"], strict=False)), "count": found["count"], "shown": found["shown"]}


def sort(window: Browser, column: str, keys: str = ENTER) -> dict[str, Any]:
    """Press a key on the heading of a column."""
    window.press(f"thead th:nth-child({COLUMNS.index(column) + 1}) button", keys)
    return first(window)


def test_nothing_is_complained_of_and_nothing_asked_for(window: Browser, page: Path) -> None:
    window.logged()
    window.requested()
    window.open(page)
    sort(window, "Host")
    window.press("#words", "web1")
    assert window.logged() == []
    assert [address for address in window.requested() if not address.startswith("data:")] == [page.resolve().as_uri()]


def test_a_page_that_complains_and_asks_would_be_noticed(window: Browser, page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    policy = text[text.index('<meta http-equiv="Content-Security-Policy"') :].split(">")[0] + ">"
    tampered = tmp_path / "tampered.html"
    planted = '<img src="http://planted.example.com/pixel"><script>console.error("planted")</script>'
    tampered.write_text(text.replace(policy, "").replace("<header>", f"{planted}<header>"))
    window.requested()
    window.open(tampered)
    assert "http://planted.example.com/pixel" in window.requested()
    assert any("planted" in line for line in window.logged())
    tampered.write_text(text.replace("<header>", f"{planted}<header>"))
    window.open(tampered)
    assert any("Content Security Policy" in line for line in window.logged())
    window.requested()


def test_the_worst_come_first(opened: Browser) -> None:
    found = first(opened)
    assert (found["State"], found["Host"], found["Job"]) == ("broken", "web003.example.com", "db-007")
    assert (found["count"], found["shown"]) == (JOBS, f"{JOBS} of {JOBS} shown")
    assert opened.run("return document.title") == "Backups: 26 broken of 500"
    assert opened.run("return document.querySelector('caption').textContent")
    assert opened.run("return document.querySelectorAll('tbody th[scope=row]').length") == JOBS


def test_columns_sort_by_keyboard(opened: Browser) -> None:
    assert sort(opened, "Host")["Host"] == "web000.example.com"
    assert sort(opened, "Host", " ")["Host"] == "web249.example.com"
    assert opened.run(SORTED) == [None, "descending", *[None] * 11]
    size = sort(opened, "Size")
    assert size["Size"] == "0 B"
    assert sort(opened, "Size")["Size"] == "200 GiB"
    assert sort(opened, "Last success")["Last success"] == "2 h"
    assert sort(opened, "Last success")["Last success"] == "4 d"
    assert sort(opened, "Missing")["Missing"] == "0"
    assert sort(opened, "Missing")["Missing"] == "2"
    last = opened.run("return [...document.querySelectorAll('tbody')].at(-1).rows[0].cells[8].textContent")
    assert last == ""
    assert sort(opened, "State")["State"] == "broken"
    assert sort(opened, "State")["State"] == "fine"


def test_all_headings_are_reached_by_tab(opened: Browser) -> None:
    opened.press("#words", TAB * 5 + ENTER)
    assert opened.run(SORTED)[0] == "descending"
    opened.press("thead th button", TAB + ENTER)
    assert opened.run(SORTED)[1] == "ascending"


def test_words_and_states_filter(opened: Browser) -> None:
    opened.press("#words", "WEB12 db")
    found = first(opened)
    assert (found["count"], found["shown"]) == (10, "10 of 500 shown")
    assert all(part in f"{found['Host']} {found['Job']}" for part in ("web12", "db"))
    opened.press("#words", "\ue003" * 8)
    assert first(opened)["count"] == JOBS
    opened.press("button[data-level=broken]", ENTER)
    broken = first(opened)
    assert (broken["State"], broken["count"]) == ("broken", 26)
    opened.press("#words", "timed out")
    assert first(opened)["count"] == 5
    assert opened.run(WHY).startswith("ssh: connect")


def test_names_are_no_markup(opened: Browser) -> None:
    opened.press("#words", "onerror")
    assert first(opened)["Job"] == SHARP
    assert opened.run("return document.images.length") == 0


@pytest.mark.parametrize(("name", "more"), [("light", {}), ("dark", {"dark": True}), ("paper", {"paper": True})])
def test_it_fits_a_screen_and_paper(
    window: Browser, page: Path, tmp_path: Path, name: str, more: dict[str, bool]
) -> None:
    window.show(1440, 900, **more)
    window.open(page)
    assert window.run("return document.documentElement.scrollWidth <= innerWidth")
    ground = window.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    assert (sum(ground) < 150) == (name == "dark")
    assert window.run("return getComputedStyle(document.querySelector('form')).display") == (
        "none" if name == "paper" else "flex"
    )
    window.picture(tmp_path / f"{name}.png")
    window.show(1440, 900)
