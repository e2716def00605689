"""The program in the image: which of its files decide and which act."""

from __future__ import annotations

import pytest

from guard.sources import imports
from guard.test_layers import IMPURE
from lab.typing_check import PROGRAM, PROGRAM_DIR

ACTING = {"child", "guide", "heartbeat", "running", "scheduler", "stamps"}
PURE = sorted(set(PROGRAM) - ACTING)


@pytest.mark.parametrize("name", PURE)
def test_what_decides_reaches_nothing(name: str) -> None:
    found = imports(PROGRAM_DIR / "permafrost" / f"{name}.py")
    assert not {one.split(".")[0] for one in found} & IMPURE
    own = {one.split(".")[1] for one in found if one.startswith("permafrost.")}
    assert own <= {*PURE}


@pytest.mark.parametrize("path", sorted(PROGRAM_DIR.rglob("*.py")), ids=lambda path: path.stem)
def test_there_is_no_shell(path) -> None:
    text = path.read_text()
    assert not [word for word in ("shell=", "os.system", "popen(", "getoutput", "/bin/sh") if word in text]
