"""timetable.py: whose turn it is, once for each job, and what a failed backup holds back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from permafrost import cron, timetable
from permafrost.timetable import Stamp, Task

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def task(number: int, verb: str = "backup", when: str = "0 * * * *", target: str = "s3://bucket/a") -> Task:
    schedule = cron.schedule(when, {}, timezone.utc)
    assert schedule is not None
    return Task(f"JOB_{number}", number, verb, target, (("dup",),), schedule)


BACKUP, CLEANUP = task(200), task(300, "cleanup")
BOTH = [CLEANUP, BACKUP]


def names(tasks: list[Task]) -> list[str]:
    return [one.name for one in tasks]


def stamps(since: datetime = NOON, **changes: Stamp) -> dict[str, Stamp]:
    return {**{one.name: Stamp(since) for one in BOTH}, **changes}


def test_nothing_is_due_before_its_turn() -> None:
    assert timetable.due(BOTH, stamps(), NOON + HOUR - timedelta(seconds=1)) == []
    assert timetable.next_turn(BOTH, stamps()) == NOON + HOUR


def test_what_is_due_together_runs_by_number() -> None:
    assert names(timetable.due(BOTH, stamps(), NOON + HOUR)) == ["JOB_200", "JOB_300"]


def test_the_number_counts_not_its_digits() -> None:
    tasks = [task(1000), task(90), task(200)]
    found = timetable.due(tasks, {one.name: Stamp(NOON) for one in tasks}, NOON + HOUR)
    assert names(found) == ["JOB_90", "JOB_200", "JOB_1000"]


def test_many_missed_turns_are_one_run() -> None:
    late = NOON + 30 * HOUR
    (found, _other) = timetable.due(BOTH, stamps(), late)
    after = stamps(since=late, **{found.name: Stamp(late, 0)})
    assert timetable.due(BOTH, after, late) == []
    assert timetable.next_turn(BOTH, after) == late + HOUR


def test_a_job_that_is_new_has_missed_nothing() -> None:
    assert timetable.known(BOTH, {}, NOON) == stamps()


def test_a_job_that_is_gone_is_forgotten() -> None:
    assert set(timetable.known([BACKUP], {**stamps(), "JOB_900": Stamp(NOON, 50)}, NOON)) == {"JOB_200"}


def test_a_clock_that_was_wrong_stops_nothing() -> None:
    wrong = Stamp(NOON + 9999 * HOUR, exit_code=1)
    found = timetable.known([BACKUP], {"JOB_200": wrong}, NOON)
    assert found == {"JOB_200": replace(wrong, since=NOON)}


def test_a_cleanup_waits_for_a_good_backup_to_the_same_target() -> None:
    failed = stamps(JOB_200=Stamp(NOON, exit_code=50))
    assert "the last backup to s3://bucket/a (JOB_200) failed" in timetable.obstacle(CLEANUP, BOTH, failed)
    assert timetable.obstacle(BACKUP, BOTH, failed) == ""
    assert timetable.obstacle(CLEANUP, BOTH, stamps(JOB_200=Stamp(NOON, exit_code=0))) == ""
    assert timetable.obstacle(CLEANUP, BOTH, stamps()) == ""


def test_a_neighbours_failure_holds_nothing_back() -> None:
    elsewhere, check = task(200, target="s3://bucket/b"), task(200, "verify")
    failed = stamps(JOB_200=Stamp(NOON, exit_code=50))
    for other in (elsewhere, check):
        assert timetable.obstacle(CLEANUP, [other, CLEANUP], failed) == ""


def test_a_run_that_ends_its_container_is_tried_twice() -> None:
    stamp = Stamp(NOON, exit_code=0)
    for _ in range(2):
        assert not timetable.is_given_up(stamp)
        stamp = timetable.begun(stamp)
    assert timetable.is_given_up(stamp)
