"""python -m lab.up CMD…: make sure that everything is up, then run CMD in the lab's environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab import base, engine, galaxy
from lab.places import BASE_IMAGE, CHECKOUT, COLLECTIONS, LAB, VENV, LabError

BYTECODE = Path(__file__).with_name("bytecode")
# What pip and its kind are told about certificates, in the order of how close it is to pip.
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def environment(host: str) -> dict[str, str]:
    """The environment of commands in the lab; a user's settings stay where they do not decide a test's result."""
    ours = {
        "PATH": os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(VENV),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "tests"), str(COLLECTIONS), str(BYTECODE)]),
        "DOCKER_HOST": host,
        "ANSIBLE_CONFIG": str(Path(__file__).with_name("ansible.cfg")),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(LAB / "ansible"),
        "LAB_BASE_IMAGE": BASE_IMAGE,
    }
    if not os.environ.get("LC_ALL", os.environ.get("LANG", "")).upper().endswith(("UTF-8", "UTF8")):
        ours["LC_ALL"] = "C.UTF-8"  # ansible refuses others
    authority = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), "")
    if authority and Path(authority).is_file():
        ours["LAB_CA_FILE"] = authority
    return {**os.environ, **ours}


def main(command: list[str]) -> None:
    """Bring the lab up and become the command."""
    try:
        galaxy.ensure()
        host = engine.ensure()
        base.ensure(host)
    except LabError as error:
        sys.exit(f"lab: {error}")
    variables = environment(host)
    try:
        os.execvpe(command[0], command, variables)
    except FileNotFoundError:
        sys.exit(f"lab: no such command: {command[0]}")


if __name__ == "__main__":
    main(sys.argv[1:])
