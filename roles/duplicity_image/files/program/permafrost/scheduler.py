"""The container's own scheduler: one run at a time, each in a process of its own. I/O."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, Interrupted
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from permafrost import call, guide, heartbeat, jobs, running, runs, timetable
from permafrost.masking import mask
from permafrost.outcome import Outcome
from permafrost.reported import Told
from permafrost.stamps import Stamps
from permafrost.timetable import Stamp, Task

# Where runs are remembered when the archive directory cannot be written.
_STATE_DIR = "/var/lib/permafrost-scheduler"
# What a shell tells of SIGKILL, which is what ends a container that takes too much.
_KILLED = 137
_NOT_STARTED = 1
_LOCAL_TIME = Path("/etc/localtime")


class Listener(Protocol):
    """Who hears of the runs."""

    def begin(self, task: Task) -> None:
        """A run of this job begins."""

    def end(self, outcome: Outcome, next_turn: datetime) -> None:
        """A run ended, or did not even begin."""


class Scheduler:
    """Runs jobs when their turn comes, and tells ``listener`` of each run."""

    def __init__(self, tasks: list[Task], name: str, stamps: Stamps, listener: Listener) -> None:
        self._tasks, self._name, self._listener = tasks, name, listener
        self._file = stamps
        self._stamps = timetable.known(tasks, stamps.read(), _now())
        self._keep()

    def turns(self) -> list[tuple[Task, datetime]]:
        """Each job with its next turn."""
        return [(task, timetable.turn(task, self._stamps)) for task in self._tasks]

    def forever(self) -> None:
        """Until a signal raises Interrupted."""
        while True:
            heartbeat.beat()
            running.clear_away()
            self.run_due()
            # A clock that was set, and a machine that slept, are noticed at the next tick.
            wake = timetable.next_turn(self._tasks, self._stamps)
            seconds = (wake - _now()).total_seconds() if wake else running.TICK_SECONDS
            time.sleep(min(max(seconds, 0), running.TICK_SECONDS))

    def run_due(self) -> None:
        """One run of each job whose turn has come. What comes due meanwhile is for the next call."""
        now = _now()
        self._stamps = timetable.known(self._tasks, self._stamps, now)
        for task in timetable.due(self._tasks, self._stamps, now):
            if timetable.is_given_up(self._stamps[task.name]):
                text = f"{task.name}: given up until its next turn, for its last runs ended together with the container"
                say(text)
                self._finish(task, _now(), _KILLED, f"{text}\n")
            elif reason := timetable.obstacle(task, self._tasks, self._stamps):
                say(f"{task.name}: left out, because {reason}")
                self._remember(task, Stamp(_now(), self._stamps[task.name].exit_code))
            else:
                self._run(task)

    def _run(self, task: Task) -> None:
        before, started = self._stamps[task.name], _now()
        say(f"{task.name}: {task.verb} begins; its turn came at {_shown(timetable.turn(task, self._stamps))}")
        self._remember(task, timetable.begun(before))
        try:
            self._listener.begin(task)
            code, output = _execute(task)
        except Interrupted:
            # Told to stop, not failed: it is begun again at the next start, and duplicity resumes it.
            self._remember(task, before)
            raise
        self._finish(task, started, code, output)

    def _finish(self, task: Task, started: datetime, code: int, output: str) -> None:
        """The one place where a run that ended becomes an outcome."""
        self._remember(task, Stamp(started, code))
        outcome = Outcome(
            job=task.name if task.number is not None else self._name,
            verb=task.verb,
            exit_code=code,
            started=started,
            finished=_now(),
            output=output,
            number=task.number,
        )
        self._listener.end(outcome, timetable.turn(task, self._stamps))

    def _remember(self, task: Task, stamp: Stamp) -> None:
        self._stamps[task.name] = stamp
        self._keep()

    def _keep(self) -> None:
        try:
            self._file.write(self._stamps)
        except OSError as error:
            say(f"{self._file.file} cannot be written, so that a missed run may not be caught up: {error.strerror}")


def scheduler() -> int:
    """Run the jobs of the environment, or of the job file, until a signal comes."""
    try:
        made = _make()
        for task, turn in made.turns():
            when = "next" if turn > _now() else "missed"
            say(f"{task.name}: {task.verb}, {task.schedule.text}; {when} at {_shown(turn)}")
        made.forever()
    except BadInput as error:
        say(f"{error.what} {error.meaning}")
        return guide.REFUSED
    except Interrupted as interrupted:
        say(f"ended by {interrupted}")
    return 0


def say(text: str) -> None:
    _show(f"scheduler: {text}\n")


def _make() -> Scheduler:
    """All of it is checked before anything runs. Raises BadInput."""
    zone, values = _zone(os.environ.get("TZ", "")), guide.surroundings()
    if runs.JOB_FILE.exists():
        if found := [one for one in os.environ if one.startswith("JOB_")]:
            raise BadInput(f"There are {found[0]} and the job file {runs.JOB_FILE}: a container runs one or the other.")
        options = runs.job_options()
        name, tasks, places = options["name"], jobs.from_job(options, zone), [Job.from_params(options).state_dir]
    else:
        values = call.prepare(values)
        name, tasks = "", jobs.from_environment(values, zone)
        places = [*(jobs.archive_dir(task, values) for task in tasks[:1]), _STATE_DIR]
    if not tasks:
        raise BadInput(
            f"There is nothing to run: set JOB_n_WHAT and JOB_n_WHEN, or mount a job file at {runs.JOB_FILE}. For one "
            f"run give a command: {', '.join(call.COMMANDS)} or duplicity."
        )
    stamps = Stamps(places)
    if stamps.file is None:
        say(f"none of {', '.join(places)} can be written: what this container misses while it is down is not caught up")
    return Scheduler(tasks, name, stamps, Told(say, jobs.reports(tasks, values)))


def _execute(task: Task) -> tuple[int, str]:
    try:
        given = jobs.argv(task, call.prepare(guide.surroundings()))
        return running.run(given, _show, heartbeat.beat)
    except BadInput as error:
        return guide.REFUSED, _show(f"{error.what} {error.meaning}\n")
    except OSError as error:  # no memory, no temporary directory: it may be better at the next turn
        return _NOT_STARTED, _show(f"It cannot be started: {error.strerror}.\n")


def _show(text: str) -> str:
    masked = mask(text, os.environ)
    print(masked, end="", flush=True)
    return masked


def _zone(name: str) -> tzinfo:
    """The zone that TZ names, or the container's."""
    try:
        if name:
            return ZoneInfo(name.removeprefix(":"))
        with _LOCAL_TIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except FileNotFoundError:
        return timezone.utc
    except (LookupError, ValueError, OSError) as error:
        raise BadInput(f"TZ is '{name}', which is no time zone: write a name such as Europe/Berlin.") from error


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _now() -> datetime:
    return datetime.now(timezone.utc)
