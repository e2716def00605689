"""placing.py: what a restore writes goes to the disk while it runs. All else is tested with restores on real parts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import placing


def test_what_is_written_goes_to_the_disk_meanwhile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []
    twice = threading.Event()

    def sync(place: Path) -> None:
        asked.append(place)
        if len(asked) > 1:
            twice.set()
        raise OSError("not this time")  # which hinders nobody

    monkeypatch.setattr(placing, "_WRITE_SECONDS", 0.01)
    monkeypatch.setattr(placing, "_sync", sync)
    with placing.written_meanwhile(tmp_path):
        assert twice.wait(60)
    assert set(asked) == {tmp_path}
