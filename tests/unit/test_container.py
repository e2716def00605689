"""container.py: what a task makes of a container that another task left. The engine's replies are made here."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import docker
import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import command, container, host
from ansible_collections.permafrost.backup.plugins.module_utils.engine_states import Finished
from ansible_collections.permafrost.backup.plugins.module_utils.errors import EngineRefused
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import (
    ARCHIVE,
    LABEL_COMMAND,
    LABEL_VERB,
    ContainerSpec,
)

ID = "4f0c" * 16


class HalfGone:
    """An engine at work on the removal of a backup's container that ended well: it shows it, but no logs any more."""

    def __init__(self, job: Job, spec: ContainerSpec) -> None:
        now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}.000000001Z"
        self.removed: list[str] = []
        self.found = {
            "Id": ID,
            "Name": "/permafrost-web01-data-backup",
            "Created": now,
            "Config": {"Labels": {LABEL_VERB: "backup", LABEL_COMMAND: spec.identity}},
            "Mounts": [{"Source": job.archive_dir, "Destination": ARCHIVE}],
            "State": {"Status": "exited", "Running": False, "ExitCode": 0, "StartedAt": now, "FinishedAt": now},
        }

    def containers(self, **_filters: Any) -> list[dict[str, Any]]:
        return [self.found]

    def inspect_container(self, _container: str) -> dict[str, Any]:
        return self.found

    def wait(self, _container: str, timeout: float | None) -> dict[str, int]:
        del timeout
        return {"StatusCode": 0}

    def logs(self, _container: str, tail: int) -> bytes:
        raise docker.errors.APIError(f"no {tail} lines of a container which is dead or marked for removal")

    def remove_container(self, container: str, force: bool) -> None:
        self.removed += [container] if force else []


@pytest.fixture
def half_gone(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HalfGone:
    """The engine, as a task finds it."""
    api = HalfGone(job, command.backup(job, str(tmp_path), full=False, dry_run=False))
    monkeypatch.setattr(docker, "APIClient", lambda **_options: api)
    return api


def back_up(job: Job, tmp_path: Path) -> Finished:
    return container.Engine(job).run(command.backup(job, str(tmp_path), full=False, dry_run=False))


def test_what_a_killed_task_has_kept_is_the_result(job: Job, tmp_path: Path, half_gone: HalfGone) -> None:
    host.prepare(job, "backup")
    kept = {"ExitCode": 0, "OOMKilled": False, "output": "all is well"}
    times = {"StartedAt": "2026-11-26T01:00:00.5Z", "FinishedAt": "2026-11-26T01:00:02.5Z"}
    host.keep_result(job, "backup", ID, {**kept, **times}, 3)
    finished = back_up(job, tmp_path)
    assert (finished.output, finished.attached, finished.elapsed_seconds) == ("all is well", True, 2.0)
    assert half_gone.removed == [ID]


def test_what_nobody_has_kept_is_not_made_up(job: Job, tmp_path: Path, half_gone: HalfGone) -> None:
    host.prepare(job, "backup")
    with pytest.raises(EngineRefused, match="marked for removal"):
        back_up(job, tmp_path)
    assert half_gone.removed == []
