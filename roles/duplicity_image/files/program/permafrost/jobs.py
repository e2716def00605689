"""The scheduler's jobs: JOB_n_WHAT and JOB_n_WHEN of the environment, or the one job of a job file. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from datetime import timedelta, tzinfo
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils import spreading
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from permafrost import call, cron, words
from permafrost.timetable import Task
from permafrost.words import Values, Word

_JOB = re.compile(r"JOB_(\d+)_(WHAT|WHEN)")
# The guide's container's, but for its daily, which is Monday to Saturday.
_PERIODS = {
    "CRONTAB_15MIN": "*/15 * * * *",
    "CRONTAB_HOURLY": "0 * * * *",
    "CRONTAB_DAILY": "0 2 * * *",
    "CRONTAB_WEEKLY": "0 1 * * SUN",
    "CRONTAB_MONTHLY": "0 5 1 * *",
}
# What a timer of systemd makes of these.
_CALENDAR = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * MON", "monthly": "0 0 1 * *"}
_VERBS = {
    "backup": "backup", "full": "backup", "incremental": "backup", "restore": "restore", "verify": "verify",
    "cleanup": "cleanup", "remove-all-but-n-full": "cleanup", "remove-all-inc-of-but-n-full": "cleanup",
    "remove-older-than": "cleanup",
}  # fmt: skip


def from_environment(values: Values, zone: tzinfo) -> list[Task]:
    """The jobs in order of their numbers; ``values`` are prepared. Raises BadInput for whatever could not run."""
    environment = values.environment
    numbers = sorted({match[1] for name in environment if (match := _JOB.fullmatch(name))}, key=int)
    periods = _periods(environment)
    tasks = []
    for number in numbers:
        what, when = (environment.get(f"JOB_{number}_{part}", "") for part in ("WHAT", "WHEN"))
        schedule = _schedule(f"JOB_{number}_WHEN", when, periods, zone)
        if schedule:
            tasks.append(_task(number, what, schedule, values))
    return tasks


def from_job(options: Mapping[str, Any], zone: tzinfo) -> list[Task]:
    """The backup and the integrity check of a job, at its own slot. Raises BadInput."""
    job, given = Job.from_params(options), options["schedule"]
    longest = cron.span(given["random_delay"], "job.schedule.random_delay")
    delay = spreading.phase(job.url, longest) if longest else timedelta()
    tasks = []
    for verb, option in (("backup", "backup"), ("verify", "integrity")):
        try:
            schedule = cron.schedule(given[option], _CALENDAR, zone, delay)
        except ValueError as error:
            raise BadInput(
                f"job.schedule.{option} is '{given[option]}': {error}. The container's own scheduler does not know "
                "systemd's other calendar expressions; a cron expression is such as '30 3 * * MON-FRI'."
            ) from error
        if schedule:
            tasks.append(Task(verb, None, verb, job.url, ((verb,),), schedule))
    return tasks


def argv(task: Task, values: Values) -> list[str]:
    """What the image's program is told now. Raises BadInput for a value that is not there any more."""
    given = [words.expand(word, f"{task.name}_WHAT", values) for word in task.words]
    return given if task.number is None else ["guide", *given]


def archive_dir(task: Task, values: Values) -> str:
    """Where the archive directory of a job of the environment is."""
    line = _call(task.words, task.name, values).line
    return line.value("--archive-dir") or posixpath.join(values.environment.get("HOME", "/"), ".cache/duplicity")


def _periods(environment: Mapping[str, str]) -> dict[str, str]:
    """Each CRONTAB_NAME is a word for JOB_n_WHEN. In a list, compose leaves quotes around values."""
    found = {**_PERIODS, **{name: text for name, text in environment.items() if name.startswith("CRONTAB_")}}
    return {name.removeprefix("CRONTAB_").lower(): text.strip("'\" ") for name, text in found.items()}


def _schedule(place: str, when: str, periods: Mapping[str, str], zone: tzinfo) -> cron.Schedule | None:
    if not when:
        raise BadInput(f"{place} is not set: when is this job to run? Write {', '.join(periods)} or a cron expression.")
    try:
        return cron.schedule(when, periods, zone)
    except ValueError as error:
        named = "".join(
            f" (CRONTAB_{one.upper()} is '{periods[one]}')" for one in when.lower().split() if one in periods
        )
        raise BadInput(f"{place} is '{when}'{named}: {error}.") from error


def _task(number: str, what: str, schedule: cron.Schedule, values: Values) -> Task:
    name = f"JOB_{number}"
    given = words.split(what, f"{name}_WHAT")
    if not given or given[0] not in [(one,) for one in call.COMMANDS]:
        raise BadInput(
            f"{name}_WHAT is '{what}': a job is {', '.join(call.COMMANDS)} and their words, and there is no shell "
            "here that could run anything else."
        )
    line = _call(tuple(given), name, values).line
    if not line.verb:
        raise BadInput(
            f"{name}_WHAT is '{what}': it names neither an action of duplicity nor a source and a target URL."
        )
    target = re.sub(r"^boto3\+", "", line.url or "").rstrip("/")
    return Task(name, int(number), _VERBS.get(line.verb, "info"), target, tuple(given), schedule)


def _call(given: tuple[Word, ...], name: str, values: Values) -> call.Call:
    command, *rest = [words.expand(word, f"{name}_WHAT", values) for word in given]
    return call.command(command, rest, values)
