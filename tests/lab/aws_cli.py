"""The AWS CLI in an environment of its own: it wants another botocore than the lab's boto3."""

from __future__ import annotations

import subprocess
import venv

from lab.places import LAB

_PLACE = LAB / "aws-cli"
AWS = _PLACE / "bin" / "aws"


def ensure() -> None:
    """Install it from PyPI unless it is there."""
    if not AWS.exists():
        venv.create(_PLACE, with_pip=True)
        subprocess.run([_PLACE / "bin" / "pip", "install", "--quiet", "awscli"], check=True)
