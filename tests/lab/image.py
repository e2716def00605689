"""The image under test, built as users build it: by the role. `python -m lab.image` prints its name."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab.places import CHECKOUT_ID, LAB, LabError, lock

NAME = f"permafrost-lab/duplicity-{CHECKOUT_ID}:latest"
BUILD_DIR = LAB / "duplicity-image"
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  roles:
    - role: permafrost.backup.duplicity_image
  post_tasks:
    - name: Say what was built
      ansible.builtin.debug:
        var: duplicity_image_reference
"""


@dataclass(frozen=True)
class Run:
    """What ansible-playbook said of one run of the role."""

    code: int
    changed: int
    failed: int
    reference: str
    output: str


def indexes() -> dict[str, str]:
    """Package indexes of the user's own, for pip."""
    return {name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if os.environ.get(name)}


def variables(**others: Any) -> dict[str, Any]:
    """Role variables that make the image from what the lab has."""
    ours = {
        "duplicity_image_name": NAME,
        "duplicity_image_base": os.environ["LAB_BASE_IMAGE"],
        "duplicity_image_ca_file": os.environ.get("LAB_CA_FILE", ""),
        "duplicity_image_build_args": indexes(),
        "duplicity_image_build_dir": str(BUILD_DIR),
        "duplicity_image_requires": ["engine"],  # this machine only builds; its jobs run in hosts
    }
    return {**ours, **others}


def run_role(*options: str, environment: dict[str, str] | None = None, **others: Any) -> Run:
    """Run the role on this machine, with further role variables and options of ansible-playbook."""
    with tempfile.TemporaryDirectory() as work:
        play = Path(work) / "play.yml"
        play.write_text(PLAY)
        argv = ["ansible-playbook", *options, "-e", json.dumps(variables(**others)), str(play)]
        # JSON is the one form of output that is made to be read by programs.
        settings = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", **(environment or {})}
        done = subprocess.run(argv, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError as error:
        raise LabError(f"ansible-playbook said no JSON:\n{done.stdout}\n{done.stderr}") from error
    stats = report["stats"]["localhost"]
    last = report["plays"][-1]["tasks"][-1]["hosts"]["localhost"]
    reference = str(last.get("duplicity_image_reference", ""))
    return Run(done.returncode, stats["changed"], stats["failures"], reference, done.stdout + done.stderr)


def ensure() -> str:
    """Build the image if its recipe changed, and return the name by which tests use it."""
    with lock(LAB / "image.lock"):
        run = run_role()
    if run.code:
        raise LabError(f"the role could not build the image:\n{run.output}")
    return NAME


def save(name: str, archive: Path) -> None:
    """An image as a file, unless it is there; a host's engine has no image at all."""
    client = docker.from_env(timeout=300)
    image = client.images.get(name)
    stamp = archive.with_suffix(".id")
    if not (archive.exists() and stamp.exists() and stamp.read_text() == image.id):
        with archive.open("wb") as stream:
            for chunk in image.save(named=name):
                stream.write(chunk)
        stamp.write_text(str(image.id))
    client.close()


if __name__ == "__main__":
    print(ensure())
