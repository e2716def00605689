"""Debian packages that the lab needs, with a record of those it installed itself."""

from __future__ import annotations

import os
import shutil
import subprocess

from lab.places import INSTALLED_PACKAGES, LabError, say

# A mirror may fail once, and something else on the machine may be installing.
APT = ["apt-get", "-qq", "-o", "Acquire::Retries=5", "-o", "DPkg::Lock::Timeout=300"]
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def _run(argv: list[str]) -> str:
    done = subprocess.run(
        argv, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"{' '.join(argv)} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def _all_installed() -> set[str]:
    rows = _run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n"]).splitlines()
    return {row.split()[-1] for row in rows if row.startswith("ii")}


def ensure(commands: dict[str, str]) -> None:
    """Install the packages of those commands (command -> package) that are not there."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = sorted({package for command, package in commands.items() if not shutil.which(command, path=path)})
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise LabError(f"these are needed and only root on a Debian could install them here: {', '.join(missing)}")
    say(f"installing {', '.join(missing)}")
    before = _all_installed()
    # A service that Debian starts at once would be an engine that nobody asked for (and cannot start here at all).
    _run([*APT, "update"])
    _run([*APT, "install", "-y", "--no-install-recommends", *missing])
    INSTALLED_PACKAGES.parent.mkdir(parents=True, exist_ok=True)
    with INSTALLED_PACKAGES.open("a") as record:
        record.writelines(f"{name}\n" for name in sorted(_all_installed() - before))


def remove_installed() -> None:
    """Take away again what the lab installed, and only that."""
    if not INSTALLED_PACKAGES.exists():
        return
    ours = sorted(set(INSTALLED_PACKAGES.read_text().split()) & _all_installed())
    if ours:
        say(f"removing the packages {', '.join(ours)}")
        _run([*APT, "purge", "-y", *ours])
    INSTALLED_PACKAGES.unlink()
