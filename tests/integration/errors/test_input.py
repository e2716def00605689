"""Options, times and paths that cannot be: one clear message each, and nothing is touched."""

from __future__ import annotations

import pytest
from integration.errors.cases import BACKUP, CORRECT, INFO, PLAN, RESTORE, THAW, Case, asked, into, job, run, thaw
from integration.errors.playing import Result, refused
from integration.errors.stage import BUCKET, Stage

TIMES = "Give a time such as 2026-11-01T00:00:00Z"

CASES: dict[str, Case] = {
    "source missing": (
        BACKUP,
        job(source="/nonexistent/source"),
        "source_missing",
        ("The source /nonexistent/source does not exist on this host.", "Mount or create the source"),
    ),
    "source cannot be read": (
        BACKUP,
        job("nothing", source="/srv/" + 300 * "n"),
        "source_missing",
        ("cannot be read: File name too long",),
    ),
    "source is a file": (
        BACKUP,
        lambda w: {"job": w.job("options", source=str(w.source / "part 0/data"))},
        "bad_input",
        ("is not a directory.", CORRECT),
    ),
    "source not given": (BACKUP, job(source=None), "bad_input", ("job.source is missing", CORRECT)),
    "source relative": (BACKUP, job(source="srv/../../etc"), "bad_input", ("job.source", CORRECT)),
    "target without prefix": (BACKUP, job("", target=f"s3://{BUCKET}"), "bad_input", ("is no target", CORRECT)),
    "target without key": (INFO, job("", target=f"s3://{BUCKET}///"), "bad_input", ("is no target", CORRECT)),
    "target of another kind": (PLAN, job("", target="file:///srv/backup"), "bad_input", ("is no target", CORRECT)),
    "target with a bad bucket": (BACKUP, job("", target="s3://Bad_Bucket/x"), "bad_input", ("is no target", CORRECT)),
    "job name": (BACKUP, job(name="a/b"), "bad_input", ("job.name 'a/b' is not a name", CORRECT)),
    "volume size": (BACKUP, job(volume_size=0), "bad_input", ("job.volume_size is 0", CORRECT)),
    "interval": (
        BACKUP,
        job(full_if_older_than="monthly"),
        "bad_input",
        ("full_if_older_than 'monthly' is not an interval", "4W"),
    ),
    "endpoint": (BACKUP, job(endpoint_url="localhost"), "bad_input", ("endpoint_url is not a plain URL", CORRECT)),
    "engine elsewhere": (
        BACKUP,
        job(docker_host="tcp://10.0.0.1:2375"),
        "bad_input",
        ("'tcp://10.0.0.1:2375' is not a local engine: mounts would name paths of another machine.", CORRECT),
    ),
    "engine elsewhere by ssh": (
        RESTORE,
        lambda w: {**into("new")(w), **job(docker_host="ssh://root@10.0.0.1")(w)},
        "bad_input",
        ("'ssh://root@10.0.0.1' is not a local engine: mounts would name paths of another machine.", CORRECT),
    ),
    "passphrase of two lines": (
        BACKUP,
        job(encryption={"mode": "symmetric", "passphrase": "a\nb"}),
        "bad_input",
        ("more than one line", CORRECT),
    ),
    "passphrase empty": (
        BACKUP,
        job(encryption={"mode": "symmetric", "passphrase": ""}),
        "bad_input",
        ("is empty", CORRECT),
    ),
    "passphrase in vain": (
        BACKUP,
        job(encryption={"mode": "none", "passphrase": "of no use"}),
        "bad_input",
        ("mode none", CORRECT),
    ),
    "time of a plan": (PLAN, asked(time="yesterday"), "bad_time", ("'yesterday' is not a time.", TIMES)),
    "time of a restore": (
        RESTORE,
        lambda w: {**into("new")(w), "time": "2026-13-01"},
        "bad_time",
        ("'2026-13-01' is not a time.", TIMES),
    ),
    "time of a listing": (INFO, asked(files=True, time="3 days"), "bad_time", ("'3 days' is not a time.", TIMES)),
    "time before the first, plan": (
        PLAN,
        asked(time="2020-01-01"),
        "before_first_backup",
        ("2020-01-01T00:00:00Z is before the first backup", "duplicity_info lists them"),
    ),
    "time before the first, restore": (
        RESTORE,
        lambda w: {**into("new")(w), "time": "2020-01-01"},
        "before_first_backup",
        ("2020-01-01T00:00:00Z is before the first backup", "Choose the time of a set"),
    ),
    "time before the first, listing": (
        INFO,
        asked(files=True, time="100W"),
        "before_first_backup",
        ("is before the first backup, which is of", "Choose the time of a set"),
    ),
    "path with dots": (
        PLAN,
        asked(path="part 0/../part 1"),
        "bad_input",
        ("holds an empty part, '.' or '..'", CORRECT),
    ),
    "path with an empty part": (
        RESTORE,
        lambda w: {**into("new")(w), "path": "part 0//data"},
        "bad_input",
        ("holds an empty part, '.' or '..'", CORRECT),
    ),
    "path unknown, plan": (
        PLAN,
        asked(path="no/such path"),
        "path_not_in_backup",
        ("'no/such path' is not in the backup of 20", "duplicity_info lists files with a pattern"),
    ),
    "path that a name begins with": (PLAN, asked(path="part 0/dat"), "path_not_in_backup", ("'part 0/dat' is not in",)),
    "path unknown, restore": (
        RESTORE,
        lambda w: {**into("new")(w), "path": "no/such path"},
        "path_not_in_backup",
        ("no/such path", "duplicity_info lists files with a pattern"),
    ),
    "path below a file, restore": (
        RESTORE,
        lambda w: {**into("new")(w), "path": "part 0/data/x"},
        "path_not_in_backup",
        ("part 0/data/x", "duplicity_info lists files with a pattern"),
    ),
    "no backup, info of files": (
        INFO,
        lambda w: {"job": w.job("options", "nothing"), "files": True},
        "no_backup",
        ("No complete backup was found.", "key prefix of job.target"),
    ),
    "no backup, plan": (
        PLAN,
        job("nothing"),
        "no_backup",
        ("No complete backup was found.", "key prefix of job.target"),
    ),
    "no backup, restore": (
        RESTORE,
        lambda w: {**into("new")(w), "job": w.job("options", "nothing")},
        "no_backup",
        ("No complete backup was found.", "key prefix of job.target"),
    ),
    "thaw for no day": (THAW, thaw(days=0), "bad_input", ("days is 1 to 3650", CORRECT)),
    "thaw for less than no time": (
        THAW,
        thaw(wait=True, wait_timeout=-1),
        "bad_input",
        ("wait_timeout at least 0", CORRECT),
    ),
}


@pytest.fixture(scope="module")
def results(stage: Stage) -> dict[str, Result]:
    return run(stage, CASES)


@pytest.mark.parametrize("name", CASES)
def test_refuses_with_one_clear_message(name: str, results: dict[str, Result]) -> None:
    _, _, cause, says = CASES[name]
    refused(results[name], cause, *says)
