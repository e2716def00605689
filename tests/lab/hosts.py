"""Hosts with systemd, and an engine of their own, as containers. `python -m lab.hosts` makes their images."""

from __future__ import annotations

from pathlib import Path

from lab import recipes

# What stands between hosts and their package indexes, if anything does.
AUTHORITY = "/usr/local/share/lab-ca.pem"
CONTEXT = Path(__file__).with_name("hosts_image")


def ensure() -> str:
    """The image of a host with all prerequisites."""
    return recipes.ensure("host", CONTEXT, "host")


def ensure_bare() -> str:
    """The image of a host with Python only."""
    return recipes.ensure("host-bare", CONTEXT, "bare")


if __name__ == "__main__":
    print(ensure_bare(), ensure())
