"""module_defaults by group reach every module of the collection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lab.places import CHECKOUT
from lab.s3.client_api import S3Lab

from .conftest import Job, RunPlaybook

KEY = "plain/object"


def test_every_module_runs_with_the_defaults_of_its_group(
    job: Job, playbook: RunPlaybook, s3: S3Lab, bucket: str, tmp_path: Path
) -> None:
    Path(job["source"]).mkdir()
    s3.client().put_object(Bucket=bucket, Key=KEY, Body=b"x")
    modules = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))
    assert modules[0] == "duplicity_backup", "the others need a backup"
    # What a module wants beside the defaults; a new one that wants nothing needs no line here.
    options: dict[str, dict[str, Any]] = {
        "duplicity_cleanup": {"keep_fulls": 8},
        "duplicity_prove": {"dest": job["source"]},
        "duplicity_restore": {"dest": str(tmp_path / "restored")},
        "glacier_cost_info": {"directory": job["source"]},
        "glacier_bucket": {"name": f"{bucket}-other"},
        "glacier_policy_info": {"targets": [job["target"]]},
        "glacier_quote_info": {"plan": {"bucket": bucket, "volumes": []}},
        "glacier_restore": {"bucket": bucket, "keys": [KEY]},
    }
    prices = CHECKOUT / "playbooks" / "prices" / "us-east-1.yml"
    service = {name: job[name] for name in ("credentials", "endpoint_url", "region")}
    play = {
        "name": "Defaults",
        "hosts": "web01",
        "gather_facts": False,
        "module_defaults": {
            "group/permafrost.backup.cost": {"prices": yaml.safe_load(prices.read_text())},
            "group/permafrost.backup.duplicity": {"job": {**job, "storage_class": "STANDARD"}},
            "group/permafrost.backup.policy": {"region": job["region"]},
            "group/permafrost.backup.s3": service,
        },
        "tasks": [
            {"name": module, f"permafrost.backup.{module}": options.get(module, {}), "ignore_errors": True}
            for module in modules
        ],
    }

    run = playbook(yaml.safe_dump([play], sort_keys=False))

    failed = {task.action: task.result["msg"] for task in run.tasks if task.status != "ok"}
    assert failed == {}
    assert [task.action for task in run.tasks] == modules
