"""The recorded runs are of the duplicity that the image holds."""

from __future__ import annotations

import re

from guard.sources import CHECKOUT
from unit import transcript

REQUIREMENTS = CHECKOUT / "roles" / "duplicity_image" / "files" / "requirements.txt"


def test_they_are_of_the_image_s_version() -> None:
    pinned = re.findall(r"(?m)^duplicity==(\S+)", REQUIREMENTS.read_text())
    recorded = {name: transcript.load(name).facts["duplicity"] for name in transcript.names()}
    assert [set(recorded.values())] == [set(pinned)], "record them anew: python -m unit.record"
