"""The status page of 500 jobs, as the playbook's own template makes it, and a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import fleet
from lab import play
from lab.browser import Browser, browser
from lab.places import CHECKOUT
from unit import fleets
from unit.fleets import GIB, NOW, backup_set, chain, look, objects, record, run
from unit.priced import PRICES

TEMPLATE = CHECKOUT / "playbooks" / "tasks" / "templates" / "status.html.j2"
# A name that would become markup, were it not escaped.
SHARP = "<img src=x onerror=alert(1)>"
JOBS = 500
WRONG: list[dict[str, Any]] = [
    {"last_success": record(4), "last_run": record(0.4, "endpoint_unreachable")},
    {"chains": [chain(backup_set(9, 3 * GIB, "full", missing=2), backup_set(0.4, GIB))]},
    {"last_run": record(0.4, "source_unreadable", 17)},
    {"interrupted": [{"time": fleets.ago(hours=2)}]},
    {"chains": [chain(backup_set(60, 90 * GIB, "full"), *(backup_set(59 - day, GIB / 50) for day in range(59)))]},
]


def jobs() -> dict[str, list[dict[str, Any]]]:
    """Looks by host: two jobs on each, every twentieth with something wrong, and hosts that do not answer."""
    hosts: dict[str, list[dict[str, Any]]] = {}
    for number in range(JOBS):
        name = f"{('data', 'db')[number % 2]}-{number:03}"
        size = (number * 7919 % 997 + 1) * GIB // 10
        incrementals = [backup_set(13 - day, size // (30 + day * number % 40)) for day in range(13)]
        found = look(
            name,
            chains=[chain(backup_set(41, size, "full")), chain(backup_set(14, size, "full"), *incrementals)],
            size_bytes={"DEEP_ARCHIVE": 2 * size, "STANDARD": size // 200},
            stored=[objects("DEEP_ARCHIVE", 90, 2 * size), objects("STANDARD", 30, size // 200)],
            newest_volumes=[objects("DEEP_ARCHIVE", 45, size)],
            last_success=record(0.1 + number % 20 / 20),
            last_drill=record(30) if number % 3 == 0 else None,
            history=[
                run(29 - day, 40 + number % 90 * 10 + day * number % 37, int(day * number % 83 == 1))
                for day in range(30)
            ],
        )
        if number % 20 == 7:
            found.update(WRONG[number // 20 % len(WRONG)])
        if number % 100 == 50:
            found = {"item": name, "unreachable": True, "msg": f"ssh: connect to host web{number // 2:03}: timed out"}
        hosts.setdefault(f"web{number // 2:03}.example.com", []).append(found)
    hosts["web000.example.com"][0]["item"] = SHARP
    hosts["web249.example.com"][1] |= {"last_success": None, "last_run": None, "chains": [], "size_bytes": {}}
    return hosts


def state() -> dict[str, Any]:
    """The state of that fleet, and of a host without a job."""
    seen: dict[str, list[dict[str, Any]] | None] = {"spare.example.com": []}
    for host, looks in jobs().items():
        own = [fleets.job(one["item"], target=f"s3://acme-dr/{host}/{one['item']}") for one in looks]
        seen[host] = fleet.seen(own, looks, None)
    return fleet.status(seen, NOW, PRICES)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, rendered by Ansible."""
    work = tmp_path_factory.mktemp("page")
    model = work / "model.json"
    model.write_text(json.dumps(state()), encoding="utf-8")
    written = work / "status.html"
    task = {"name": "Write", "ansible.builtin.template": {"src": str(TEMPLATE), "dest": str(written), "mode": "0600"}}
    task["vars"] = {"page": f"{{{{ lookup('file', '{model}') | from_json | permafrost.backup.fleet_page }}}}"}
    done = play.run([task], work)
    assert done.code == 0, done.output
    return written


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    """One window for all tests."""
    with browser() as opened:
        yield opened
