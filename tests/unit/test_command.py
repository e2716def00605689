"""command.py and surroundings.py: argv, environment, mounts; and that no secret is in any of them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils import command, surroundings
from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput, SecretKeyMissing
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from ansible_collections.permafrost.backup.plugins.module_utils.surroundings import ContainerSpec
from unit import keyring
from unit.stage import job_params

TIME = datetime(2026, 11, 1, 2, tzinfo=timezone.utc)
SECRETS = {"access_key": "CANARYACCESS", "secret_key": "canary-secret", "session_token": "canary-token"}
LEVEL = "PERMAFROST_COMPRESSION_LEVEL"
ENCRYPTED = {"mode": "symmetric", "passphrase": "canary-passphrase"}
PART = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1).filter(
    lambda part: part not in (".", "..")
)


def job(**changes: Any) -> Job:
    return Job.from_params(job_params(**changes))


def all_specs(one: Job) -> list[ContainerSpec]:
    return [
        command.backup(one, "/run-dir", full=False, dry_run=False),
        command.backup(one, "/run-dir", full=True, dry_run=True),
        command.fetch_metadata(one, "/run-dir"),
        command.list_files(one, "/run-dir", time=TIME),
        command.restore_dry_run(one, "/run-dir", path="etc", time=TIME),
        command.restore(one, "/run-dir", path="etc", time=TIME, into="/srv/.new"),
        command.verify(one, "/run-dir", path="etc", time=TIME, compare_data=True),
        command.open_manifest(one, "/run-dir", "manifest.gpg"),
        command.open_manifests(one, "/run-dir", ["0.gpg", "1.gpg"]),
    ]


def test_a_backup() -> None:
    spec = command.backup(job(), "/run-dir", full=False, dry_run=False)
    assert spec.argv[:4] == ("duplicity", "backup", "--full-if-older-than", "4W")
    assert spec.argv[-2:] == ("/source/srv/data", "s3://acme-dr/web01/data")
    assert {"--s3-use-deep-archive", "--skip-if-no-change", "--no-encryption", "--numeric-owner"} <= set(spec.argv)
    assert surroundings.Mount("/srv/data", "/source/srv/data", read_only=True) in spec.mounts
    assert spec.capabilities == ("DAC_READ_SEARCH",)


def test_a_full_by_hand_and_a_dry_run() -> None:
    spec = command.backup(job(), "/run-dir", full=True, dry_run=True)
    assert spec.argv[1] == "full"
    assert "--dry-run" in spec.argv
    assert "--full-if-older-than" not in spec.argv
    assert spec.verb == "check"


@pytest.mark.parametrize(
    ("changes", "there", "absent"),
    [
        ({"storage_class": "STANDARD"}, [], ["--s3-use-deep-archive", "--s3-use-glacier"]),
        ({"storage_class": "GLACIER"}, ["--s3-use-glacier"], ["--s3-use-deep-archive"]),
        ({"storage_class": "GLACIER_IR"}, ["--s3-use-glacier-ir"], ["--s3-use-glacier"]),
        ({"compression": False}, ["--no-compression"], []),
        ({"compression": True}, [], ["--no-compression"]),
        ({"skip_if_no_change": False}, [], ["--skip-if-no-change"]),
        ({"endpoint_url": "https://s3"}, ["--s3-endpoint-url", "https://s3"], []),
        ({"region": "eu-west-1"}, ["--s3-region-name", "eu-west-1"], []),
        ({"encryption": ENCRYPTED}, ["--use-agent"], ["--no-encryption", "--no-compression"]),
        ({"volume_size": 77}, ["--volsize", "77"], []),
        ({"multipart_chunk_size": 99}, ["--s3-multipart-chunk-size", "99"], []),
        ({"concurrency": 5}, ["--concurrency", "5"], []),
        (
            {"file_prefixes": {"archive": "-a-", "manifest": None}},
            ["--file-prefix-archive=-a-"],
            ["--file-prefix-manifest="],
        ),
        (
            {"file_prefixes": {"manifest": "m", "signature": "s"}},
            ["--file-prefix-manifest=m", "--file-prefix-signature=s"],
            [],
        ),
        ({"full_if_n_inc": 7}, ["--full-if-older-than", "4W", "--full-if-n-inc", "7"], []),
        ({}, [], ["--full-if-n-inc", "--s3-use-server-side-encryption", "--progress", "--exclude-other-filesystems"]),
        ({"server_side_encryption": {"mode": "AES256"}}, ["--s3-use-server-side-encryption"], ["--s3-kms-key-id"]),
        (
            {"server_side_encryption": {"mode": "aws:kms", "kms_key_id": "alias/x"}},
            ["--s3-use-server-side-kms-encryption", "--s3-kms-key-id", "alias/x"],
            ["--s3-use-server-side-encryption"],
        ),
        ({"verbosity": "info"}, ["--verbosity", "info"], []),
        ({"retries": 9}, ["--num-retries", "9"], []),
        ({"progress": True}, ["--progress"], []),
        ({"one_file_system": True}, ["--exclude-other-filesystems"], []),
    ],
)
def test_options_of_the_job(changes: dict[str, Any], there: list[str], absent: list[str]) -> None:
    argv = command.backup(job(**changes), "/run-dir", full=False, dry_run=False).argv
    assert not set(absent) & set(argv)
    text = "\0".join(argv)
    assert "\0".join(there) in text


def test_a_backup_needs_a_source_and_a_restore_does_not() -> None:
    with pytest.raises(BadInput, match="source is missing"):
        command.backup(job(source=None), "/run-dir", full=False, dry_run=False)
    assert command.restore(job(source=None), "/run-dir", path="", time=TIME, into="/new").argv[1] == "restore"


def test_a_verify_sees_the_source_and_its_rules() -> None:
    one = job(selection=[{"exclude": "var"}, {"exclude": "etc/x"}], one_file_system=True)
    spec = command.verify(one, "/run-dir", path="", time=TIME, compare_data=True)
    assert (spec.verb, spec.argv[1:3]) == ("verify", ("verify", "--compare-data"))
    assert spec.argv[-2:] == ("s3://acme-dr/web01/data", "/source/srv/data")
    assert surroundings.Mount("/srv/data", "/source/srv/data", read_only=True) in spec.mounts
    assert spec.capabilities == ("DAC_READ_SEARCH",)
    assert {"--exclude-other-filesystems", "/source/srv/data/var", "/source/srv/data/etc/x"} <= set(spec.argv)
    part = command.verify(one, "/run-dir", path="etc", time=TIME, compare_data=False)
    assert part.argv[-1] == "/source/srv/data/etc"
    assert "--path-to-restore=etc" in part.argv
    assert "--compare-data" not in part.argv
    assert "/source/srv/data/etc/x" in part.argv
    assert "/source/srv/data/var" not in part.argv
    with pytest.raises(BadInput, match="compare"):
        command.verify(job(source=None), "/run-dir", path="", time=TIME, compare_data=True)


def test_our_own_places_are_left_out_of_a_verify_where_they_are() -> None:
    one = job(source="/", state_dir="/var/lib/permafrost")
    state = "/source/var/lib/permafrost/web01-data"
    assert state in command.verify(one, "/run-dir", path="var/lib", time=TIME, compare_data=True).argv
    assert state not in command.verify(one, "/run-dir", path="etc", time=TIME, compare_data=True).argv


def test_a_path_is_one_word_even_with_a_dash() -> None:
    spec = command.restore_dry_run(job(), "/run-dir", path="-rf /", time=TIME)
    assert "--path-to-restore=-rf /" in spec.argv
    assert spec.argv[spec.argv.index("--time") :][:2] == ("--time", "2026-11-01T02:00:00Z")
    assert "--dry-run" in spec.argv


def test_a_restore_may_write_only_where_it_restores() -> None:
    spec = command.restore(job(), "/run-dir", path="", time=TIME, into="/srv/.new")
    assert {one.source for one in spec.mounts if not one.read_only} == {
        "/srv/.new", "/run-dir", job().archive_dir, job().temp_dir,
    }  # fmt: skip
    assert "CHOWN" in spec.capabilities
    assert not any(word.startswith("--path-to-restore") for word in spec.argv)


def test_secrets_are_in_files_and_nowhere_else() -> None:
    one = job(credentials=SECRETS, encryption=ENCRYPTED)
    for spec in all_specs(one):
        seen = f"{spec!r} {spec.argv} {spec.environment} {spec.mounts} {spec.identity} {spec.name}".lower()
        assert "canary" not in seen
        files = b"".join(spec.secrets.values()).decode()
        for secret in (*SECRETS.values(), ENCRYPTED["passphrase"]):
            assert secret in files
        assert spec.environment["PASSPHRASE"] == "in-passphrase-file"
        assert spec.environment["AWS_SHARED_CREDENTIALS_FILE"].startswith(surroundings.SECRETS)


def test_without_secrets_there_is_no_file() -> None:
    spec = command.backup(job(), "/run-dir", full=False, dry_run=False)
    assert spec.secrets == {}
    assert not {"PASSPHRASE", "AWS_SHARED_CREDENTIALS_FILE"} & set(spec.environment)


def test_a_ca_file_is_mounted_and_named() -> None:
    spec = command.backup(job(ca_bundle="/etc/ca.pem"), "/run-dir", full=False, dry_run=False)
    assert surroundings.Mount("/etc/ca.pem", surroundings.CA_BUNDLE) in spec.mounts
    assert spec.environment["AWS_CA_BUNDLE"] == surroundings.CA_BUNDLE


def test_gpg_opens_a_manifest_without_duplicity() -> None:
    spec = command.open_manifest(job(encryption=ENCRYPTED), "/run-dir", "manifest.gpg")
    assert spec.argv[0] == "gpg"
    assert spec.argv[-2:] == ("--decrypt", "/permafrost/run/manifest.gpg")


def test_every_verb_has_its_name_and_the_same_work_the_same_identity() -> None:
    specs = all_specs(job())
    assert len({spec.name for spec in specs}) == len(specs)
    one = command.restore(job(), "/run-dir", path="a", time=TIME, into="/x")
    assert one.identity == command.restore(job(), "/run-dir", path="a", time=TIME, into="/x").identity
    assert one.identity != command.restore(job(), "/run-dir", path="b", time=TIME, into="/x").identity
    assert one.identity != command.restore(job(), "/run-dir", path="a", time=TIME, into="/y").identity
    full = command.backup(job(), "/run-dir", full=True, dry_run=False)
    assert full.identity == command.backup(job(concurrency=1), "/run-dir", full=True, dry_run=False).identity
    assert full.identity != command.backup(job(), "/run-dir", full=False, dry_run=False).identity
    assert full.identity != command.backup(job(source="/other"), "/run-dir", full=True, dry_run=False).identity
    assert full.identity != command.backup(job(target="s3://b-1/x"), "/run-dir", full=True, dry_run=False).identity


def test_what_is_ours_below_the_source_is_left_out() -> None:
    root = command.backup(job(source="/", state_dir="/state[1]"), "/run-dir", full=True, dry_run=False)
    left_out = {root.argv[at + 1] for at, word in enumerate(root.argv) if word == "--exclude"}
    assert {"/source/run/permafrost", "/source/dev/shm/permafrost", "/source/proc", "/source/sys"} < left_out
    assert "/source/state[[]1]/web01-data" in left_out
    assert root.argv[-2] == "/source"
    assert "--exclude" not in command.backup(job(), "/run-dir", full=True, dry_run=False).argv


@given(st.lists(PART, min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 2))
def test_a_normal_path_has_no_outer_slashes(parts: list[str], before: int, behind: int) -> None:
    path = "/".join(parts)
    normal = command.normal_path("/" * before + path + "/" * behind)
    assert normal == path
    assert command.normal_path(normal) == normal


@pytest.mark.parametrize("path", [None, "", "/", "//", ".", "/."])
def test_the_whole_tree(path: str | None) -> None:
    assert command.normal_path(path) == ""


@pytest.mark.parametrize("path", ["a//b", "a/./b", "../a", "a/..", "a\0b", "latin1-\udce9"])
def test_no_path(path: str) -> None:
    with pytest.raises(BadInput):
        command.normal_path(path)


def test_the_level_of_compression_goes_to_what_compresses() -> None:
    def environment(**changes: Any) -> str | None:
        return command.backup(job(**changes), "/run-dir", full=True, dry_run=False).environment.get(LEVEL)

    def gpg_options(**changes: Any) -> str:
        argv = command.backup(job(encryption=ENCRYPTED, **changes), "/run-dir", full=True, dry_run=False).argv
        return next(word for word in argv if word.startswith("--gpg-options="))

    assert (environment(), environment(compression_level=7)) == (None, "7")
    assert "--compress-algo=zlib --compress-level=1" in gpg_options()
    assert "--compress-algo=zlib --compress-level=7" in gpg_options(compression_level=7)
    assert "--compress-algo=none" in gpg_options(compression=False, compression_level=7)


@pytest.mark.parametrize(("concurrency", "share"), [(0, 12), (1, 12), (3, 4), (64, 1)])
def test_uploads_share_the_rate(concurrency: int, share: int) -> None:
    spec = command.fetch_metadata(job(limits={"upload_rate": 12}, concurrency=concurrency), "/run-dir")
    rate = int(spec.environment["PERMAFROST_UPLOAD_RATE"])
    assert rate * max(1, concurrency) <= 12 * 1024 * 1024
    assert rate // 1024 // 1024 == share or concurrency == 64
    assert spec.limits.upload_rate == 12


def test_limits_and_names_go_to_the_container() -> None:
    spec = command.backup(job(limits={"memory": 512}, hostname="backupname"), "/run-dir", full=True, dry_run=False)
    assert (spec.limits.memory, spec.hostname) == (512, "backupname")


def test_an_adopted_chain_is_seen_as_before() -> None:
    adopt = {"archive_dir": "/opt/config", "archive_name": "ff00", "source_path": "/mnt/data"}
    for spec in all_specs(job(adopt=adopt, state_dir="/state"))[:-2]:
        assert spec.argv[spec.argv.index("--name") + 1] == "ff00"
        assert surroundings.Mount("/opt/config", surroundings.ARCHIVE, read_only=False) in spec.mounts
    backup = command.backup(job(adopt=adopt), "/run-dir", full=False, dry_run=False)
    assert backup.argv[-2] == "/mnt/data"
    assert surroundings.Mount("/srv/data", "/mnt/data") in backup.mounts


def test_the_archive_of_an_adopted_chain_is_not_backed_up() -> None:
    adopt = {"archive_dir": "/srv/data/config", "archive_name": "x", "source_path": "/mnt/backup/src"}
    argv = command.backup(job(adopt=adopt), "/run-dir", full=False, dry_run=False).argv
    assert argv[argv.index("--exclude") + 1] == "/mnt/backup/src/config"


def test_public_keys_alone_need_no_keyring() -> None:
    spec = command.backup(job(encryption=keyring.options("curve", "rsa")), "/run-dir", full=False, dry_run=False)
    fingerprints = [keyring.fingerprints(name)[0] for name in ("curve", "rsa")]
    given = [word for option, word in zip(spec.argv, spec.argv[1:], strict=False) if option == "--encrypt-key"]
    assert given == fingerprints
    options = next(word for word in spec.argv if word.startswith("--gpg-options="))
    assert f"--no-default-keyring --keyring={surroundings.SECRETS}/public-keys" in options
    assert "passphrase" not in options
    assert set(spec.secrets) == {"public-keys"}
    assert not spec.keyring
    assert not {"PASSPHRASE", "GNUPGHOME"} & set(spec.environment)


def test_secret_keys_are_imported_into_a_keyring_of_the_run() -> None:
    text = keyring.armoured("secret", "curve")
    options = keyring.options("curve", secret_keys=text, passphrase="canary-passphrase")
    one = job(encryption={**options, "sign_key": options["encrypt_keys"][0]})
    for spec in all_specs(one):
        assert spec.keyring
        assert spec.environment["GNUPGHOME"] == surroundings.KEYRING
        assert set(spec.secrets) == {"passphrase", "public-keys", "secret-keys", "keyring/gpg-agent.conf"}
        imported = command.import_keys(spec)
        assert imported.argv[-3:] == ("--import", "/run/secrets/public-keys", "/run/secrets/secret-keys")
        assert (imported.network, imported.capabilities, len(imported.mounts)) == ("none", (), 1)
        for made in (spec, imported):
            seen = f"{made!r} {made.argv} {made.environment} {made.mounts} {made.identity} {made.name}"
            assert "canary" not in seen
            assert text.splitlines()[3] not in seen
            assert repr(made.secrets["secret-keys"])[10:60] not in seen


def test_a_signer_is_named_exactly() -> None:
    subkey = keyring.fingerprints("rsa")[1]
    secret = keyring.armoured("secret", "rsa")
    one = job(encryption=keyring.options("curve", sign_key=subkey, secret_keys=secret))
    argv = command.backup(one, "/run-dir", full=True, dry_run=False).argv
    assert argv[argv.index("--sign-key") + 1] == subkey
    assert any(f"--local-user={subkey}!" in word for word in argv)


def test_a_dry_run_reads_a_manifest_only_with_a_key_that_opens_it() -> None:
    public = keyring.options("curve")
    own, other = ({**public, "secret_keys": keyring.armoured("secret", name)} for name in ("curve", "rsa"))
    cases = ((public, True, False), (other, True, False), (own, True, True), (own, False, False))
    for options, dry_run, marked in cases:
        spec = command.backup(job(encryption=options), "/run-dir", full=False, dry_run=dry_run)
        assert ("PASSPHRASE" in spec.environment) is marked


def test_what_reads_volumes_wants_a_secret_key() -> None:
    one = job(encryption=keyring.options("curve"))
    with pytest.raises(SecretKeyMissing):
        command.restore(one, "/run-dir", path="", time=TIME, into="/srv/.new")
    with pytest.raises(SecretKeyMissing):
        command.verify(one, "/run-dir", path="", time=TIME, compare_data=False)


def test_backups_for_other_keys_are_other_work() -> None:
    made = [
        command.backup(job(encryption=keyring.options(*names)), "/run-dir", full=False, dry_run=False).identity
        for names in (("curve",), ("curve", "rsa"), ("curve",))
    ]
    assert made[0] == made[2] != made[1]
