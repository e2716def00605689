"""survey.py: what it counts, and that its process ends with its task. What needs root is in integration tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import survey
from ansible_collections.permafrost.backup.plugins.module_utils.survey import Survey

NONE = dict.fromkeys(survey.KINDS, 0)
WHOLE = 1_700_000_000_000_000_000  # a second, in nanoseconds


def make(top: Path) -> Path:
    """One of each kind that anybody can make, and directories of whole seconds."""
    (top / "below").mkdir(parents=True)
    (top / "file").write_text("twice")
    os.link(top / "file", top / "below/link")
    (top / "symlink").symlink_to("file")
    os.truncate(os.open(top / "hole", os.O_CREAT | os.O_WRONLY), 1 << 20)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    for one in ("file", "hole", "below", "."):
        os.utime(top / one, ns=(WHOLE, WHOLE))
    os.utime(top / "below", ns=(WHOLE, WHOLE + 1))
    return top


def test_each_kind(tmp_path: Path) -> None:
    counted = Survey(str(make(tmp_path / "tree")))
    assert counted.result() == {
        **NONE, "hard_links": 2, "subsecond_mtimes": 1, "symlink_mtimes": 1, "sparse_files": 1, "sockets": 1,
    }  # fmt: skip
    counted.close()


def test_nothing_is_there(tmp_path: Path) -> None:
    counted = Survey(str(tmp_path / "missing"))
    assert counted.result() == NONE
    counted.close()


def test_closed_before_its_end() -> None:
    counted = Survey("/")
    counted.close()
    with pytest.raises(ProcessLookupError):
        os.kill(counted._child, 0)


def test_a_process_that_is_killed_is_not_missed(tmp_path: Path) -> None:
    counted = Survey(str(make(tmp_path / "tree")))
    os.kill(counted._child, signal.SIGKILL)
    assert counted.result()["hard_links"] == 2
    counted.close()


def test_ends_with_its_task() -> None:
    code = f"from {survey.__name__} import Survey; print(Survey('/')._child, flush=True); import time; time.sleep(60)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as task:
        assert task.stdout
        child = int(task.stdout.readline())
        task.kill()
    for _try in range(1200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {child} is still there")


def test_a_signal_amid_the_fork_is_not_lost() -> None:
    code = f"""
import os, signal
from {survey.__name__} import Survey

def stop(_number, _frame):
    raise SystemExit("told")

signal.signal(signal.SIGTERM, stop)
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))
Survey("/")
print("nobody heard of it")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "told\n")
