"""One world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.modules import restores
from unit.modules import world as worlds


@pytest.fixture
def world(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[worlds.World]:
    """A host and a bucket, with only the I/O seam replaced."""
    yield from worlds.make(monkeypatch, tmp_path, capsys)


@pytest.fixture
def dest(world: worlds.World) -> Path:
    """A destination with something in it."""
    path = world.directory / "dest"
    restores.make_old(path)
    return path
