"""docs/errors.md says of every cause what the code says."""

from __future__ import annotations

import inspect
from pathlib import Path

from ansible_collections.permafrost.backup.plugins.module_utils import errors

TABLE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_the_table_holds_every_cause_in_the_words_of_its_message() -> None:
    classes = [
        found for _name, found in inspect.getmembers(errors, inspect.isclass) if found.__module__ == errors.__name__
    ]
    no_cause = (errors.PermafrostError, errors.Interrupted)
    wanted = {f"| `{one.cause}` | {one.meaning} | {one.next_step} |" for one in classes if one not in no_cause}
    assert {row for row in TABLE.read_text().splitlines() if row.startswith("| `")} == wanted
