"""The contract of the guide's container: its own five lines at a terminal, and what else its commands promise.

What is changed in the lines: the bucket, and the backslash that the restore lacks; lab.terminal adds who and where S3
is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from docker import DockerClient

from ansible_collections.permafrost.backup.plugins.module_utils.extra_args import RENAMED
from lab.kills import until
from lab.s3.client_api import S3Lab
from lab.terminal import Terminal
from permafrost import options

BUCKET = "contract"
LINES = dict(
    re.findall(r"^# (\w+)\n(.*?)(?=^# |\Z)", Path(__file__).with_name("guide_lines.txt").read_text(), re.M | re.S)
)
FILES = {f"smallfiles/{number}": f"file {number}\n" * number for number in range(30)}
GONE = ("--s3-use-multiprocessing", "--s3-european-buckets", "--s3-use-new-style")


def line(name: str) -> str:
    """A line of the guide with its bucket, and whole."""
    return LINES[name].replace("bucketname", BUCKET).replace("folder\n/mnt", "folder \\\n/mnt")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Lab]:
    with S3Lab(tmp_path_factory.mktemp("s3")) as lab:
        lab.client().create_bucket(Bucket=BUCKET)
        yield lab
        assert "Traceback" not in lab.log_file.read_text()


@pytest.fixture(scope="module")
def terminal(ours: str, s3: S3Lab, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A user's directory, and files to back up."""
    directory, source = tmp_path_factory.mktemp("guide"), tmp_path_factory.mktemp("testfiles")
    for name, text in {**FILES, "other": "other"}.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text)
    variables = {
        "LAB_IMAGE": ours,
        "LAB_TESTFILES": str(source),
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_ENDPOINT_URL_S3": s3.endpoint_url,
    }
    return Terminal(directory, variables)


@pytest.fixture(scope="module")
def backed_up(terminal: Terminal) -> str:
    """What the guide's backup showed."""
    code, shown = terminal.type(line("backup"))
    assert code == 0, shown
    return shown


def objects(s3: S3Lab) -> dict[str, str]:
    """Name below the prefix, and storage class."""
    found = s3.client().list_objects_v2(Bucket=BUCKET, Prefix="backup-folder/")["Contents"]
    return {one["Key"].removeprefix("backup-folder/"): one["StorageClass"] for one in found}


def test_the_guides_backup(backed_up: str, terminal: Terminal, s3: S3Lab) -> None:
    _code, host = terminal.type("hostname -f")
    stored = {re.sub(r"\d{8}T\d{6}Z", "T", name): kind for name, kind in objects(s3).items()}
    assert stored == {
        f"archive-{host.strip()}-duplicity-full.T.vol1.difftar": "DEEP_ARCHIVE",
        f"manifest-{host.strip()}-duplicity-full.T.manifest": "STANDARD",
        f"signature-{host.strip()}-duplicity-full-signatures.T.sigtar": "STANDARD",
    }
    for flag in GONE:
        assert backed_up.count(f"warning: {flag} is left out") == 1
    assert "warning: --asynchronous-upload is now --concurrency 1" in backed_up
    # The size of a volume is the word behind a flag that is gone.
    (log,) = (terminal.directory / "logs").glob("log-2*-*.log")
    assert re.search(r"--volsize'?,? '?1024", backed_up + log.read_text())
    assert list((terminal.directory / "config").glob("*/manifest-*.manifest"))


def test_the_guides_cleanup(backed_up: str, terminal: Terminal, s3: S3Lab) -> None:
    before = objects(s3)
    code, shown = terminal.type(line("cleanup"))
    assert code == 0, shown
    assert "remove-all-but-n-full without --force only lists" in shown
    assert objects(s3) == before


def test_the_guides_status(backed_up: str, terminal: Terminal) -> None:
    code, shown = terminal.type(line("status"))
    assert code == 0, shown
    assert "Number of contained backup sets: 1" in shown


def test_the_guides_list(backed_up: str, terminal: Terminal) -> None:
    code, shown = terminal.type(line("list"))
    assert code == 0, shown
    assert all(f" {name}\n" in shown for name in (*FILES, "other"))


def test_the_guides_restore(backed_up: str, terminal: Terminal, s3: S3Lab) -> None:
    for name, kind in objects(s3).items():
        if kind == "DEEP_ARCHIVE":
            asked = {"Days": 2, "GlacierJobParameters": {"Tier": "Standard"}}
            s3.client().restore_object(Bucket=BUCKET, Key=f"backup-folder/{name}", RestoreRequest=asked)
    s3.advance(hours=13)
    code, shown = terminal.type(line("restore"))
    assert code == 0, shown
    assert "--file-to-restore is now --path-to-restore" in shown
    recovered = terminal.directory / "recovered"
    assert {f"smallfiles/{path.name}": path.read_text() for path in recovered.iterdir()} == FILES


def test_a_refused_line_starts_nothing(terminal: Terminal, s3: S3Lab) -> None:
    mark = s3.mark()
    code, shown = terminal.type(line("status").replace('-e OPTIONS="', '-e OPTIONS="--name \\`id\\` '))
    assert code == 23
    assert "OPTIONS holds `id`, which only a shell could replace" in shown
    code, shown = terminal.type(line("status").replace('-e OPTIONS="', '-e OPTIONS="--name \\$AWS_SECRET_ACCESS_KEY '))
    assert code == 23
    assert "a secret on a command line" in shown
    assert s3.secret_key not in shown
    assert s3.requests(mark) == []


def test_backup_and_restore_with_the_archive_inside_the_source(ours: str, run) -> None:
    """As in the guide's compose file, where options hold what the container replaces."""
    script = (
        "set -e; mkdir -p $SRC/data $SRC/logs; echo text >$SRC/data/file; backup; backup;"
        "OPTIONS='--no-encryption --archive-dir /tmp/other'; dup list-current-files $URL;"
        "SRC=/tmp/restored restore; cat /tmp/restored/data/file;"
        "set +e; dup restore --file-to-restore none $URL /tmp/nowhere; echo code $?; dup st --none $URL; echo code $?"
    )
    environment = {
        "OPTIONS": "--no-encryption --archive-dir $SRC/config --log-file $SRC/logs/$(date +%Y).log",
        "OPTIONS_EXTRA": '--file-prefix-manifest "$(hostname)-" --file-prefix-archive ${MINE}-',
        "MINE": "it-s_mine",
        "SRC": "/tmp/my-source",
        "DST": "file:///tmp/target/$(hostname)",
        "URL": "file:///tmp/target/lab",
    }
    shown = run(ours, ["sh", "-c", script], environment=environment, cap_add=["CHOWN", "FOWNER"])
    assert shown.count("/tmp/my-source/config, the archive directory, is inside the source") == 2
    assert shown.count("/tmp/my-source/logs, the directory of the log, is inside the source") == 2
    listed = set(re.findall(r"(?m)^\w{3} \w{3} +\d+ [\d:]+ \d{4} (.+)$", shown))
    assert listed == {".", "data", "data/file"}
    assert "\ntext\n" in shown
    assert re.findall(r"(?m)^code (\d+)$", shown) == ["19", "23"]


def test_explain_runs_nothing(ours: str, run) -> None:
    given = {"OPTIONS": "--s3-use-deep-archive --no-encryption --gio", "PASSPHRASE": "canary-secret"}
    words = ["explain", "dup", "full", "/data", "s3://bucket/canary-secret"]
    shown = run(ours, words, environment=given, hostname="backup.example")
    assert "\nduplicity\n--s3-use-deep-archive\n--no-encryption\nfull\n/data\n" in shown
    assert "warning: --gio is left out" in shown
    assert "canary" not in shown
    (job,) = yaml.safe_load(shown[shown.index("duplicity_jobs:") :])["duplicity_jobs"]
    assert (job["name"], job["source"], job["storage_class"]) == ("backup.example", "/data", "DEEP_ARCHIVE")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 4)])
def test_signals_reach_duplicity_without_an_init(name: str, code: int, ours: str, engine: DockerClient) -> None:
    """docker run in the guide has no --init, and its program is process 1."""
    container = engine.containers.run(
        ours,
        ["dup", "collection-status", "s3://bucket/x"],
        environment={"OPTIONS": "--no-encryption", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
                     "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"},
        network_mode="none", detach=True, labels=["permafrost.lab"],
    )  # fmt: skip
    try:
        until(lambda: b"Nr. 1 failed" in container.logs(), "its first attempt")
        container.kill(name)
        assert container.wait(timeout=60)["StatusCode"] == code, container.logs()
    finally:
        container.remove(force=True)


def test_the_options_are_duplicitys_own(ours: str, run) -> None:
    script = (
        "import json; from duplicity import cli_data as d; from duplicity.cli_main import new_parser\n"
        "parser = new_parser(include_help=False)\n"
        "names = lambda var: [d.var2opt(var), *d.OptionAliases.__dict__.get(var, [])]\n"
        "takes = {n: a.nargs for v, k in d.OptionKwargs.items() for a in [parser.add_argument(*names(v), **k)]\n"
        "         for n in names(v)}\n"
        "aliases = {a: d.var2cmd(v) for v, k in d.CommandAliases.__dict__.items() if v[:2] != '__'\n"
        "           for a in [d.var2cmd(v), *k]}\n"
        "print(json.dumps([takes, aliases, sorted(d.removed_options | d.changed_options)]))\n"
    )
    takes, verbs, gone = json.loads(run(ours, ["python3", "-c", script]))
    assert {name for name, count in takes.items() if count is None and name.startswith("--")} == options.VALUED
    assert {name for name, count in takes.items() if count == 0 and name.startswith("--")} == options.SWITCHES
    assert {name for name, count in takes.items() if count == 2} == options.PAIRED
    assert {name for name in takes if not name.startswith("--")} == set(options.SHORT)
    assert verbs == options.VERBS
    assert set(gone) == set(RENAMED) - {"--asynchronous-upload"}
