"""A chain that the guide's own command line made goes on as a job (docs/from-the-guide.md).

Its commands have their playbooks here, and these run: backup, status, files, thaw, restore.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from lab import play, trees
from lab.s3.client_api import S3Lab

from .conftest import Job, RunPlaybook

HOSTNAME = "backupname"
SEEN_AT = "/mnt/backup/src/data"
PREFIXES = {kind: f"{kind}-host.example.com-" for kind in ("archive", "manifest", "signature")}
# What duplicity has removed since.
REMOVED = ("--s3-use-multiprocessing", "--s3-european-buckets", "--s3-use-new-style")
OPTIONS = shlex.split("""
    --full-if-older-than 4W --s3-use-deep-archive --no-compression --no-encryption --progress
    --archive-dir /mnt/backup/src/config --s3-use-multiprocessing --volsize 1 --verbosity i --log-file /logfiles/log
    --asynchronous-upload --s3-european-buckets --s3-multipart-chunk-size 10 --s3-use-new-style
    --metadata-sync-mode partial
""")


class Guide:
    """The guide's directories on a host, and its `docker run`."""

    def __init__(self, home: Path, s3: S3Lab, bucket: str, image: str) -> None:
        self.data, self.config, self.logs = (home / name for name in ("data", "config", "logs"))
        for place in (self.config, self.logs):
            place.mkdir(parents=True)
        self.url = f"boto3+s3://{bucket}/backup-folder"
        self._s3, self._image = s3, image

    def run(self, *, without: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """The line of the guide, with the lab's service and without its wrapper `dup`."""
        s3 = self._s3
        options = [word for word in OPTIONS if word not in without]
        options += [word for kind, prefix in PREFIXES.items() for word in (f"--file-prefix-{kind}", prefix)]
        service = ["--s3-endpoint-url", s3.endpoint_url, "--s3-region-name", s3.region]
        volumes = {self.data: f"{SEEN_AT}:ro", self.config: "/mnt/backup/src/config", self.logs: "/logfiles"}
        argv = ["docker", "run", "--rm", "--hostname", HOSTNAME, "--network", "host", "--entrypoint", "duplicity"]
        argv += ["-e", f"AWS_ACCESS_KEY_ID={s3.access_key}", "-e", f"AWS_SECRET_ACCESS_KEY={s3.secret_key}"]
        argv += [word for place, seen_at in volumes.items() for word in ("-v", f"{place}:{seen_at}")]
        argv += [self._image, *options, *service, SEEN_AT, self.url]
        return subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False
        )

    def adopted(self, job: Job) -> Job:
        """The job that docs/from-the-guide.md makes of it."""
        return {
            **job,
            "source": str(self.data),
            "target": self.url,
            "hostname": HOSTNAME,
            "file_prefixes": PREFIXES,
            "adopt": {
                "archive_dir": str(self.config),
                "archive_name": hashlib.md5(self.url.encode()).hexdigest(),
                "source_path": SEEN_AT,
            },
            "storage_class": "DEEP_ARCHIVE",
            "compression": False,
        }


def run_playbooks(playbook: RunPlaybook, plays: list[tuple[str, dict[str, Any]]], **variables: Any) -> play.Run:
    """Playbooks of the collection in one run, each with its own variables; they must end well."""
    imports = [{"ansible.builtin.import_playbook": play.COLLECTION + name, "vars": given} for name, given in plays]
    run = playbook(yaml.safe_dump(imports), **variables)
    assert run.code == 0, run.output
    return run


def test_a_chain_goes_on(job: Job, playbook: RunPlaybook, s3: S3Lab, bucket: str, image: str, tmp_path: Path) -> None:
    guide = Guide(tmp_path / "guide", s3, bucket, image)
    trees.make(guide.data, files=20)
    then = [trees.snapshot(guide.data)]
    refused = guide.run(without=())
    assert "--s3-european-buckets" in refused.stdout
    assert (refused.returncode, s3.state(bucket)) == (23, [])
    made = guide.run(without=REMOVED)
    assert made.returncode == 0, made.stdout
    adopted = guide.adopted(job)
    assert [path.name for path in guide.config.iterdir()] == [adopted["adopt"]["archive_name"]]

    # With the guide's archive directory; its playbooks show the chain and go on with it.
    trees.change(guide.data, 1)
    then.append(trees.snapshot(guide.data))
    place = str(tmp_path)
    first = run_playbooks(playbook, [("status", {}), ("backup", {})], duplicity_jobs=[adopted], report_dir=place)
    (chain,) = first.result("duplicity_info")["chains"]
    assert [(one["kind"], one["missing"]) for one in chain["sets"]] == [("full", [])]
    assert first.result("duplicity_backup")["action"] == "incremental"

    # As after the loss of the host: the bucket has all that it takes.
    shutil.rmtree(guide.config)
    lost = {**adopted, "adopt": {"source_path": SEEN_AT}}
    trees.change(guide.data, 2)
    then.append(trees.snapshot(guide.data))
    plays = [("files", {"pattern": "awkward/*", "time": chain["end"]}), ("backup", {}), ("thaw", {"wait": False})]
    second = run_playbooks(playbook, plays, duplicity_jobs=[lost], thaw_credentials=job["credentials"])
    listed = second.result("duplicity_info")
    assert (listed["files_time"], listed["file_count"]) == (chain["end"], len(trees.kept(then[0])))
    assert 0 < listed["matched_count"] < listed["file_count"]
    assert second.result("duplicity_backup")["action"] == "incremental"
    assert second.result("glacier_restore")["replies"].keys() == {"accepted"}

    s3.advance(hours=49)
    times = [chain["end"], *(run.result("duplicity_backup")["set"]["time"] for run in (first, second))]
    plays = [("restore", {"time": time, "dest": str(tmp_path / f"at-{number}")}) for number, time in enumerate(times)]
    third = run_playbooks(playbook, [*plays, ("status", {})], duplicity_jobs=[lost], report_dir=place)
    for number, expected in enumerate(then):
        assert trees.differences(expected, trees.snapshot(tmp_path / f"at-{number}")) == []
    (chain,) = third.result("duplicity_info")["chains"]
    assert [one["time"] for one in chain["sets"]] == times
    assert third.result("duplicity_info")["unknown"] == []
    assert all(Path(entry["key"]).name.startswith(tuple(PREFIXES.values())) for entry in s3.state(bucket))
