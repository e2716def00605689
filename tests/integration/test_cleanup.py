"""duplicity_cleanup on what the real duplicity wrote: the same choice, a kill at any request, and life goes on after it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import RunPlaybook

from ansible_collections.permafrost.backup.plugins.module_utils import cleaning, command
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CREDENTIALS
from ansible_collections.permafrost.backup.plugins.modules import duplicity_cleanup
from lab import kills, trees
from lab.s3.client_api import S3Lab
from unit import stage as stages

BUCKET = "cleanup"
# The fulls and incrementals of the history: three chains.
KINDS = ("full", "inc", "inc", "full", "inc", "full", "inc")
SIDE_BY_SIDE = 3
# A task on a host without an engine that answers, long after.
NO_ENGINE = {"docker_host": "unix:///nowhere/docker.sock"}
LATER = """
import datetime
from ansible_collections.permafrost.backup.plugins.module_utils import cleaning
class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) + datetime.timedelta(days=8)
cleaning.datetime = Later
"""
# The module dies when it has sent so many requests to delete something.
DIES = """
import os, signal
from ansible_collections.permafrost.backup.plugins.module_utils.s3 import Bucket
whole, left = Bucket.delete, [{requests}]
def delete(self, keys):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= bool(keys)
    whole(self, keys)
Bucket.delete = delete
"""


@dataclass(frozen=True)
class History:
    """Three chains below one prefix, which tests copy; ``trees`` is the source at the time of each set."""

    s3: S3Lab
    stage: stages.Stage
    image: str
    times: list[datetime]
    trees: list[dict[bytes, trees.Entry]]

    def job(self, prefix: str, state_dir: Path, **changes: Any) -> dict[str, Any]:
        """A task's job for a copy, as its own host has it."""
        made = self.stage.job()
        return {
            "name": made.name,
            "source": str(self.stage.source),
            "target": f"s3://{BUCKET}/{prefix}",
            "storage_class": "STANDARD",
            "volume_size": 1,
            "encryption": {"mode": "none"},
            "credentials": {"access_key": self.s3.access_key, "secret_key": self.s3.secret_key},
            "endpoint_url": self.s3.endpoint_url,
            "region": self.s3.region,
            "image": self.image,
            "docker_host": os.environ["DOCKER_HOST"],
            "state_dir": str(state_dir),
            **changes,
        }

    def copy(self, prefix: str, state_dir: Path | None = None) -> None:
        """The bucket's part below another prefix, in the order in which it was written; and the archive directory."""
        client, made = self.s3.client(), self.stage.job()
        entries = client.list_objects_v2(Bucket=BUCKET, Prefix=made.key_prefix)["Contents"]
        for entry in sorted(entries, key=lambda one: one["LastModified"]):
            key = prefix + "/" + entry["Key"].removeprefix(made.key_prefix)
            client.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": entry["Key"]})
        if state_dir:
            shutil.copytree(made.archive_dir, state_dir / made.name / "archive")

    def keys(self, prefix: str) -> set[str]:
        """File names below a prefix."""
        return {entry["key"].removeprefix(f"{prefix}/") for entry in self.s3.state(BUCKET, f"{prefix}/")}


@pytest.fixture(scope="module")
def history(s3_server: S3Lab, image: str) -> Iterator[History]:
    """Made once by the real duplicity; only read."""
    with stages.stage(s3_server, BUCKET, image=image, skip_if_no_change=False, name=f"cleaned-{os.getpid()}") as stage:
        times, snapshots = [], []
        stage.source.rmdir()
        trees.make(stage.source, files=20)
        (stage.source / "data").write_bytes(os.urandom(2_500_000))
        for turn, kind in enumerate(KINDS):
            next_second()
            trees.change(stage.source, turn)
            snapshots.append(trees.snapshot(stage.source))
            ran = stage.backup(full=kind == "full")
            assert ran.exit_code == 0, ran.output
            newest = max(Path(stage.job().archive).glob("*.manifest"), key=lambda path: path.stat().st_mtime)
            stamp = re.findall(r"\d{8}T\d{6}Z", newest.name)[-1]
            times.append(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc))
        yield History(s3_server, stage, image, times, snapshots)


def next_second() -> None:
    """duplicity's times are whole seconds, and two sets of one second would be one."""
    time.sleep(1.05 - time.time() % 1)


def cleanup(job: dict[str, Any], *, check: bool = False, prelude: str = "", **options: Any) -> dict[str, Any]:
    """The module to its end."""
    process = kills.ModuleProcess("duplicity_cleanup", prelude=prelude, job=job, _ansible_check_mode=check, **options)
    return process.ended()


# --- the same choice ----------------------------------------------------------------------------------------------------

RULES = {
    "keep_fulls": "remove-all-but-n-full",
    "keep_incrementals_of": "remove-all-inc-of-but-n-full",
    "older_than": "remove-older-than",
}


def questions(history: History) -> list[tuple[str, str]]:
    """Each rule with values below, between and above those that change the answer."""
    times = [stages_time(time + timedelta(seconds=shift)) for time in history.times for shift in (0, 1)]
    counts = [(rule, str(count)) for rule in ("keep_fulls", "keep_incrementals_of") for count in (1, 2, 3)]
    return counts + [("older_than", time) for time in (*times[4:6], times[9], "0s", "1h")]


def stages_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def listed_by_duplicity(history: History, number: int, rule: str, value: str) -> set[str]:
    """The ends of the chains that duplicity would delete, or delete the incrementals of."""
    job = history.stage.job()
    spec = command.fetch_metadata(job, history.stage.run_dir)
    argv = (spec.argv[0], RULES[rule], value, *spec.argv[spec.argv.index("full") + 1 :])
    ran = history.stage.run_apart(job, dataclasses.replace(spec, argv=argv), number)
    assert ran.exit_code == 0, ran.output
    said = ran.output.decode()
    if "No old backup sets found" in said:
        return set()
    block = said.split("Found old backup chain(s) at the following time:\n")[1].split("\nRerun")[0]
    return {stages_time(datetime.strptime(line, "%a %b %d %H:%M:%S %Y")) for line in block.splitlines()}


def checked(history: History, tmp_path: Path, rule: str, value: str) -> dict[str, Any]:
    """Check mode, without the start of a process for each question."""
    options = {name: option.get("default") for name, option in duplicity_cleanup.SPEC.items()}
    job = history.job(history.stage.job().prefix, tmp_path / "elsewhere", **NO_ENGINE)
    credentials = {**dict.fromkeys(CREDENTIALS["options"]), **job["credentials"]}
    params = stages.job_params(**{**job, "credentials": credentials})
    return cleaning.work({**options, "job": params, rule: value if rule == "older_than" else int(value)}, True)


def test_check_mode_lists_what_duplicity_lists(history: History, tmp_path: Path) -> None:
    prefix = history.stage.job().prefix
    before = history.keys(prefix)
    asked = questions(history)
    ours = [checked(history, tmp_path, rule, value) for rule, value in asked]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        theirs = list(pool.map(lambda one: listed_by_duplicity(history, one[0], *one[1]), enumerate(asked)))
    chains = chain_times(history)
    for (rule, value), their, our in zip(asked, theirs, ours):
        going = [one["time"] for one in our["sets"]]
        wanted = [chain[rule == "keep_incrementals_of" :] for chain in chains if chain[-1] in their]
        assert going == [time for chain in wanted for time in reversed(chain)], (rule, value)
        assert our["changed"] == bool(going)
    assert len({json.dumps(one["sets"]) for one in ours}) >= 6, "the questions must have different answers"
    assert history.keys(prefix) == before


def chain_times(history: History) -> list[list[str]]:
    chains: list[list[str]] = []
    for kind, time_of_set in zip(KINDS, history.times):
        if kind == "full":
            chains.append([])
        chains[-1].append(stages_time(time_of_set))
    return chains
