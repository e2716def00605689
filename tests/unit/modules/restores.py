"""What tests of duplicity_restore share: a task, and an old tree at its destination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.permafrost.backup.plugins.modules import duplicity_restore
from unit.modules.world import World

REPLIES = {"plan": "plan-whole", "info": "status-after-loss", "list": "list", "restore": "restore"}
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
