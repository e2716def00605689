"""The scheduler's acting parts: one run after another, its memory, its sign of life, and children that are real."""

from __future__ import annotations

import itertools
import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, Interrupted
from permafrost import cron, heartbeat, running, scheduler
from permafrost.outcome import Outcome
from permafrost.scheduler import Scheduler
from permafrost.stamps import NAME, Stamps
from permafrost.timetable import Stamp, Task

HOUR = timedelta(hours=1)


def task(number: int, verb: str, target: str = "s3://bucket/a") -> Task:
    schedule = cron.schedule("0 * * * *", {}, timezone.utc)
    assert schedule is not None
    return Task(f"JOB_{number}", number, verb, target, (("dup",), (str(number),)), schedule)


# Of a file of tzfile(5): counts of what follows, then the one time that there is.
HEADER = struct.pack(">6I", 0, 0, 0, 0, 1, 4)
BODY = struct.pack(">iBB4s", -3600, 0, 0, b"-01\0")
TASKS = [task(300, "cleanup"), task(200, "backup"), task(400, "verify")]


class World:
    """A clock that stands still, and runs that end as they are told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, 30, tzinfo=timezone.utc)
        self.codes: dict[str, int] = {}
        self.ran: list[str] = []
        self.outcomes: list[Outcome] = []
        self.begun: list[str] = []
        self.next_turns: list[datetime] = []
        self.meanwhile: Callable[[Task], None] = lambda _task: None

    def execute(self, wanted: Task) -> tuple[int, str]:
        self.meanwhile(wanted)
        self.ran.append(wanted.name)
        return self.codes.get(wanted.name, 0), f"output of {wanted.name}\n"

    def begin(self, wanted: Task) -> None:
        self.begun.append(wanted.name)

    def end(self, outcome: Outcome, next_turn: datetime) -> None:
        self.outcomes.append(outcome)
        self.next_turns.append(next_turn)

    def start(self, place: Path) -> Scheduler:
        return Scheduler(TASKS, "", Stamps([str(place)]), self)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(scheduler, "_now", lambda: made.now)
    monkeypatch.setattr(scheduler, "_execute", made.execute)
    return made


def stamp(place: Path, name: str) -> Stamp:
    return Stamps([str(place)]).read()[name]


def test_one_run_each_by_number_with_its_own_outcome(world: World, tmp_path: Path) -> None:
    made = world.start(tmp_path)
    made.run_due()
    assert world.ran == []
    world.now += HOUR
    world.codes = {"JOB_400": 50}
    made.run_due()
    made.run_due()
    assert world.ran == world.begun == ["JOB_200", "JOB_300", "JOB_400"]
    assert {turn - world.now for turn in world.next_turns} == {HOUR / 2}
    assert [(one.job, one.number, one.verb, one.exit_code) for one in world.outcomes] == [
        ("JOB_200", 200, "backup", 0), ("JOB_300", 300, "cleanup", 0), ("JOB_400", 400, "verify", 50),
    ]  # fmt: skip
    assert world.outcomes[0].output == "output of JOB_200\n"
    assert world.outcomes[0].started == world.outcomes[0].finished == world.now


def test_a_cleanup_is_left_out_until_a_backup_goes_well(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = world.start(tmp_path)
    world.codes = {"JOB_200": 50}
    world.now += HOUR
    made.run_due()
    assert world.ran == ["JOB_200", "JOB_400"]
    assert "JOB_300: left out, because the last backup to s3://bucket/a (JOB_200) failed" in capsys.readouterr().out
    # A restart does not forget it; its turn has passed all the same.
    made = world.start(tmp_path)
    made.run_due()
    assert world.ran == ["JOB_200", "JOB_400"]
    world.codes = {}
    world.now += HOUR
    made.run_due()
    assert world.ran[2:] == ["JOB_200", "JOB_300", "JOB_400"]


def test_what_comes_due_meanwhile_runs_afterwards_once(world: World, tmp_path: Path) -> None:
    made = world.start(tmp_path)
    world.now += HOUR

    def long(wanted: Task) -> None:
        world.now += 5 * HOUR if wanted.name == "JOB_300" else timedelta()

    world.meanwhile = long
    made.run_due()
    assert world.ran == ["JOB_200", "JOB_300", "JOB_400"]
    world.meanwhile = lambda _task: None
    made.run_due()
    made.run_due()
    assert world.ran[3:] == ["JOB_200", "JOB_300"]


def test_what_a_container_missed_is_caught_up_once(world: World, tmp_path: Path) -> None:
    world.start(tmp_path)
    world.now += 50 * HOUR
    made = world.start(tmp_path)
    made.run_due()
    made.run_due()
    assert world.ran == ["JOB_200", "JOB_300", "JOB_400"]


def test_a_signal_while_a_run_is_reported_ends_the_scheduler(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_given: object) -> None:
        raise Interrupted("SIGTERM")

    made = world.start(tmp_path)
    world.now += HOUR
    monkeypatch.setattr(world, "end", interrupted)
    with pytest.raises(Interrupted):
        made.run_due()
    assert world.ran == ["JOB_200"]
    assert stamp(tmp_path, "JOB_200") == Stamp(world.now, 0), "it is done, and not begun again"


def test_a_run_that_a_signal_ended_is_begun_again(world: World, tmp_path: Path) -> None:
    made = world.start(tmp_path)
    before = stamp(tmp_path, "JOB_200")
    world.now += HOUR

    def ended(_task: Task) -> None:
        assert stamp(tmp_path, "JOB_200").tries == 1
        raise Interrupted("SIGTERM")

    world.meanwhile = ended
    with pytest.raises(Interrupted):
        made.run_due()
    assert stamp(tmp_path, "JOB_200") == before
    assert world.outcomes == []
    world.meanwhile = lambda _task: None
    world.start(tmp_path).run_due()
    assert world.ran == ["JOB_200", "JOB_300", "JOB_400"]


def test_a_run_that_ends_its_container_again_waits_for_its_next_turn(world: World, tmp_path: Path) -> None:
    def killed(wanted: Task) -> None:
        raise KeyboardInterrupt(wanted.name)

    world.start(tmp_path)
    world.now += HOUR
    world.meanwhile = killed
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt, match="JOB_200"):
            world.start(tmp_path).run_due()
    world.meanwhile = lambda _task: None
    made = world.start(tmp_path)
    made.run_due()
    # It counts as failed, so that nothing is deleted either.
    assert world.ran == ["JOB_400"]
    assert [(one.job, one.exit_code) for one in world.outcomes] == [("JOB_200", 137), ("JOB_400", 0)]
    world.now += HOUR
    made.run_due()
    assert world.ran[1:] == ["JOB_200", "JOB_300", "JOB_400"]


# --- its clock ------------------------------------------------------------------------------------------------------


def test_the_zone_is_that_of_tz_or_of_the_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    summer = datetime(2026, 7, 1, tzinfo=timezone.utc)
    assert summer.astimezone(scheduler._zone("America/New_York")).hour == 20
    assert summer.astimezone(scheduler._zone(":Asia/Tokyo")).hour == 9
    place = tmp_path / "localtime"
    monkeypatch.setattr(scheduler, "_LOCAL_TIME", place)
    assert scheduler._zone("") is timezone.utc
    # An hour before UTC, the whole year.
    place.write_bytes(b"TZif2" + bytes(15) + HEADER + BODY + b"TZif2" + bytes(15) + HEADER + BODY + b"\n<-01>1\n")
    found = cron.schedule("0 2 * * *", {}, scheduler._zone(""))
    assert found is not None
    assert found.after(summer) == summer + 3 * HOUR


@pytest.mark.parametrize("name", ["Europe/Berln", "Europe", "CET-1CEST", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is no time zone"):
        scheduler._zone(name)


# --- its memory -----------------------------------------------------------------------------------------------------


def test_the_first_place_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Stamps([str(tmp_path / "file" / "below"), str(tmp_path / "new" / "place"), str(tmp_path)])
    assert kept.file == tmp_path / "new" / "place" / NAME
    given = {"JOB_1": Stamp(datetime(2026, 11, 25, 12, tzinfo=timezone.utc), 50, 1)}
    kept.write(given)
    assert kept.read() == given
    assert [path.name for path in kept.file.parent.iterdir()] == [NAME]


def test_without_a_place_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Stamps([str(tmp_path / "file" / "below")])
    kept.write({"JOB_1": Stamp(datetime.now(timezone.utc))})
    assert kept.file is None
    assert kept.read() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"JOB_1": 3}', '{"JOB_1": {"since": "x"}}'])
def test_a_damaged_memory_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    assert Stamps([str(tmp_path)]).read() == {}


# --- its sign of life -----------------------------------------------------------------------------------------------


def test_healthy_is_who_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(heartbeat, "PLACE", tmp_path / "sign")
    assert heartbeat.healthy() == 1
    heartbeat.beat()
    assert heartbeat.healthy() == 0
    monkeypatch.setattr(heartbeat, "OLDEST_SECONDS", 0.0)
    assert heartbeat.healthy() == 1


@pytest.mark.parametrize("text", ["", "1", f"{os.getpid()} 1e12", f"{2**22 + 1} {time.monotonic()}"])
def test_nobodys_sign_of_life_is_none(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(heartbeat, "PLACE", tmp_path / "sign")
    (tmp_path / "sign").write_text(text)
    assert heartbeat.healthy() == 1


# --- its children ---------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, str]]:
    """A child of another kind, so that its end and its output can be chosen."""
    monkeypatch.setattr(running, "_PROGRAM", ("sh", "-c"))
    monkeypatch.setattr(running, "TICK_SECONDS", 0.1)
    return lambda script: running.run([script], lambda line: line.replace("secret", "*"), lambda: None)


@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        ("echo one; echo two >&2; exit 3", 3, "one\ntwo\n"),
        ("printf 'no end'", 0, "no end\n"),
        ("echo a secret; kill -9 $$", 137, "a *\n"),
        ("exec >&- 2>&-; sleep 0.3; exit 4", 4, ""),
        ("cat; echo done", 0, "done\n"),
    ],
)
def test_code_and_output(script: str, code: int, output: str, shell: Callable[[str], tuple[int, str]]) -> None:
    assert shell(script) == (code, output)


def test_the_last_lines_are_kept(shell: Callable[[str], tuple[int, str]]) -> None:
    _code, output = shell("seq 1000")
    assert output.split() == [str(number) for number in range(801, 1001)]


def test_what_a_child_leaves_behind_is_not_waited_for(shell: Callable[[str], tuple[int, str]]) -> None:
    code, left = shell("sleep 600 & echo $!")
    os.kill(int(left), signal.SIGTERM)  # it is still there
    assert code == 0


def test_a_tick_while_a_child_is_silent(shell: Callable[[str], tuple[int, str]], tmp_path: Path) -> None:
    ticks = itertools.count(1)
    running.run([f"until [ -e {tmp_path}/fourth ]; do sleep 0.05; done"], str,
                lambda: (tmp_path / "fourth").touch() if next(ticks) == 4 else None)  # fmt: skip
    assert next(ticks) > 4


def test_a_signal_ends_the_child(shell: Callable[[str], tuple[int, str]], tmp_path: Path) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted("SIGUSR1")

    before = signal.signal(signal.SIGUSR1, interrupt)
    ready = tmp_path / "ready"

    def tell() -> None:
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        with pytest.raises(Interrupted):
            shell(f"trap 'echo told >{tmp_path}/told; exit' TERM; touch {ready}; while :; do sleep 0.05; done")
    finally:
        teller.join()
        signal.signal(signal.SIGUSR1, before)
    assert (tmp_path / "told").read_text() == "told\n"


def test_each_run_has_a_temporary_directory_of_its_own(shell: Callable[[str], tuple[int, str]]) -> None:
    places = [shell("touch $TMPDIR/volume; echo $TMPDIR; exit 1")[1].strip() for _ in range(2)]
    assert places[0] != places[1]
    assert not any(Path(place).exists() for place in places)


def test_what_cannot_be_started_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_PROGRAM", ("/no/such/program",))
    assert scheduler._execute(TASKS[1]) == (1, "It cannot be started: No such file or directory.\n")


def test_a_value_that_is_gone_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DST", "$GONE")
    code, output = scheduler._execute(TASKS[1])
    assert code == 23
    assert output.startswith("DST holds $GONE, which is not set.")
