"""The image under test, built as users build it: by the role. `python -m lab.image` prints its name."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab import warm
from lab.places import CHECKOUT, CHECKOUT_ID, LAB, LabError, lock

NAME = f"permafrost-lab/duplicity-{CHECKOUT_ID}:latest"
BUILD_DIR = LAB / "duplicity-image"
STAMP = LAB / "duplicity-image.stamp"
SOURCES = ("roles/duplicity_image", "plugins")
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
        play, log = Path(work) / "play.yml", Path(work) / "log"
        play.write_text(PLAY)
        arguments = [*options, "-e", json.dumps(variables(**others)), str(play)]
        # JSON is the one form of output that is made to be read by programs.
        settings = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", **(environment or {})}
        code = warm.playbook(arguments, {**os.environ, **settings}, log)
        output = log.read_text(encoding="utf-8")
    try:
        # Warnings stand before it, and may stand behind it.
        report, _end = json.JSONDecoder().raw_decode(output, output.index("{\n"))
    except ValueError as error:
        raise LabError(f"ansible-playbook said no JSON:\n{output}") from error
    stats = report["stats"]["localhost"]
    last = report["plays"][-1]["tasks"][-1]["hosts"]["localhost"]
    reference = str(last.get("duplicity_image_reference", ""))
    return Run(code, stats["changed"], stats["failures"], reference, output)


def ensure() -> str:
    """Have the role build the image, unless recipe and image are as it left them; gives the name that tests use."""
    with lock(LAB / "image.lock"), closing(docker.from_env(timeout=300)) as client:
        if not (STAMP.exists() and STAMP.read_text() == _state(client)):
            run = run_role()
            if run.code:
                raise LabError(f"the role could not build the image:\n{run.output}")
            STAMP.write_text(_state(client))
    return NAME


def _state(client: docker.DockerClient) -> str:
    """The image that has the name, and a hash of all that one is made of: role, files of modules, the lab's wishes."""
    total = hashlib.sha256(json.dumps(variables(), sort_keys=True).encode())
    for place in SOURCES:
        for path in sorted((CHECKOUT / place).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path} {path.stat().st_mode}\n".encode() + path.read_bytes())
    ids = [image.id for name in (NAME, os.environ["LAB_BASE_IMAGE"]) for image in client.images.list(name)]
    return " ".join([total.hexdigest(), *ids])


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
