"""A printed runbook: its aws and duplicity commands, typed as they stand there, bring the data back."""

from __future__ import annotations

import html
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from integration.conftest import Job, RunPlaybook

from lab import aws_cli, keys, kills, play, trees
from lab.s3.client_api import S3Lab

PASSPHRASE = 'it\'s "the" $passphrase'


def blocks(markdown: str) -> dict[str, list[str]]:
    """The commands of each section, by its number."""
    parts = re.split(r"(?m)^## (\d)\..*$", markdown)[1:]
    found = zip(parts[::2], parts[1::2], strict=True)
    return {number: re.findall(r"(?ms)^```bash\n(.*?)\n```$", body) for number, body in found}


def type_in(script: str, answers: list[str], home: Path) -> subprocess.Popen[str]:
    """A shell in which somebody types the commands, and answers what they ask."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{aws_cli.AWS.parent}:{environment['PATH']}"
    (home / "script").write_text(f"set -eu\n{script}\n")
    (home / "answers").write_text("".join(f"{answer}\n" for answer in answers))
    with (home / "answers").open() as given, (home / "said").open("w") as said:
        return subprocess.Popen(
            ["bash", "script"],
            cwd=home,
            env={**environment, "PATH": path, "HOME": str(home), "POLL": "1"},
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(params=["symmetric", "gpg"])
def backed(request: pytest.FixtureRequest, job: Job, image: str, tmp_path: Path) -> tuple[Job, str]:
    """A job with two sets, and the secret key that opens them, if it is a key that does."""
    secret: dict[str, Any] = {"mode": "symmetric", "passphrase": PASSPHRASE}
    key = ""
    if request.param == "gpg":
        pair = keys.make(image, {"recovery": PASSPHRASE})["recovery"]
        secret = {"mode": "gpg", "encrypt_keys": [pair.fingerprint], "public_keys": pair.public}
        job = {**job, "file_prefixes": {"archive": "data-", "manifest": "meta-"}}
        key = pair.secret
    job = {**job, "encryption": secret}
    source = tmp_path / "source"
    (source / "etc").mkdir(parents=True)
    (source / "large").write_bytes(os.urandom(2_500_000))
    (source / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    kills.succeeded(kills.run("duplicity_backup", job=job))
    time.sleep(1.1)  # duplicity's times are whole seconds
    (source / "etc" / "hosts").write_text("127.0.0.1 localhost web01\n")
    kills.succeeded(kills.run("duplicity_backup", job=job))
    return job, key


def paper(playbook: RunPlaybook, job: Job, place: Path) -> dict[str, list[str]]:
    """The commands of the printed runbook; both forms of it have the same ones, and neither a secret."""

    def printed(*options: str) -> play.Run:
        given = {"runbook_dir": str(place), "runbook_secrets_at": "the safe <3>"}
        return playbook("permafrost.backup.print_runbook", *options, duplicity_jobs=[job], **given)

    assert printed("--check").code == 0
    assert not place.exists()
    assert printed().code == 0
    assert "changed=0" in printed().output
    text, page = ((place / f"web01-{job['name']}.{kind}").read_text() for kind in ("md", "html"))
    typed = blocks(text)
    shown = [html.unescape(found) for found in re.findall(r"(?s)<pre>(.*?)</pre>", page)]
    assert shown == [command for commands in typed.values() for command in commands]
    for hidden in (PASSPHRASE, html.escape(PASSPHRASE), job["credentials"]["secret_key"]):
        assert hidden not in text + page
    return typed


def test_the_commands_on_paper(playbook: RunPlaybook, backed: tuple[Job, str], s3: S3Lab, tmp_path: Path) -> None:
    aws_cli.ensure()
    job, key = backed
    typed = paper(playbook, job, tmp_path / "paper")
    home = tmp_path / "home"
    home.mkdir()
    # On a machine with an engine and the image.
    commands = [typed["2"][1], *(command for number in "34567" for command in typed[number])]
    if key:  # of this one a directory alone
        (home / "secret-keys.asc").write_text(key)
        commands = [one.replace("RESTORE_PATH=", "RESTORE_PATH=etc") if one.endswith("=") else one for one in commands]
    mark = s3.mark()
    answers = [job["credentials"]["access_key"], job["credentials"]["secret_key"], PASSPHRASE]
    shell = type_in("\n".join(commands), answers, home)
    try:
        kills.until(lambda: shell.poll() is not None or asked(s3, mark, "HeadObject"), "the wait", 300)
        assert shell.poll() is None, (home / "said").read_text()
        wanted = (home / "volumes.txt").read_text().split()
        volumes = [one["key"] for one in s3.state(job["target"].split("/")[2]) if ".difftar" in one["key"]]
        assert len(asked(s3, mark, "RestoreObject")) == len(wanted) == (2 if key else len(volumes))
        s3.advance(hours=48)
        assert shell.wait(300) == 0, (home / "said").read_text()
    finally:
        shell.kill()
    expected = trees.snapshot(tmp_path / "source")
    kills.same(trees.below(expected, "etc") if key else expected, home / "restored")


def asked(s3: S3Lab, since: int, operation: str) -> list[str]:
    """The volumes that S3 was asked something of."""
    return [one["key"] for one in s3.requests(since) if one["operation"] == operation and ".difftar" in one["key"]]
