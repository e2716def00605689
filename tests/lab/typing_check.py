"""python -m lab.typing_check: strict mypy over the pure layer, by the name that the collection imports, and the lab."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.galaxy import LINK
from lab.places import CHECKOUT, COLLECTIONS, LAB

# Also what the guards hold to it: pure code reaches nothing, and what calls itself pure stands here.
PURE = (
    "anomaly", "batch", "billed", "bucket_settings", "calendars", "checks", "command", "comparison", "compose", "costs",
    "credentials", "diagnosis", "differences", "drill", "economy", "economy_by_prices", "encryption", "engine_states",
    "errors", "estimate", "extra_args", "figures", "fleet", "fleet_page", "forecast", "glacier", "globs", "integrity",
    "job", "log", "manifest", "offers", "openpgp", "pace", "policies", "policy", "prices", "printed", "proof", "report",
    "reporting", "retention", "retrieval", "sampling", "schema", "selection", "signing", "spreading", "surroundings",
    "times", "versions",
)  # fmt: skip

# Of the program in the image, all that was written for it alone.
PROGRAM = (
    "apprising", "call", "channels", "child", "cron", "entry", "explain", "flags", "guide", "heartbeat", "jobs",
    "mailing", "masking", "measuring", "metrics", "options", "outcome", "pings", "reported", "reports", "running",
    "scheduler", "stamps", "timetable", "tls", "wording", "words",
)  # fmt: skip
PROGRAM_DIR = CHECKOUT / "roles" / "duplicity_image" / "files" / "program"


def main() -> int:
    """Check each pure module that there is, the image's program, and the lab itself."""
    prefix = "ansible_collections.permafrost.backup.plugins.module_utils"
    there = [name for name in PURE if (LINK / f"plugins/module_utils/{name}.py").exists()]
    argv = [sys.executable, "-m", "mypy", "--config-file", str(CHECKOUT / "pyproject.toml")]
    argv += ["--cache-dir", str(LAB / "cache" / "mypy")]  # the setting would be relative to the folder below
    argv += [word for name in there for word in ("-m", f"{prefix}.{name}")]
    argv += [word for name in PROGRAM for word in ("-m", f"permafrost.{name}")]
    argv += ["-p", "lab"]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([str(PROGRAM_DIR), str(CHECKOUT / "tests")])}
    return subprocess.run(argv, cwd=COLLECTIONS, env=environment, check=False).returncode if there else 0


if __name__ == "__main__":
    sys.exit(main())
