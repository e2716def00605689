"""Tasks that must fail: how they are written down, and how their options are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from integration.errors.playing import Result, Task, play
from integration.errors.stage import Stage

# Case -> (module, its options, cause, what the message says). ``w`` is the stage.
Case = tuple[str, Callable[[Stage], dict[str, Any]], str, tuple[str, ...]]
BACKUP, INFO, PLAN, RESTORE = "duplicity_backup", "duplicity_info", "glacier_restore_info", "duplicity_restore"
THAW = "glacier_restore"


def job(prefix: str = "plain", **changes: Any) -> Callable[[Stage], dict[str, Any]]:
    """Options with a job that looks at the good backup, with something about it that is wrong."""
    return lambda w: {"job": w.job("options", prefix, **changes)}


def asked(**options: Any) -> Callable[[Stage], dict[str, Any]]:
    """Options of a good job, with something wrong beside it."""
    return lambda w: {"job": w.job("options", "plain"), **options}


def into(name: str) -> Callable[[Stage], dict[str, Any]]:
    """A restore of the good backup to a destination that cannot be."""
    return lambda w: {"job": w.job("options", "plain"), "dest": str(w.dest / name)}


def thaw(**changes: Any) -> Callable[[Stage], dict[str, Any]]:
    """Options of glacier_restore."""
    return lambda w: w.service(**{"keys": ["plain/no-such-key"], **changes})


def keys_of(access_key: str, secret: str | None = None) -> Callable[[Stage], dict[str, Any]]:
    """A job whose credentials are refused."""
    return lambda w: {
        "job": w.job(
            "options", "plain", credentials={"access_key": access_key, "secret_key": secret or w.s3.secret_key}
        )
    }


def wrong_secret(w: Stage) -> dict[str, Any]:
    return keys_of(w.s3.access_key, "not-the-secret")(w)


CORRECT = "Correct the option and run again."


def run(stage: Stage, cases: dict[str, Case]) -> dict[str, Result]:
    """All cases in one run, between two looks at bucket and destinations."""
    tasks = {name: Task(module, options(stage)) for name, (module, options, _, _) in cases.items()}
    with stage.unchanged():
        return play(tasks, stage.root)
