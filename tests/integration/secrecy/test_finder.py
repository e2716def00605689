"""The finder finds a secret planted on purpose in each kind of place: else the other tests would prove nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from integration.secrecy.finder import Finder, Hit, of_key, watching

from ansible_collections.permafrost.backup.plugins.module_utils import openpgp
from unit.keyring import armoured

CANARY = f"planted-canary-{os.getpid()}-0123456789"


@pytest.fixture
def finder() -> Finder:
    return Finder({"planted": CANARY, "other": "a longer one that is nowhere to be found " * 3})


@pytest.fixture
def container(image: str) -> Iterator[docker.models.containers.Container]:
    client = docker.from_env()
    made = client.containers.create(image, ["-c", "echo $LEAK"], entrypoint=["sh"], environment={"LEAK": CANARY})
    yield made
    made.remove(force=True)
    client.close()


def kinds(hits: Iterator[Hit] | set[Hit]) -> set[str]:
    found = set(hits)
    assert {hit.secret for hit in found} <= {"planted"}
    return {hit.kind for hit in found}


def test_in_a_command_line_and_in_an_environment(finder: Finder) -> None:
    assert kinds(finder.processes()) == set()
    code = "import sys; print(flush=True); sys.stdin.read()"
    for argv, environment, kind in ((CANARY, {}, "cmdline"), ("", {"LEAK": CANARY}, "environ")):
        with subprocess.Popen(
            [sys.executable, "-c", code, argv],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert kinds(finder.processes()) == {kind}
            process.communicate()


def test_in_what_runs_for_a_moment_only(finder: Finder) -> None:
    with watching(finder.processes) as found:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(3)", CANARY], check=True)
    assert kinds(found) == {"cmdline"}


def test_in_a_container_its_log_and_an_image(finder: Finder, container: docker.models.containers.Container) -> None:
    assert kinds(finder.containers()) == {"inspect"}
    container.start()
    container.wait()
    assert kinds(finder.containers()) == {"inspect", "logs"}


def test_in_a_file_of_an_image(finder: Finder, image: str) -> None:
    assert kinds(finder.image(image)) == set()
    client = docker.from_env()
    made = client.containers.create(image, entrypoint=["true"])
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("leak")
        entry.size = len(CANARY)
        tar.addfile(entry, io.BytesIO(CANARY.encode()))
    made.put_archive("/", archive.getvalue())
    leaking = made.commit()
    try:
        assert kinds(finder.image(leaking.id)) == {"image"}
    finally:
        made.remove()
        client.images.remove(leaking.id, force=True)
        client.close()


def test_a_secret_key_in_whatever_form(tmp_path: Path, container: docker.models.containers.Container) -> None:
    key = armoured("secret", "curve")
    needles = of_key("curve", key, armoured("public", "curve"))
    finder = Finder(needles)
    (tmp_path / "export.asc").write_text(key)
    (tmp_path / "export.gpg").write_bytes(openpgp.dearmored(key, "PRIVATE KEY BLOCK"))
    (tmp_path / "result.json").write_text(json.dumps({"invocation": {"module_args": {"secret_keys": key}}}))
    (tmp_path / "public.asc").write_text(armoured("public", "curve"))
    found = {(Path(hit.place).name, hit.secret) for hit in finder.files(tmp_path)}
    assert found == {
        ("export.asc", "curve, armoured"),
        ("export.gpg", "curve, binary"),
        ("result.json", "curve, armoured"),
    }
    with subprocess.Popen(["sleep", "60"], env={"LEAK": key}) as process:
        assert {(hit.secret, hit.kind) for hit in finder.processes()} == {("curve, armoured", "environ")}
        process.kill()
    assert set(finder.containers()) == set()
    made = container.client.containers.create(container.image, [key], entrypoint=["true"])
    try:
        assert {(hit.secret, hit.kind) for hit in finder.containers()} == {("curve, armoured", "inspect")}
    finally:
        made.remove()


def test_in_files_of_any_mode_and_across_reads(finder: Finder, tmp_path: Path) -> None:
    place = tmp_path / "deep" / "down"
    place.mkdir(parents=True, mode=0o700)
    (place / "hidden").write_bytes(bytes((1 << 20) - 7) + CANARY.encode())
    (place / "hidden").chmod(0o600)
    (tmp_path / CANARY).touch()
    hits = set(finder.files(tmp_path))
    assert kinds(hits) == {"file", "file name"}
    assert [(hit.mode, hit.directory_mode) for hit in hits if hit.kind == "file"] == [(0o600, 0o700)]
