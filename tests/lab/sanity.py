"""python -m lab.sanity: ansible-test sanity, documentation, galaxy's build and import, on a copy of what is shipped."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import yaml

from lab import galaxy
from lab.places import CHECKOUT, LAB, VENV, lock

BUILD = LAB / "build"
ROOT = BUILD / "ansible_collections"
COPY = ROOT / "permafrost" / "backup"
# ansible-test keeps its virtual environments below HOME; with one of its own `make clean` takes them away.
HOME = LAB / "ansible-test"
# ansible-test wants pip's installer from its own server; Python brings one along.
INSTALLER = "import ensurepip\nensurepip.bootstrap(upgrade=True, default_pip=True)\n"
# What modules and their utilities must run on, where this machine has it.
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
IMPORTER = """\
[galaxy-importer]
RUN_ANSIBLE_TEST = False
RUN_ANSIBLE_LINT = False
RUN_FLAKE8 = False
CHECK_REQUIRED_TAGS = True
CHECK_CHANGELOG = True
CHECK_RUNTIME_REQUIRES_ANSIBLE = True
"""


def run(*argv: str, cwd: Path = COPY, quiet: bool = False, **more: object) -> bool:
    """Run a command with ansible-test's own home; what it says is shown unless all is well and quiet is wanted."""
    print(f"+ {' '.join(argv)}", flush=True)
    environment = {**os.environ, "HOME": str(HOME), "ANSIBLE_COLLECTIONS_PATH": str(BUILD)}
    environment.update((name, str(value)) for name, value in more.items())
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        argv, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True, check=False
    )
    if quiet and done.returncode:
        print("\n".join(f"ERROR: {line}" for line in done.stdout.splitlines() if line))
    return done.returncode == 0


def copy_sources() -> None:
    """A real collection tree in a repository of its own, as ansible-test demands, with its dependencies beside it.

    Only what galaxy ships: the lab and the tests are ruff's and mypy's.
    """
    shutil.rmtree(BUILD, ignore_errors=True)
    COPY.mkdir(parents=True)
    left_out = set(yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["build_ignore"])
    names = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        source = CHECKOUT / name
        # What is gone is deleted, with the deletion not committed yet.
        if source.exists() and name.partition("/")[0] not in left_out:
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, COPY / name)
    for name in galaxy.WANTED:
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).symlink_to(galaxy.ROOT / name)
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    (COPY / ".git" / "info" / "exclude").write_text("/tests/output/\n")  # ansible-test's own, which it would test too
    subprocess.run(["git", "add", "--all"], cwd=COPY, check=True)


def prepare_home() -> None:
    """The installer where ansible-test looks for it, and pip's settings, since it drops their environment variables."""
    core = VENV / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages" / "ansible_test"
    source = (core / "_internal" / "python_requirements.py").read_text()
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in set(re.findall(r"pip='([\d.]+)'", source)):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(INSTALLER)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings = configparser.ConfigParser(interpolation=None)
    settings["global"] = dict(re.findall(r"(?m)^(?:global|:env:)\.([\w-]+)='(.*)'$", listed))
    target = HOME / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w") as handle:
        settings.write(handle)


def interpreter(version: str) -> str | None:
    """That Python itself, not a shim before it, if this machine has it."""
    argv = [f"python{version}", "-c", "import sys; print(sys.executable)"]
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def sanity() -> bool:
    """Every sanity test on the Python at hand; those about old Pythons on the others that are there too."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    passed = run("ansible-test", "sanity", "--venv", "--python", own, "--color", "no")
    for version in PYTHONS:
        found = interpreter(version) if version != own else None
        if found:
            passed &= run("ansible-test", "sanity", "--test", "import", "--test", "compile", "--color", "no",
                          "--controller", "origin:python=default", "--target-python", f"{version}@{found}")  # fmt: skip
    ignores = [str(path.relative_to(COPY)) for path in COPY.glob("tests/sanity/ignore*")]
    if ignores:
        print(f"sanity passes without exceptions here, so these must go: {', '.join(ignores)}")
    return passed and not ignores


def documentation() -> bool:
    """ansible-doc renders each module."""
    names = [f"permafrost.backup.{path.stem}" for path in sorted(COPY.glob("plugins/modules/*.py"))]
    pages = ("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error")
    (BUILD / "docs").mkdir(exist_ok=True)
    return (
        bool(names)
        and run("ansible-doc", "--type", "module", *names, quiet=True)
        and run("antsibull-docs", "lint-collection-docs", "--plugin-docs", ".", quiet=True)
        and run(*pages, "--dest-dir", str(BUILD / "docs"), "permafrost.backup", quiet=True)
    )


def build() -> bool:
    """ansible-galaxy makes an artifact, with the collection's parts in it and none of the tests' or of git's."""
    if not run("ansible-galaxy", "collection", "build", "--force", "--output-path", str(BUILD), quiet=True):
        return False
    with tarfile.open(next(BUILD.glob("permafrost-backup-*.tar.gz"))) as artifact:
        names = artifact.getnames()
    unwanted = [name for name in names if name.startswith(("tests", ".git", ".lab", ".ci", "molecule"))]
    missing = {"MANIFEST.json", "LICENSE", "meta/runtime.yml", "plugins/module_utils/job.py"} - set(names)
    if unwanted or missing:
        print(f"the artifact has {unwanted[:5]}, and lacks {sorted(missing)}")
    return not unwanted and not missing


def importer() -> bool:
    """What Galaxy runs when a collection is uploaded, but for the linters, which have their own part."""
    settings = BUILD / "importer.cfg"
    settings.write_text(IMPORTER)
    artifact = next(BUILD.glob("permafrost-backup-*.tar.gz"))
    return run(sys.executable, "-m", "galaxy_importer.main", str(artifact), quiet=True, GALAXY_IMPORTER_CONFIG=settings)


def main() -> int:
    """All of it, so that one failure does not hide the next."""
    with lock(LAB / "sanity.lock"):
        copy_sources()
        prepare_home()
        failed = []
        for step in (sanity, documentation, build, importer):
            started = time.monotonic()
            if not step():
                failed.append(step.__name__)
            print(f"{step.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
