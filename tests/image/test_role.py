"""The role: builds once, changes nothing the second time, and can say so on a host that has nothing yet."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from docker import DockerClient

from lab import image as lab_image
from lab.places import CHECKOUT_ID


def test_second_run_changes_nothing(ours: str, engine: DockerClient) -> None:
    again = lab_image.run_role()
    assert (again.code, again.changed) == (0, 0), again.output
    assert engine.images.get(again.reference).id == engine.images.get(ours).id


def test_name_holds_version_and_recipe(ours: str) -> None:
    same = lab_image.run_role("--check")
    other = lab_image.run_role("--check", duplicity_image_trust_ca=True, duplicity_image_ca_file=__file__)
    assert same.reference.startswith(f"{lab_image.NAME.partition(':')[0]}:3.2.1-")
    assert len(same.reference.rpartition("-")[2]) == 12
    assert other.reference.rpartition("-")[0] == same.reference.rpartition("-")[0]
    assert other.reference != same.reference


def test_a_moved_tag_is_put_back(ours: str, engine: DockerClient) -> None:
    """By a name of its own, since other tests use the usual one meanwhile."""
    name = f"permafrost-lab/moved-{CHECKOUT_ID}:latest"
    first = lab_image.run_role(duplicity_image_name=name)
    assert first.code == 0, first.output
    engine.images.get(os.environ["LAB_BASE_IMAGE"]).tag(*name.split(":"))
    assert lab_image.run_role("--check", duplicity_image_name=name).changed == 1
    assert engine.images.get(name).id != engine.images.get(first.reference).id
    back = lab_image.run_role(duplicity_image_name=name)
    assert back.changed == 1, back.output
    assert engine.images.get(name).id == engine.images.get(first.reference).id
    for tag in (name, first.reference):
        engine.images.remove(tag)


def test_a_recipe_changed_by_hand_is_put_back(ours: str, tmp_path: Path) -> None:
    build_dir = {"duplicity_image_build_dir": str(tmp_path)}
    lab_image.run_role(**build_dir)
    changed = tmp_path / "fast_gzip.pth"
    good = changed.read_text()
    changed.write_text("# nothing\n")
    assert lab_image.run_role(**build_dir).changed == 1
    assert changed.read_text() == good


def test_check_mode_on_a_bare_host(tmp_path: Path) -> None:
    """No engine, no folder: it says what it would do, does nothing, and does not fail."""
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}
    build_dir = tmp_path / "recipe"
    run = lab_image.run_role("--check", environment=nowhere, duplicity_image_build_dir=str(build_dir))
    assert (run.code, run.failed) == (0, 0), run.output
    assert run.changed > 0
    assert not build_dir.exists()


def test_check_mode_before_the_first_build(ours: str, tmp_path: Path, engine: DockerClient) -> None:
    name = "permafrost-lab/never-built"
    run = lab_image.run_role(
        "--check", duplicity_image_name=f"{name}:latest", duplicity_image_build_dir=str(tmp_path / "recipe")
    )
    assert (run.code, run.failed) == (0, 0), run.output
    assert not engine.images.list(name=name)


def test_missing_engine_is_told_with_the_next_step(tmp_path: Path) -> None:
    run = lab_image.run_role(environment={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    assert run.code != 0
    assert "No container engine answers on localhost" in run.output
    assert "docker.io python3-requests" in run.output


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A fresh certificate authority, beside the one that the lab may need to reach its package index."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Lab authority")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    lab_authority = os.environ.get("LAB_CA_FILE")
    path = tmp_path_factory.mktemp("authority") / "authorities.pem"
    path.write_text((Path(lab_authority).read_text() if lab_authority else "") + text)
    return path, text


@pytest.mark.parametrize("trusted", [False, True])
def test_authority_reaches_the_image_only_when_trusted(
    trusted: bool, authority: tuple[Path, str], tmp_path: Path, run, engine: DockerClient
) -> None:
    path, text = authority
    name = f"permafrost-lab/authority-{CHECKOUT_ID}:latest"
    built = lab_image.run_role(
        duplicity_image_name=name,
        duplicity_image_ca_file=str(path),
        duplicity_image_trust_ca=trusted,
        duplicity_image_build_dir=str(tmp_path / "recipe"),
    )
    assert built.code == 0, built.output
    one_line = text.splitlines()[2]
    # botocore reads the system's list through a link, which grep follows only where it is named itself.
    linked = "/opt/duplicity/lib/python3/site-packages/botocore/cacert.pem"
    script = f"grep -rlsF {one_line} /etc /opt /usr /var {linked} || echo nowhere"
    places = ["/etc/ssl/certs/ca-certificates.crt", linked] if trusted else ["nowhere"]
    assert run(name, ["sh", "-c", script]).split() == places
    for tag in (name, built.reference):
        engine.images.remove(tag, noprune=True)  # the other build takes up its layers
