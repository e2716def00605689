"""The image: small, hardened, quick to start, and with igzip really in the place of gzip."""

from __future__ import annotations

import json
import os

import pytest
from docker import DockerClient

from lab import kills

# Writes a volume of very different data with duplicity's own class and tells whether zlib made the stream: zlib's
# output depends on data and level alone, so compressing the content again gives the same bytes, or another maker.
WHO_COMPRESSED = """
import glob, gzip, json, os, random, subprocess, sys, zlib
os.makedirs("/tmp/source")
random.seed(1)
with open("/tmp/source/file", "wb") as file:
    file.write(b"".join(random.choice([b"alpha ", b"beta ", b"gamma ", b"delta "]) for _ in range(200_000)))
    file.write(random.randbytes(200_000))
subprocess.run(["duplicity", "full", "--no-encryption", "--archive-dir", "/tmp/archive", "/tmp/source",
                "file:///tmp/target"], check=True, stdout=subprocess.DEVNULL)
result = {}
for kind in ("difftar", "sigtar"):
    (path,) = glob.glob(f"/tmp/target/*.{kind}.gz")
    raw = open(path, "rb").read()
    content = zlib.decompress(raw, wbits=31)
    again = zlib.compressobj(6, zlib.DEFLATED, -15)
    result[kind] = raw[-8 - 64:-8] == (again.compress(content) + again.flush())[-64:]
print(json.dumps(result))
"""


def test_runs_read_only_without_capabilities(ours: str, run) -> None:
    assert run(ours, ["duplicity", "--version"]).startswith("duplicity 3.2.1 ")


def test_runs_as_nobody_with_an_entrypoint(ours: str, run) -> None:
    assert run(ours, ["--version"], entrypoint="duplicity", user="65534:65534").startswith("duplicity 3.2.1 ")


def test_signals_end_it_through_the_init(ours: str, engine: DockerClient) -> None:
    command = ["sh", "-c", "echo begun; exec sleep 60"]
    container = engine.containers.run(ours, command, init=True, detach=True, labels=["permafrost.lab"])
    try:
        kills.until(container.logs, "the init has begun the command: before that nothing takes a signal")
        container.kill("SIGTERM")
        assert container.wait(timeout=60)["StatusCode"] == 143
    finally:
        container.remove(force=True)


def test_volumes_and_signatures_are_not_made_by_zlib(ours: str, stock: str, run) -> None:
    """The stock image comes first: it proves that the question can be answered."""
    by_zlib = {image: json.loads(run(image, ["python3", "-c", WHO_COMPRESSED])) for image in (stock, ours)}
    assert by_zlib == {stock: {"difftar": True, "sigtar": True}, ours: {"difftar": False, "sigtar": False}}


def test_s3_back_end_is_whole_after_trimming(ours: str, run) -> None:
    script = (
        "import boto3, botocore.session\n"
        "from duplicity import backend\n"
        "backend.import_backends()\n"
        "print(sorted(backend._backends))\n"
        "session = boto3.session.Session('AKIAEXAMPLE', 'secret', region_name='eu-central-1')\n"
        "session.resource('s3'); session.client('s3').get_paginator('list_objects_v2')\n"
        "session.client('s3').get_waiter('object_exists')\n"
        "print(session.client('s3').generate_presigned_url('get_object', Params={'Bucket': 'bucket', 'Key': 'k'}))\n"
        "print(session.client('sts').meta.endpoint_url)\n"
        "print(session.get_available_regions('s3')[:1], session.client('sso', 'us-gov-west-1').meta.endpoint_url)\n"
        "print(session.client('sso-oidc', 'cn-north-1').meta.endpoint_url)\n"
    )
    output = run(ours, ["python3", "-c", script])
    assert "'boto3+s3', 'file', 's3'" in output
    assert "https://bucket.s3." in output
    assert "https://sts.eu-central-1." in output
    assert "['af-south-1'] https://portal.sso.us-gov-west-1.amazonaws.com" in output
    assert "https://oidc.cn-north-1.amazonaws.com.cn" in output


@pytest.mark.parametrize("tool", ["pip", "pip3", "gcc", "cc", "curl", "wget"])
def test_tools_of_the_build_stay_behind(tool: str, ours: str, run) -> None:
    assert run(ours, ["sh", "-c", f"command -v {tool} || echo none"]).strip() == "none"


def test_no_module_of_the_build_stays_behind(ours: str, run) -> None:
    script = "import importlib.util as u; print([n for n in ('pip', 'setuptools', 'wheel') if u.find_spec(n)])"
    assert run(ours, ["python3", "-c", script]).strip() == "[]"
    assert run(ours, ["/usr/bin/python3", "-c", script]).strip() == "[]"


def test_everything_is_compiled(ours: str, run) -> None:
    """A read-only image cannot cache what it compiles: each start would compile again."""
    script = (
        "import importlib.util as u, pathlib, sys\n"
        "files = pathlib.Path(sys.prefix).glob('lib/python3.*/site-packages/**/*.py')\n"
        "print([str(f) for f in files if not pathlib.Path(u.cache_from_source(f)).exists()])\n"
    )
    assert run(ours, ["python3", "-c", script]).strip() == "[]"


def test_gnupg_encrypts_with_a_passphrase_from_a_file(ours: str, run) -> None:
    """The way of the modules: no passphrase in argv or environment, gpg reads the file itself."""
    script = (
        "set -e; export HOME=/tmp/home PASSPHRASE=from-file; mkdir -p /tmp/home /tmp/source; echo data >/tmp/source/a;"
        "echo secret >/tmp/passphrase;"
        "set -- --use-agent '--gpg-options=--pinentry-mode=loopback --passphrase-file=/tmp/passphrase';"
        'duplicity full "$@" --archive-dir /tmp/one /tmp/source file:///tmp/target >/dev/null;'
        'duplicity restore "$@" --archive-dir /tmp/two file:///tmp/target /tmp/restored >/dev/null;'
        "cat /tmp/restored/a; ls /tmp/target"
    )
    output = run(ours, ["sh", "-c", script], cap_add=["CHOWN", "FOWNER"])
    assert "data" in output.splitlines()
    assert "vol1.difftar.gpg" in output


def test_a_passphrase_is_mangled_most_and_nothing_is_measured_for_it(ours: str, run) -> None:
    """gpg does not ask the agent, which would measure, or say as here what it was told."""
    gpg = "gpg --batch --pinentry-mode loopback --passphrase secret"
    script = (
        "set -e; export GNUPGHOME=/tmp/home; mkdir -m 0700 /tmp/home; echo s2k-count 65536 >/tmp/home/gpg-agent.conf;"
        f"echo data >/tmp/file; {gpg} --symmetric /tmp/file; {gpg} --list-packets /tmp/file.gpg"
    )
    assert "count 65011712" in run(ours, ["sh", "-c", script])


def test_size_over_the_base(ours: str, engine: DockerClient) -> None:
    base = engine.images.get(os.environ["LAB_BASE_IMAGE"]).attrs["Size"]
    over = (engine.images.get(ours).attrs["Size"] - base) / 1e6
    print(f"image: {over:.1f} MB over the base")
    assert over < 68  # 13 of it for Apprise and what it needs


def test_replacing_gzip_loads_nothing_but_what_replaces_it(ours: str, stock: str, run) -> None:
    """What more is imported is what a start would lose."""
    script = "import sys, duplicity.dup_main; print(*sys.modules)"
    loaded = {image: set(run(image, ["python3", "-c", script]).splitlines()[-1].split()) for image in (stock, ours)}
    more = {name.partition(".")[0] for name in loaded[ours] - loaded[stock]}
    small = {"encodings", "gc"}
    fast = {"fast_files", "fast_gzip", "fast_memory", "fast_tar", "read_ahead"}
    assert more - small == {*fast, "isal", "limit_rate", "log_names"}
