"""python -m lab.molecule [SCENARIO…]: run molecule's scenarios against the lab's S3 server and registry.

Prints the seconds of each scenario, what failed in it, and one closing line with the number of checks.
`python -m lab.molecule -- COMMAND` runs a command between the same servers, such as a shell for `molecule converge`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TextIO

import docker

from lab import hosts, warm
from lab import image as lab_image
from lab.places import CHECKOUT, CHECKOUT_ID, LAB, LabError, lock
from lab.registry import Registry, bridge_address
from lab.s3.client_api import S3Lab

PLACE = LAB / "molecule"
SHARE = PLACE / "share"  # hosts see it as /srv/lab, read-only
BIN = Path(__file__).with_name("bin")
SCENARIOS = CHECKOUT / "molecule"
# A check is an assertion of a scenario; those of roles are part of what is tested.
CHECK = "Check that "
# Each must stay out of all output.
SECRETS = ("LAB_REGISTRY_PASSWORD", "LAB_S3_SECRET_KEY")


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario; a failure that is no check is a further one."""

    name: str
    seconds: float
    passed: int
    failures: tuple[str, ...]


def names() -> list[str]:
    """All scenarios, in order."""
    return sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))


@contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """The environment of scenarios; the servers that they use run meanwhile."""
    (PLACE / "home").mkdir(parents=True, exist_ok=True)
    SHARE.mkdir(parents=True, exist_ok=True)
    client = docker.from_env(timeout=300)
    bridge = bridge_address(client)
    client.close()
    lab_image.save(os.environ["LAB_BASE_IMAGE"], SHARE / "base.tar")
    archive = PLACE / "image.tar"
    lab_image.save(lab_image.ensure(), archive)
    prefix = f"m{CHECKOUT_ID}"
    with Registry(f"{prefix}-registry") as registry, S3Lab(PLACE / "s3", host="0.0.0.0") as s3:
        authority = PLACE / "registry-ca.pem"
        authority.write_bytes(registry.authority.certificate)
        yield {
            **os.environ,
            "ANSIBLE_FORCE_COLOR": "false",
            "COLUMNS": "160",
            "MOLECULE_COMMAND_BORDERS": "false",
            "NO_COLOR": "1",
            "HOME": str(PLACE / "home"),  # molecule and its driver leave their caches there
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callbacks")),
            "LAB_HOSTS": prefix,
            "LAB_HOST_IMAGE": hosts.ensure(),
            "LAB_BARE_IMAGE": hosts.ensure_bare(),
            "LAB_SHARE": str(SHARE),
            "LAB_REGISTRY": registry.address,
            "LAB_REGISTRY_CA": str(authority),
            "LAB_REGISTRY_USER": registry.user,
            "LAB_REGISTRY_PASSWORD": registry.password,
            "LAB_BUILD_ARGS": json.dumps(lab_image.indexes()),
            "LAB_PIP": json.dumps(pip_settings()),
            "LAB_CA_FILE": os.environ.get("LAB_CA_FILE", ""),
            "LAB_IMAGE_ARCHIVE": str(archive),
            "LAB_FAR": (datetime.now(timezone.utc) + timedelta(hours=12)).strftime("%H:%M"),
            "LAB_S3_ENDPOINT": s3.endpoint_for(bridge),
            "LAB_S3_ACCESS_KEY": s3.access_key,
            "LAB_S3_SECRET_KEY": s3.secret_key,
        }


def pip_settings() -> dict[str, str]:
    """What pip inside a host needs to find the index that serves this machine."""
    return {**lab_image.indexes(), **({"PIP_CERT": hosts.AUTHORITY} if os.environ.get("LAB_CA_FILE") else {})}


def run_all(scenarios: list[str], environment: dict[str, str]) -> list[Outcome]:
    """The scenarios side by side, since hosts wait much; the output of each is shown when it has ended."""
    if len(scenarios) == 1:
        return [run(scenarios[0], environment, sys.stdout)]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: run_unseen(name, environment), scenarios))


def run_unseen(name: str, environment: dict[str, str]) -> Outcome:
    """One scenario beside others."""
    log = PLACE / f"{name}.log"
    print(f"scenario {name} begins; its output so far is in {log}", flush=True)
    try:
        with log.open("w", encoding="utf-8") as output:
            return run(name, environment, output)
    finally:
        print(log.read_text(encoding="utf-8", errors="replace"), flush=True)


def run(name: str, environment: dict[str, str], output: TextIO) -> Outcome:
    """One scenario from its creation to its destruction."""
    started = time.monotonic()
    results = PLACE / f"{name}.jsonl"
    results.unlink(missing_ok=True)
    path = os.pathsep.join([str(BIN), environment["PATH"]])
    settings = {**environment, "LAB_RESULTS": str(results), "PATH": path}
    argv = ["molecule", "test", "-s", name]
    code = subprocess.run(
        argv, cwd=CHECKOUT, env=settings, stdout=output, stderr=subprocess.STDOUT, check=False
    ).returncode
    passed, failures = _count(results, all_count=code != 0)
    if not passed:
        failures.append("it checked nothing")
    # Results hold all that any verbosity could print.
    leaked = [secret for secret in SECRETS if environment[secret] in _text(results)]
    failures += [f"{secret} is in the results of tasks" for secret in leaked]
    passed += len(SECRETS) - len(leaked)
    if code and not failures:
        failures = [f"molecule ended with {code}"]
    return Outcome(name, time.monotonic() - started, passed, tuple(failures))


def _text(results: Path) -> str:
    """What the callback wrote; nothing if no playbook ran."""
    return results.read_text(encoding="utf-8") if results.exists() else ""


def _count(results: Path, all_count: bool) -> tuple[int, list[str]]:
    """How many checks passed, and what failed: checks, and other tasks unless all of these were expected to fail."""
    passed, failures = 0, []
    for line in _text(results).splitlines():
        task = json.loads(line)
        check = task["task"].startswith(CHECK)
        if task["status"] in ("failed", "unreachable") and (check or all_count):
            failures.append(f"{task['host']}: {task['task']}")
        passed += check and task["status"] == "ok"
    return passed, failures


def main(wanted: list[str]) -> int:
    """Run the named scenarios, or all; or one command."""
    command = wanted[1:] if wanted[:1] == ["--"] else []
    unknown = [] if command else sorted(set(wanted) - set(names()))
    if unknown:
        print(f"no such scenario: {', '.join(unknown)} (there are: {', '.join(names())})", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    try:
        warm.home()  # not each playbook's own
        with lock(LAB / "molecule.lock"), surroundings() as environment:
            if command:
                return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode
            outcomes = run_all(wanted or names(), environment)
    except LabError as error:
        sys.exit(f"lab: {error}")
    return report(outcomes)


def report(outcomes: list[Outcome]) -> int:
    """The last thing that a reader sees."""
    print()
    for outcome in outcomes:
        print(f"{outcome.name:<20}{outcome.seconds:>8.1f} s  {outcome.passed} passed, {len(outcome.failures)} failed")
        for failure in outcome.failures:
            print(f"    {failure}")
    failed = sum(len(outcome.failures) for outcome in outcomes)
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
