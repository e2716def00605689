"""jobs.py: the guide's variables, and the schedule of a job, as jobs of the scheduler; or one message why not."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.schema import SCHEDULE
from lab.places import CHECKOUT
from permafrost import call, jobs
from permafrost.timetable import Task
from permafrost.words import Values
from unit.stage import job_params

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
COMPOSE = yaml.safe_load((CHECKOUT / "tests" / "image" / "guide_compose.txt").read_text())
# As compose hands them over.
GUIDE = {name: text.replace("$$", "$") for name, text in COMPOSE["services"]["backup"]["environment"].items()}


def values(**environment: str) -> Values:
    return call.prepare(
        Values(environment, lambda text: f"<{text}>", lambda full: "web01.example" if full else "web01")
    )


def made(**environment: str) -> list[Task]:
    return jobs.from_environment(values(**environment), timezone.utc)


def refusal(**environment: str) -> str:
    with pytest.raises(BadInput) as caught:
        made(**environment)
    return caught.value.what


def test_the_guides_compose_file() -> None:
    backup, cleanup = made(**GUIDE)
    assert (backup.name, backup.number, backup.verb) == ("JOB_200", 200, "backup")
    assert (cleanup.name, cleanup.number, cleanup.verb) == ("JOB_300", 300, "cleanup")
    assert backup.target == cleanup.target == "s3://bucket/backup-path"
    target = "boto3+s3://bucket/backup-path"
    assert jobs.argv(backup, values(**GUIDE)) == ["guide", "dup", "/mnt/backup/src", target]
    assert jobs.argv(cleanup, values(**GUIDE)) == ["guide", "dup", "remove-all-but-n-full", "7", target, "--force"]
    assert jobs.archive_dir(backup, values(**GUIDE)) == "/mnt/backup/src/config"
    for task in (backup, cleanup):
        assert task.schedule.after(NOON) == NOON + timedelta(hours=14)


def test_daily_is_every_day() -> None:
    (task, _cleanup) = made(**GUIDE)
    assert task.schedule.after(datetime(2026, 11, 28, 3, tzinfo=timezone.utc)).strftime("%A") == "Sunday"


@pytest.mark.parametrize(
    ("when", "hours"),
    [("15min", 0.25), ("hourly", 1), ("daily", 14), ("weekly", 85), ("monthly", 137), ("0 5 * * *", 17),
     ("weekly DAILY", 14), ("often", 0.5)],
)  # fmt: skip
def test_when(when: str, hours: float) -> None:
    (task,) = made(JOB_1_WHAT="dup st s3://b/x", JOB_1_WHEN=when, CRONTAB_OFTEN="*/30 * * * *")
    assert task.schedule.after(NOON) - NOON == timedelta(hours=hours)


def test_the_words_are_what_crontab_says() -> None:
    """In a list of compose the quotes are part of the value."""
    (task,) = made(JOB_1_WHAT="dup st s3://b/x", JOB_1_WHEN="daily", CRONTAB_DAILY="'0 13 * * MON-SAT'")
    assert task.schedule.after(NOON) == NOON + timedelta(hours=1)


def test_never_needs_no_words() -> None:
    assert made(JOB_300_WHEN="never", JOB_500_WHAT="anything", JOB_500_WHEN="never") == []


@pytest.mark.parametrize(
    ("what", "verb", "target"),
    [
        ("dup full $SRC $DST", "backup", "s3://b/x"), ("backup", "backup", "s3://b/x"),
        ("dup $SRC s3://c/y/", "backup", "s3://c/y"), ("dup collection-status $DST", "info", "s3://b/x"),
        ("dup cleanup --force $DST", "cleanup", "s3://b/x"), ("dup remove-older-than 1Y $DST", "cleanup", "s3://b/x"),
        ("dup ri 3 $DST", "cleanup", "s3://b/x"), ("restore --force", "restore", "s3://b/x"),
        ("dup verify $DST $SRC", "verify", "s3://b/x"),
    ],
)  # fmt: skip
def test_what(what: str, verb: str, target: str) -> None:
    (task,) = made(JOB_1_WHAT=what, JOB_1_WHEN="daily", DST="boto3+s3://b/x")
    assert (task.verb, task.target) == (verb, target)


def test_values_are_put_in_for_each_run() -> None:
    given = {"JOB_1_WHAT": "dup $SRC 's3://b/$x' --name $NAME-$(date +%Y)", "JOB_1_WHEN": "daily", "SRC": "/my data"}
    (task,) = made(**given, NAME="one")
    assert jobs.argv(task, values(**given, NAME="two; id")) == [
        "guide", "dup", "/my data", "s3://b/$x", "--name", "two; id-<%Y>",
    ]  # fmt: skip


def test_the_archive_directory_is_duplicitys_own_where_none_is_named() -> None:
    given = {"JOB_1_WHAT": "dup st s3://b/x", "JOB_1_WHEN": "daily", "HOME": "/somebody"}
    (task,) = made(**given)
    assert jobs.archive_dir(task, values(**given)) == "/somebody/.cache/duplicity"


@pytest.mark.parametrize(
    ("what", "others", "told"),
    [
        ("psql -c x", {}, "JOB_200_WHAT is 'psql -c x': a job is dup, backup, restore"),
        ("duplicity full a b", {}, "JOB_200_WHAT is 'duplicity full a b'"),
        ("$CMD a b", {"CMD": "dup"}, "JOB_200_WHAT is '$CMD a b'"),
        ("dup `id`", {}, "JOB_200_WHAT holds `id`"),
        ("dup $MISSING s3://b/x", {}, "JOB_200_WHAT holds $MISSING, which is not set"),
        ("dup st $$DST", {}, "JOB_200_WHAT holds $$"),
        ("dup st 's3://b", {}, "JOB_200_WHAT has a ' without its end"),
        ("", {}, "JOB_200_WHAT is ''"),
        ("dup $SRC multi", {}, "JOB_200_WHAT is 'dup $SRC multi': it names neither an action"),
        ("backup", {}, "DST is not set"),
        ("dup st s3://b/x", {"OPTIONS": "$(id)"}, "OPTIONS holds $(id)"),
    ],
)
def test_words_that_could_not_run_are_refused(what: str, others: dict[str, str], told: str) -> None:
    assert told in refusal(JOB_200_WHAT=what, JOB_200_WHEN="daily", **others)


@pytest.mark.parametrize(
    ("when", "others", "told"),
    [
        ("", {}, "JOB_200_WHEN is not set"),
        ("dayly", {}, "JOB_200_WHEN is 'dayly': it is neither 15min, hourly"),
        ("0 25 * * *", {}, "JOB_200_WHEN is '0 25 * * *': '25' is not within"),
        ("daily", {"CRONTAB_DAILY": ""}, "JOB_200_WHEN is 'daily' (CRONTAB_DAILY is ''): '' has 0 fields"),
    ],
)
def test_a_turn_that_never_comes_is_refused(when: str, others: dict[str, str], told: str) -> None:
    assert told in refusal(JOB_200_WHAT="dup st s3://b/x", JOB_200_WHEN=when, **others)


def test_half_a_job_is_refused() -> None:
    assert "JOB_200_WHAT is ''" in refusal(JOB_200_WHEN="daily")
    assert "JOB_200_WHEN is not set" in refusal(JOB_200_WHAT="dup st s3://b/x")


def test_a_later_job_is_checked_too() -> None:
    assert "JOB_900_WHAT is 'true'" in refusal(**GUIDE, JOB_900_WHAT="true", JOB_900_WHEN="monthly")


# --- a job file -----------------------------------------------------------------------------------------------------


def options(target: str = "s3://acme-dr/web01/data", **schedule: Any) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in SCHEDULE["options"].items()}
    return job_params(target=target, schedule={**defaults, "random_delay": "0", **schedule})


def test_a_job_backs_up_and_verifies() -> None:
    backup, verify = jobs.from_job(options(), timezone.utc)
    assert [one.name for one in (backup, verify)] == ["backup", "verify"]
    assert jobs.argv(backup, values()) == ["backup"]
    # As systemd understands daily and weekly.
    assert backup.schedule.after(NOON) == datetime(2026, 11, 26, tzinfo=timezone.utc)
    assert verify.schedule.after(NOON) == datetime(2026, 11, 30, tzinfo=timezone.utc)


def test_each_job_has_a_slot_of_its_own_for_ever() -> None:
    slots = set()
    for number in range(20):
        given = options(f"s3://acme-dr/web{number}", random_delay="2h")
        turns = [task.schedule.after(NOON) for task in jobs.from_job(given, timezone.utc)]
        again = [task.schedule.after(NOON) for task in jobs.from_job(given, timezone.utc)]
        assert turns == again
        slot = turns[0] - datetime(2026, 11, 26, tzinfo=timezone.utc)
        assert timedelta() <= slot < timedelta(hours=2)
        slots.add(slot)
    assert len(slots) > 15


def test_a_job_with_cron_expressions() -> None:
    backup, = jobs.from_job(options(backup="30 13 * * MON-FRI", integrity="never"), timezone.utc)  # fmt: skip
    assert backup.schedule.after(NOON) == NOON + timedelta(hours=1.5)


@pytest.mark.parametrize("text", ["*-*-* 03:00:00", "Mon..Fri 02:00", "yearly", "02:00", ""])
def test_what_systemd_alone_understands_is_refused(text: str) -> None:
    for option in ("backup", "integrity"):
        with pytest.raises(BadInput) as caught:
            jobs.from_job(options(**{option: text}), timezone.utc)
        assert caught.value.what.startswith(f"job.schedule.{option} is '{text}'")
        assert "hourly, daily, weekly, monthly" in caught.value.what
        assert re.search(r"such as '30 3 \* \* MON-FRI'", caught.value.what)


def test_a_delay_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match=r"job\.schedule\.random_delay is 'soon'"):
        jobs.from_job(options(random_delay="soon"), timezone.utc)
