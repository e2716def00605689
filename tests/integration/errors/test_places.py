"""Destinations, bucket, credentials, endpoint, image and engine that cannot work: one clear message each."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.errors.cases import (
    BACKUP,
    CORRECT,
    INFO,
    PLAN,
    RESTORE,
    THAW,
    Case,
    asked,
    into,
    job,
    keys_of,
    run,
    thaw,
    wrong_secret,
)
from integration.errors.playing import Result, refused
from integration.errors.stage import Stage

# Nobody listens there.
DEAD = "http://127.0.0.1:1"
NO_IMAGE = "permafrost-lab/no-such-image:latest"
NO_ENGINE = "unix:///nonexistent/docker.sock"
OTHER_BUCKET = "s3://no-such-bucket/plain"

CASES: dict[str, Case] = {
    "destination relative": (
        RESTORE,
        asked(dest="restored"),
        "bad_input",
        ("'restored' is not an absolute path", CORRECT),
    ),
    "destination with dots": (RESTORE, into("a/../b"), "bad_input", ("is not an absolute path without '..'", CORRECT)),
    "destination without parent": (RESTORE, into("no/parent"), "bad_input", ("The parent directory of dest", CORRECT)),
    "destination not empty": (
        RESTORE,
        into("full"),
        "destination_not_empty",
        ("exists and is not an empty directory", "Give a destination that is new or an empty directory, or use force"),
    ),
    "destination a file": (RESTORE, into("file"), "destination_not_empty", ("exists and is not an empty directory",)),
    "destination a link": (RESTORE, into("link"), "destination_not_empty", ("exists and is not an empty directory",)),
    "destination a dead link": (
        RESTORE,
        into("dead"),
        "destination_not_empty",
        ("exists and is not an empty directory",),
    ),
    "destination a small mount": (RESTORE, into("mount"), "destination_space", ("has 1.0 MB free", "Free space there")),
    "bucket missing, backup": (
        BACKUP,
        job("", target=OTHER_BUCKET),
        "bucket_missing",
        ("The bucket no-such-bucket does not exist at http", "Create the bucket, or correct job.target"),
    ),
    "bucket missing, info": (INFO, job("", target=OTHER_BUCKET), "bucket_missing", ("Create the bucket",)),
    "bucket missing, plan": (PLAN, job("", target=OTHER_BUCKET), "bucket_missing", ("Create the bucket",)),
    "bucket missing, thaw": (THAW, thaw(bucket="no-such-bucket"), "bucket_missing", ("Create the bucket",)),
    "key unknown, backup": (
        BACKUP,
        keys_of("NOSUCHKEY"),
        "access_refused",
        ("InvalidAccessKeyId", "Check job.credentials"),
    ),
    "key unknown, plan": (
        PLAN,
        keys_of("NOSUCHKEY"),
        "access_refused",
        ("InvalidAccessKeyId", "Check job.credentials"),
    ),
    "secret wrong, backup": (
        BACKUP,
        wrong_secret,
        "access_refused",
        ("SignatureDoesNotMatch", "Check job.credentials"),
    ),
    "secret wrong, info": (INFO, wrong_secret, "access_refused", ("SignatureDoesNotMatch", "Check job.credentials")),
    "secret wrong, restore": (
        RESTORE,
        lambda w: {**into("new")(w), **wrong_secret(w)},
        "access_refused",
        ("SignatureDoesNotMatch",),
    ),
    "secret wrong, thaw": (
        THAW,
        lambda w: thaw(credentials=wrong_secret(w)["job"]["credentials"])(w),
        "access_refused",
        ("SignatureDoesNotMatch",),
    ),
    "endpoint unreachable": (
        BACKUP,
        job(endpoint_url=DEAD),
        "endpoint_unreachable",
        (f"{DEAD} cannot be reached", "Check job.endpoint_url and job.region"),
    ),
    "image missing, backup": (
        BACKUP,
        job("nothing", image=NO_IMAGE),
        "image_missing",
        (f"The image {NO_IMAGE} is not on this host.", "Run the role permafrost.backup.duplicity_image"),
    ),
    "image missing, plan": (
        PLAN,
        job(image=NO_IMAGE),
        "image_missing",
        (f"The image {NO_IMAGE} is not on this host.",),
    ),
    "image name wrong, backup": (
        BACKUP,
        job("nothing", image="No Image!"),
        "image_missing",
        ("'No Image!' is not the name of an image.", "correct job.image"),
    ),
    "an option that duplicity does not know": (
        BACKUP,
        job("nothing", extra_args=["--no-such-option"]),
        "usage",
        ("exit code 23", "Correct job.extra_args"),
    ),
    "another host": (
        BACKUP,
        lambda w: {"job": w.job("other-host", "plain", hostname="elsewhere")},
        "source_mismatch",
        ("exit code 3: ", "Current hostname: elsewhere Previous hostname: stage", "Correct job.source or job.hostname"),
    ),
    "another source": (
        BACKUP,
        lambda w: {"job": w.job("other-source", "plain", source=str(w.source / "part 0"))},
        "source_mismatch",
        ("exit code 42: ", "Backup source directory has changed", "give this job its own key prefix in job.target"),
    ),
    "engine down, backup": (
        BACKUP,
        job(docker_host=NO_ENGINE),
        "engine_unavailable",
        (f"No container engine answers at {NO_ENGINE}", "systemctl start docker"),
    ),
    "engine down, info": (INFO, job(docker_host=NO_ENGINE), "engine_unavailable", ("systemctl start docker",)),
    "engine down, restore": (
        RESTORE,
        lambda w: {**into("new")(w), **job(docker_host=NO_ENGINE)(w)},
        "engine_unavailable",
        ("systemctl start docker",),
    ),
    "thaw of what is not there": (THAW, thaw(), "volumes_missing", ("lacks 1 of 1 objects: plain/no-such-key.",)),
}


# Exit codes of duplicity that its own look at a chain ends with.
CODES = {"another host": 3, "another source": 42, "an option that duplicity does not know": 23}


@pytest.fixture(scope="module")
def destinations(stage: Stage) -> Iterator[Path]:
    """Places where nothing can be restored to."""
    (stage.dest / "full").mkdir()
    (stage.dest / "full" / "precious").write_text("do not touch")
    (stage.dest / "file").write_text("do not touch")
    (stage.dest / "void").mkdir()
    (stage.dest / "link").symlink_to("void")
    (stage.dest / "dead").symlink_to("nothing")
    mount = stage.dest / "mount"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], check=True)
    yield stage.dest
    subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture(scope="module")
def results(stage: Stage, destinations: Path) -> dict[str, Result]:
    return run(stage, CASES)


@pytest.mark.parametrize("name", CASES)
def test_refuses_with_one_clear_message(name: str, results: dict[str, Result]) -> None:
    _, _, cause, says = CASES[name]
    refused(results[name], cause, *says)


@pytest.mark.parametrize("name", CODES)
def test_the_exit_code_is_told(name: str, results: dict[str, Result]) -> None:
    assert results[name]["error"]["exit_code"] == CODES[name]


def test_a_restore_that_was_refused_leaves_nothing_beside_its_destination(
    stage: Stage, results: dict[str, Result]
) -> None:
    assert results
    assert not [path for path in stage.dest.iterdir() if path.name.startswith(".") or path.name == "new"]
