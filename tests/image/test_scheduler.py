"""The container that runs all the time: the guide's compose file as its environment, missed runs, signals, a job file.

What is changed in the guide's environment: the bucket, who and where S3 is, and when the daily jobs run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from docker import DockerClient
from docker.models.containers import Container

from ansible_collections.permafrost.backup.plugins.module_utils import compose
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.schema import SCHEDULE
from lab.kills import until
from lab.receivers import MailReceiver, PingReceiver
from lab.s3.client_api import S3Lab
from permafrost.stamps import NAME, Stamps
from permafrost.timetable import Stamp
from unit.stage import job_params

BUCKET = "scheduled"
SERVICE = yaml.safe_load(Path(__file__).with_name("guide_compose.txt").read_text())["services"]["backup"]
# As compose hands it over.
GUIDE = {name: text.replace("$$", "$") for name, text in SERVICE["environment"].items()}
SECRET = "canary-of-the-scheduler"
Start = Callable[..., "Scheduled"]


class Scheduled:
    """A container of the image, started without a command."""

    def __init__(self, container: Container, directory: Path) -> None:
        self.container, self.directory = container, directory

    @property
    def shown(self) -> str:
        return self.container.logs().decode()

    def wait(self, *texts: str, seconds: float = 300) -> str:
        """Its log once it has all the texts."""
        deadline = time.monotonic() + seconds
        while not all(text in self.shown for text in texts):
            self.container.reload()
            assert time.monotonic() < deadline, self.shown
            assert self.container.status != "exited", self.shown
            time.sleep(0.2)
        return self.shown

    def run(self, *argv: str) -> tuple[int, str]:
        code, output = self.container.exec_run(list(argv))
        return code, output.decode()

    @property
    def stamps(self) -> dict[str, Stamp]:
        return Stamps([str(self.directory / "config")]).read()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    with S3Lab(tmp_path_factory.mktemp("s3")) as lab:
        lab.client().create_bucket(Bucket=BUCKET)
        yield lab
        assert "Traceback" not in lab.log_file.read_text()


@pytest.fixture(scope="module")
def start(ours: str, engine: DockerClient, s3: S3Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start the guide's service, with its volumes below a directory of the user, and with changes."""
    made = []

    def start_one(prefix: str, missed: tuple[str, ...] = (), **environment: str) -> Scheduled:
        directory = tmp_path_factory.mktemp(prefix)
        (directory / "testfiles").mkdir()
        (directory / "testfiles" / "file").write_text("text\n" * 1000)
        for name in ("config", "logs"):
            (directory / name).mkdir()
        miss(directory / "config", *missed)
        container = engine.containers.create(
            ours,
            environment={**GUIDE, **far(), "DST": f"boto3+s3://{BUCKET}/{prefix}", **who(s3), **environment},
            hostname=SERVICE["hostname"],
            extra_hosts={SERVICE["hostname"]: "127.0.0.1"},  # as the bridge of compose has it
            network_mode="host",
            volumes=[
                f"{directory}/config:/mnt/backup/src/config",
                f"{directory}/testfiles:/mnt/backup/src/data:ro",
                f"{directory}/logs:/logfiles",
            ],
            labels=["permafrost.lab"],
        )
        made.append(container)
        container.start()
        return Scheduled(container, directory)

    yield start_one
    for container in made:
        container.remove(force=True)


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailReceiver]:
    with MailReceiver(tmp_path_factory.mktemp("post")) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def web() -> Iterator[PingReceiver]:
    with PingReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module", autouse=True)
def each_minute(start: Start, post: MailReceiver, web: PingReceiver) -> Scheduled:
    """The guide's jobs, the backup and the cleanup each minute. What follows happens while they wait for their turn."""
    told = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(post.port), "JOB_200_DAILY_HEALTHCHECKS_URL": f"{web.url}/200"}
    return start("each-minute", CRONTAB_DAILY="* * * * *", TZ="Europe/Berlin", **told)


def far() -> dict[str, str]:
    """Turns half a day from now, in any time zone near: nothing runs but what a test lets run."""
    at = datetime.now(timezone.utc) + timedelta(hours=12)
    days = {"CRONTAB_DAILY": "* * *", "CRONTAB_WEEKLY": "* * 0", "CRONTAB_MONTHLY": "1 * *"}
    return {name: f"{at.minute} {at.hour} {day}" for name, day in days.items()}


def who(s3: S3Lab) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_ENDPOINT_URL_S3": s3.endpoint_url,
    }


def miss(place: Path, *jobs: str) -> None:
    """Let a container find that its jobs ran last more than a month ago."""
    if jobs:
        long_ago = datetime.now(timezone.utc) - timedelta(days=40)
        Stamps([str(place)]).write({name: Stamp(long_ago, 0) for name in jobs})


def keys(s3: S3Lab, prefix: str) -> list[str]:
    return [one["key"].removeprefix(f"{prefix}/") for one in s3.state(BUCKET, f"{prefix}/")]


@contextmanager
def slow_uploads(s3: S3Lab, prefix: str) -> Iterator[None]:
    s3.fault("PutObject", f"{prefix}/", kind="latency", seconds=30)
    try:
        yield
    finally:
        s3.clear_faults()


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"JOB_900_WHAT": "pg_dump --all", "JOB_900_WHEN": "daily"}, "JOB_900_WHAT is 'pg_dump --all': a job is dup"),
        ({"JOB_300_WHEN": "*-*-* 02:00:00"}, "JOB_300_WHEN is '*-*-* 02:00:00': it is neither 15min, hourly"),
        ({"TZ": "Europe/Berln"}, "TZ is 'Europe/Berln', which is no time zone"),
        ({"OPTIONS": "--name $AWS_SECRET_ACCESS_KEY"}, "a secret on a command line"),
    ],
)  # fmt: skip
def test_what_could_not_run_is_refused_at_the_start(
    environment: dict[str, str], told: str, start: Start, s3: S3Lab
) -> None:
    refused = start("refused", missed=("JOB_200", "JOB_300"), **environment)
    assert refused.container.wait(timeout=60)["StatusCode"] == 23
    (line,) = refused.shown.splitlines()
    assert told in line
    assert s3.secret_key not in line
    assert keys(s3, "refused") == []


def test_missed_runs_are_caught_up_once_by_number(start: Start, s3: S3Lab) -> None:
    """Encrypted with a passphrase that nobody gets to see."""
    late = start(
        "late", missed=("JOB_100", "JOB_200", "JOB_1000"), PASSPHRASE=SECRET, OPTIONS_EXTRA="",
        OPTIONS=GUIDE["OPTIONS"].replace("--no-encryption ", ""),
        JOB_100_WHAT="dup full $SRC $DST", JOB_100_WHEN="monthly", JOB_200_WHAT="dup full $SRC $DST",
        JOB_300_WHEN="never", JOB_1000_WHAT="dup remove-all-but-n-full 1 $DST --force", JOB_1000_WHEN="weekly",
    )  # fmt: skip
    shown = late.wait("JOB_1000: cleanup ended")
    steps = [
        "JOB_100: backup begins", "JOB_100: backup ended well", "JOB_200: backup begins", "JOB_200: backup ended well",
        "JOB_1000: cleanup begins", "JOB_1000: cleanup ended well",
    ]  # fmt: skip
    places = [shown.index(step) for step in steps]
    assert places == sorted(places)
    assert all(shown.count(step) == 1 for step in steps)
    assert shown.startswith("scheduler: JOB_100: backup, monthly; missed at ")
    assert SECRET not in shown
    assert len([key for key in keys(s3, "late") if key.endswith("manifest.gpg")]) == 1
    # Nothing is left to catch up, also for the next container.
    late.container.restart(timeout=60)
    late.wait("JOB_1000: cleanup, weekly; next at")
    time.sleep(2)
    assert late.shown.count("begins") == 3


def test_a_signal_ends_a_backup_at_once_and_the_next_start_goes_on(start: Start, s3: S3Lab) -> None:
    with slow_uploads(s3, "cut"):
        cut = start("cut", missed=("JOB_200",), JOB_300_WHEN="never")
        cut.wait("JOB_200: backup begins", "Uploading ")
        assert cut.run("permafrost", "healthy")[0] == 0
        cut.container.stop(timeout=20)  # after which the engine would kill it: 137
    assert cut.container.wait()["StatusCode"] == 0
    assert cut.shown.splitlines()[-1] == "scheduler: ended by SIGTERM"
    assert "backup failed" not in cut.shown
    assert not any("manifest" in key for key in keys(s3, "cut"))
    cut.container.start()
    cut.wait("JOB_200: backup ended well")
    assert any("manifest" in key for key in keys(s3, "cut"))


def test_a_run_that_ends_its_container_twice_is_given_up(start: Start, s3: S3Lab) -> None:
    with slow_uploads(s3, "killed"):
        killed = start("killed", missed=("JOB_200", "JOB_300"))
        for turn in (1, 2):
            until(lambda turn=turn: killed.shown.count("Uploading ") >= turn, "an upload")
            killed.container.kill()
            killed.container.wait()
            killed.container.start()
        shown = killed.wait("JOB_200: given up until its next turn", "JOB_300: left out")
    assert shown.count("JOB_200: backup begins") == 2
    assert "JOB_200: backup failed with exit code 137" in shown


def test_a_failed_backup_holds_its_cleanup_back(start: Start, s3: S3Lab) -> None:
    failed = start("failed", missed=("JOB_200", "JOB_300"), JOB_200_WHAT="dup /nowhere $DST")
    shown = failed.wait("JOB_300: left out")
    assert "JOB_200: backup failed with exit code 23" in shown
    assert f"the last backup to s3://{BUCKET}/failed (JOB_200) failed" in shown
    assert failed.stamps["JOB_200"].exit_code == 23
    assert failed.stamps["JOB_300"].exit_code == 0


def test_a_job_file(ours: str, engine: DockerClient, s3: S3Lab, tmp_path: Path) -> None:
    """As a compose file of the role starts it, at the slot of the job."""
    defaults = {name: option.get("default") for name, option in SCHEDULE["options"].items()}
    options = job_params(
        name="web01", source=str(tmp_path / "source"), target=f"s3://{BUCKET}/web01", state_dir=str(tmp_path / "state"),
        endpoint_url=s3.endpoint_url, schedule=defaults,
        credentials={"access_key": s3.access_key, "secret_key": s3.secret_key, "aws_dir": "/nowhere"},
    )  # fmt: skip
    job, file = Job.from_params(options), tmp_path / "job.json"
    file.write_text(json.dumps({"job": options}))
    (tmp_path / "source").mkdir()
    miss(Path(job.state_dir), "backup", "verify")
    service = compose.project(job)["services"]["backup"]
    mounts = [f"{one['source']}:{one['target']}{':ro' if one['read_only'] else ''}" for one in service["volumes"]]
    tmpfs: dict[str, str] = dict(one.split(":") for one in service["tmpfs"])
    container = engine.containers.run(
        ours, ["permafrost", "scheduler"], volumes=[*mounts, f"{file}:/run/secrets/job:ro"], tmpfs=tmpfs, init=True,
        read_only=True, cap_drop=["ALL"], cap_add=service["cap_add"], network_mode="host", detach=True,
        labels=["permafrost.lab"],
    )  # fmt: skip
    try:
        shown = Scheduled(container, tmp_path).wait("web01: verify ended well")
        assert shown.index("backup: backup begins") < shown.index("full: ") < shown.index("web01: backup ended well")
        assert "whole: 1 sets" in shown
        assert s3.secret_key not in shown + json.dumps(container.attrs)
        assert Scheduled(container, tmp_path).run("permafrost", "healthy")[0] == 0
        assert set(json.loads(Path(job.state_dir, NAME).read_text())) == {"backup", "verify"}
    finally:
        container.remove(force=True)


def test_the_guides_jobs_run_when_their_turn_comes(
    each_minute: Scheduled, s3: S3Lab, post: MailReceiver, web: PingReceiver
) -> None:
    # An orphan of somebody's shell, for process 1 to clear away.
    each_minute.run("sh", "-c", "(sleep 0.1 &)")
    assert each_minute.run("permafrost", "healthy") == (0, "")
    shown = each_minute.wait("JOB_300: cleanup ended well")
    assert shown.startswith("scheduler: JOB_200: backup, daily; next at ")
    assert "warning: --s3-use-multiprocessing is left out" in shown
    assert "/mnt/backup/src/config, the archive directory, is inside the source" in shown
    assert shown.index("JOB_200: backup ended well") < shown.index("JOB_300: cleanup begins")
    found = {one["key"].partition("duplicity-")[0]: one["storage_class"] for one in s3.state(BUCKET, "each-minute/")}
    assert found == {
        f"each-minute/{kind}-{SERVICE['hostname']}-": "DEEP_ARCHIVE" if kind == "archive" else "STANDARD"
        for kind in ("archive", "manifest", "signature")
    }
    assert list((each_minute.directory / "logs").glob("log-2*-*.log"))
    # Each job's own result, to whom the guide's compose file names; the log says first how it ended.
    until(lambda: len(post.mails) >= 2, "both mails")
    assert [(one.sender, one.to) for one in post.mails[:2]] == [("user@nobody.com", ["user@nobody.com"])] * 2
    subjects = [str(one.message["Subject"]) for one in post.mails[:2]]
    assert subjects == [f"{SERVICE['hostname']}: JOB_{job} OK" for job in ("200 backup", "300 cleanup")]
    assert [one.path for one in web.requests[:2]] == ["/200/start", "/200"]
    assert set(each_minute.stamps) == {"JOB_200", "JOB_300"}
    # What ended is cleared away at the next tick.
    states = "grep -h ^State /proc/[0-9]*/status"
    until(lambda: "zombie" not in each_minute.run("sh", "-c", states)[1], "an end without a zombie")
