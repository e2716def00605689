"""What tests of duplicity_restore share: a task, an old tree at its destination, and its kill at any point."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.modules import duplicity_restore
from unit.modules.world import World

REPLIES = {"plan": "plan-whole", "info": "status-after-loss", "list": "list", "restore": "restore"}
# The calls by which a task changes what is where.
DEEDS = ("rename", "replace", "unlink", "rmdir", "mkdir")
OLD, NEW = {"old": "old", "below/older": "older"}, {"restored": "content"}


def restore(world: World, *, check: bool = False, **options: Any) -> dict[str, Any]:
    world.replies = {**REPLIES, **world.replies}
    given = {"job": world.job(), "dest": str(world.directory / "dest"), **options}
    return world.run(duplicity_restore, given, check=check)


def make_old(path: Path) -> None:
    """Something that is there already."""
    for name, content in OLD.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)


def files(path: Path) -> dict[str, str]:
    return {str(one.relative_to(path)): one.read_text() for one in path.rglob("*") if one.is_file()}


def hidden(world: World) -> list[str]:
    return [one.name for one in world.directory.iterdir() if one.name.startswith(".")]


class Killed(BaseException):
    """SIGKILL: from here on the task does nothing any more."""


class Sword:
    """Kills the task before its deed of a number, counted from the end of the restore's container on."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.world, self.left, self.armed = world, number, True
        for name in DEEDS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, deed: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any, **more: Any) -> Any:
            if self.armed and "restore" in self.world.verbs():
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return deed(*given, **more)

        return done
