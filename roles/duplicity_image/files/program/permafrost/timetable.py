"""Which jobs run now, in which order, and what is remembered of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from permafrost.cron import Schedule
from permafrost.words import Word

# A run that killed its container twice would do so again.
_TRIES = 2


@dataclass(frozen=True)
class Task:
    """A job of the scheduler: what the image's program is told, when, and what it works on.

    ``words`` are expanded anew for each run. ``target`` is where a backup goes, and what a cleanup cleans.
    """

    name: str
    number: int | None
    verb: str
    target: str
    words: tuple[Word, ...]
    schedule: Schedule


@dataclass(frozen=True)
class Stamp:
    """What is remembered of a job: turns until ``since`` are done with, ``exit_code`` is that of its last run.

    ``tries`` counts runs that were begun since then, and ended together with the container.
    """

    since: datetime
    exit_code: int | None = None
    tries: int = 0


def known(tasks: Sequence[Task], stamps: Mapping[str, Stamp], now: datetime) -> dict[str, Stamp]:
    """The stamps of these jobs.

    One that is new has nothing to catch up. None is later than now, as after a clock that was wrong.
    """
    found = {task.name: stamps.get(task.name, Stamp(now)) for task in tasks}
    return {name: stamp if stamp.since <= now else replace(stamp, since=now) for name, stamp in found.items()}


def due(tasks: Sequence[Task], stamps: Mapping[str, Stamp], now: datetime) -> list[Task]:
    """The jobs whose turn has come, in order of their numbers. However many turns a job has missed, it runs once."""
    found = [task for task in tasks if turn(task, stamps) <= now]
    return sorted(found, key=lambda task: task.number or 0)


def turn(task: Task, stamps: Mapping[str, Stamp]) -> datetime:
    """When a job's turn comes, or has come."""
    return task.schedule.after(stamps[task.name].since)


def next_turn(tasks: Sequence[Task], stamps: Mapping[str, Stamp]) -> datetime | None:
    """When the next turn of all comes."""
    return min((turn(task, stamps) for task in tasks), default=None)


def begun(stamp: Stamp) -> Stamp:
    return replace(stamp, tries=stamp.tries + 1)


def is_given_up(stamp: Stamp) -> bool:
    """Whether a job waits for its next turn, since it would only end its container again."""
    return stamp.tries >= _TRIES


def obstacle(task: Task, tasks: Sequence[Task], stamps: Mapping[str, Stamp]) -> str:
    """Why a job whose turn has come does not run, or nothing."""
    if task.verb == "cleanup":
        for other in tasks:
            if other.verb == "backup" and other.target == task.target and stamps[other.name].exit_code:
                return f"the last backup to {task.target} ({other.name}) failed, and nothing is deleted after that"
    return ""
