"""Where the error tests play: one S3 server, one backed-up tree, copies of its backup that are spoilt."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import trees
from lab.s3.client_api import S3Lab

BUCKET = "errors"
PASSPHRASE = "the right passphrase"
VOLUMES = 4


@dataclass
class Stage:
    """A server, a place for files, an image; jobs, and looks before and after."""

    s3: S3Lab
    root: Path
    image: str

    def __post_init__(self) -> None:
        self.client = self.s3.client()
        self.client.create_bucket(Bucket=BUCKET)
        self.source = self.root / "source"
        self.dest = self.root / "destinations"
        for path in (self.source, self.dest):
            path.mkdir(parents=True)

    def job(self, name: str, prefix: str | None = None, /, **changes: Any) -> dict[str, Any]:
        """A job's options. The name is unique on this machine; ``prefix`` says whose backup it looks at."""
        job = {
            "name": f"{name}-{os.getpid()}",
            "source": str(self.source),
            "target": f"s3://{BUCKET}/{prefix or name}",
            "hostname": "stage",
            "storage_class": "STANDARD",
            "volume_size": 1,
            "encryption": {"mode": "none"},
            "credentials": {"access_key": self.s3.access_key, "secret_key": self.s3.secret_key},
            "endpoint_url": self.s3.endpoint_url,
            "region": self.s3.region,
            "image": self.image,
            "docker_host": os.environ["DOCKER_HOST"],
            "state_dir": str(self.root / "state"),
        }
        return copy.deepcopy({**job, **changes})

    def service(self, **changes: Any) -> dict[str, Any]:
        """What the modules without a job need to find the server."""
        job = self.job("service")
        return {"bucket": BUCKET, **{key: job[key] for key in ("credentials", "endpoint_url", "region")}, **changes}

    def keys(self, prefix: str, part: str = "") -> list[str]:
        """Keys below a prefix, in order."""
        found = [entry["key"] for entry in self.s3.state(BUCKET, f"{prefix}/")]
        return [key for key in found if part in key]

    def copy(self, source: str, to: str, storage_class: str = "STANDARD") -> None:
        """Put a backup under another prefix, its volumes in another class."""
        for key in self.keys(source):
            body = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            self.put(to + key[len(source) :], body, storage_class if ".difftar" in key else "STANDARD")

    def put(self, key: str, body: bytes, storage_class: str = "STANDARD") -> None:
        """Store one object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, StorageClass=storage_class)

    def looks(self) -> dict[str, str]:
        """The bucket and the destinations, in a form that says what differs."""
        found = {f"s3:{entry['key']}": json.dumps(entry, sort_keys=True) for entry in self.s3.state(BUCKET)}
        entries = trees.snapshot(self.dest)
        # Where a restore began before it was refused, its staging directory came and went.
        entries[b"."] = replace(entries[b"."], mtime=0)
        return found | {f"dest:{path!r}": repr(entry) for path, entry in entries.items()}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What runs inside must leave bucket and destinations as they were."""
        before = self.looks()
        yield
        after = self.looks()
        touched = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
        assert not touched, [(key, before.get(key), after.get(key)) for key in touched]
