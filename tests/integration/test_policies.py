"""Four policies and all modules: each cell works, or says clearly what is refused; and nobody reads a neighbour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from integration.errors.playing import Task, play

from ansible_collections.permafrost.backup.plugins.module_utils import policies
from lab.s3.client_api import S3Lab

from .conftest import Job

# A thaw asks for each volume, and tells together what was refused.
OK, REFUSED, NO_THAW = "ok", "access_refused", "thaw_incomplete"
# What the modules do with the credentials of each part, in the order in which they run.
TABLE = {
    #                        backup   cleanup  thaw     restore
    "duplicity_backup":     (OK,      REFUSED, REFUSED, REFUSED),
    "duplicity_info":       (OK,      REFUSED, OK,      OK),
    "duplicity_verify":     (OK,      OK,      OK,      OK),
    "glacier_restore_info": (OK,      OK,      OK,      OK),
    "glacier_restore":      (NO_THAW, NO_THAW, OK,      NO_THAW),
    "duplicity_restore":    (OK,      REFUSED, REFUSED, OK),
    "duplicity_prove":      (OK,      REFUSED, OK,      OK),
    "glacier_bucket":       (REFUSED, REFUSED, REFUSED, REFUSED),
    "duplicity_cleanup":    (REFUSED, OK,      REFUSED, REFUSED),
}  # fmt: skip


class Fleet:
    """Two hosts in one bucket, each with the four policies of its own prefix."""

    def __init__(self, s3: S3Lab, bucket: str) -> None:
        self.s3, self.bucket = s3, bucket
        for host in ("web01", "web02"):
            for part in policies.PARTS:
                s3.add_key(self.key(host, part), "secret")
                document = policies.policy(part, bucket, [f"{host}/data"], partition="aws")
                s3.set_policy(self.key(host, part), document)

    def key(self, host: str, part: str) -> str:
        return f"LAB{host}{part}".upper()

    def credentials(self, host: str, part: str) -> dict[str, str]:
        return {"access_key": self.key(host, part), "secret_key": "secret"}


@pytest.fixture
def fleet(s3: S3Lab, bucket: str) -> Fleet:
    s3.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return Fleet(s3, bucket)


def jobs(job: Job, fleet: Fleet, host: str = "web01", **changes: Any) -> dict[str, Job]:
    """The job with the credentials of each part, and an archive directory of its own, so that all is read."""
    target = f"s3://{fleet.bucket}/{host}/data"
    return {
        part: {**job, "target": target, "storage_class": "GLACIER", "state_dir": f"{job['state_dir']}-{part}",
               "credentials": fleet.credentials("web01", part), **changes}
        for part in policies.PARTS
    }  # fmt: skip


def causes(done: dict[str, Any]) -> dict[str, str]:
    """What became of each task. A failure says that it is the permission that lacks."""
    for one in done.values():
        assert not one.get("failed") or "S3 refused" in one["msg"], one["msg"]
    return {name: one["error"]["cause"] if one.get("failed") else OK for name, one in done.items()}


def options(module: str, job: Job, fleet: Fleet, dest: Path) -> dict[str, Any]:
    """What a module is asked to do for a job."""
    connection = {name: job[name] for name in ("credentials", "endpoint_url", "region")}
    return {
        "duplicity_backup": {"job": job, "full": True},
        "duplicity_cleanup": {"job": job, "keep_fulls": 1, "early_delete": "allow"},
        "duplicity_restore": {"job": job, "dest": str(dest), "prove": False},
        "duplicity_prove": {"job": job, "dest": job["source"]},
        "glacier_restore": {"target": job["target"], **connection},
        "glacier_bucket": {"name": fleet.bucket, **connection},
    }.get(module, {"job": job})


def test_each_part_with_each_module(job: Job, fleet: Fleet, tmp_path: Path) -> None:
    source = Path(job["source"])
    source.mkdir()
    (source / "file").write_text("content")
    mine = jobs(job, fleet)
    first = play({"first": Task("duplicity_backup", {"job": mine["backup"]})}, tmp_path)
    assert causes(first) == {"first": OK}
    # Who may comes last: what was thawed or deleted already, nobody has to ask for.
    cells = [
        (module, part)
        for module, row in TABLE.items()
        for part, _cell in sorted(zip(policies.PARTS, row), key=lambda cell: cell[1] == OK)
    ]
    tasks = {
        f"{module} {part}": Task(module, options(module, mine[part], fleet, tmp_path / f"restored-{part}"))
        for module, part in cells
    }
    asked = list(tasks).index("glacier_restore thaw") + 1
    found = causes(play(dict(list(tasks.items())[:asked]), tmp_path))
    fleet.s3.advance(hours=12)
    found |= causes(play(dict(list(tasks.items())[asked:]), tmp_path))
    assert {module: tuple(found[f"{module} {part}"] for part in policies.PARTS) for module in TABLE} == TABLE
    restored = [tmp_path / f"restored-{part}" / "file" for part in policies.PARTS]
    assert [one.exists() for one in restored] == [one == OK for one in TABLE["duplicity_restore"]]


def test_a_neighbour_cannot_be_seen(job: Job, fleet: Fleet, tmp_path: Path) -> None:
    client = fleet.s3.client()
    client.put_object(Bucket=fleet.bucket, Key="web02/data/duplicity-full.20261101T000000Z.manifest", Body=b"x")
    client.put_object(Bucket=fleet.bucket, Key="web01/data2/file", Body=b"x")
    theirs = jobs(job, fleet, host="web02", source=str(tmp_path))
    tasks = {part: Task("duplicity_info", {"job": one}) for part, one in theirs.items()}
    assert set(causes(play(tasks, tmp_path)).values()) == {REFUSED}
    for part in policies.PARTS:
        pair = {"aws_access_key_id": fleet.key("web01", part), "aws_secret_access_key": "secret"}
        me = fleet.s3.client(**pair)
        for prefix in ("", "web02/", "web02/data/", "web01/data", "web01/data2/", "web"):
            for listing in (me.list_objects_v2, me.list_object_versions, me.list_multipart_uploads):
                assert code(listing, Bucket=fleet.bucket, Prefix=prefix) == "AccessDenied", (part, prefix)
        for key in ("web02/data/duplicity-full.20261101T000000Z.manifest", "web01/data2/file"):
            assert code(me.get_object, Bucket=fleet.bucket, Key=key) == "AccessDenied"
            assert code(me.put_object, Bucket=fleet.bucket, Key=key, Body=b"y") == "AccessDenied"
            assert code(me.restore_object, Bucket=fleet.bucket, Key=key, RestoreRequest={"Days": 1}) == "AccessDenied"
            assert code(me.delete_object, Bucket=fleet.bucket, Key=key) == "AccessDenied"


def code(call: Any, **arguments: Any) -> str | None:
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None
