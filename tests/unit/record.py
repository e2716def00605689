"""python -m unit.record [SCENARIO…]: make tests/unit/transcripts anew with the real duplicity.

Each scenario is a function in unit.scenarios. What is recorded are the machine log, the exit code and the output of
runs of the image against the lab's S3 server, with command lines of the collection's own builder; manifests; listings.
"""

from __future__ import annotations

import sys

from lab.s3.client_api import S3Lab
from unit.scenarios import SCENARIOS
from unit.stage import TRANSCRIPTS, stage


def main(wanted: list[str]) -> int:
    """Record all scenarios, or the named ones."""
    TRANSCRIPTS.mkdir(exist_ok=True)
    with S3Lab() as lab:
        for scenario in SCENARIOS:
            if not wanted or scenario.__name__ in wanted:
                lab.clear_faults()
                print(f"--- {scenario.__name__}", flush=True)
                with stage(lab, scenario.__name__.replace("_", "-")) as made:
                    scenario(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
