"""Take from the virtual environment what a backup to S3 never uses: data of 400 other services, 40 other back ends.

Of APScheduler the triggers stay: the scheduler is our own.
Of Apprise go pictures, translations, its command line, and the one service that needs libraries of its own.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

# Roles may be assumed (sts), also from a login (sso); files without a service's name are needed by all.
BOTOCORE_SERVICES = {"s3", "sts", "sso", "sso-oidc"}
# The same by the first words of their host names, which the list of endpoints has.
ENDPOINTS = {"s3", "sts", "portal.sso", "oidc"}
BOTO3_SERVICES = {"s3"}
BACKENDS = {"__init__.py", "localbackend.py", "s3_boto3_backend.py"}
APPRISE = ("assets", "cli.py", "i18n", "plugins/twitter.py")
SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def keep_folders(folder: Path, names: set[str]) -> None:
    """Keep the files of a folder and these of its folders."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in names:
            remove(path)


def keep_endpoints(listed: Path) -> None:
    """Keep these services in the SDK's list of where each is to be found: each run reads a megabyte of it."""
    table = json.loads(listed.read_text(encoding="utf-8"))
    for partition in table["partitions"]:
        services = partition["services"].items()
        partition["services"] = {name: found for name, found in services if name in ENDPOINTS}
    listed.write_text(json.dumps(table, separators=(",", ":")), encoding="utf-8")


def blank_documentation(model: Path) -> None:
    """Four fifths of a service's model are its documentation. The keys stay: boto3 wants to know that there is some."""
    told = json.loads(gzip.decompress(model.read_bytes()))
    model.write_bytes(gzip.compress(json.dumps(_blank(told), separators=(",", ":")).encode(), mtime=0))


def _blank(node: Any) -> Any:
    if isinstance(node, dict):
        texts = {name for name, value in node.items() if name == "documentation" and isinstance(value, str)}
        return {name: "" if name in texts else _blank(value) for name, value in node.items()}
    return [_blank(one) for one in node] if isinstance(node, list) else node


def main(environment: Path) -> None:
    """Trim the environment in place."""
    packages = next(environment.glob("lib/python3.*/site-packages"))
    keep_folders(packages / "botocore/data", BOTOCORE_SERVICES)
    keep_folders(packages / "boto3/data", BOTO3_SERVICES)
    keep_endpoints(packages / "botocore/data/endpoints.json")
    for model in packages.glob("botocore/data/*/*/service-2.json.gz"):
        blank_documentation(model)
    keep_folders(packages / "apscheduler", {"triggers"})
    for path in (packages / "duplicity/backends").iterdir():
        if path.name not in BACKENDS:
            remove(path)
    useless = [
        *packages.glob("botocore/data/*/*/examples-1.json"),
        *packages.glob("**/*.c"),
        *packages.glob("**/*.pyi"),
        *(packages / "apprise" / name for name in APPRISE),
        environment / "bin/apprise",
    ]
    for path in [*useless, packages / "boto3/examples", environment / "share", environment / "include"]:
        if path.exists():
            remove(path)
    # One list of authorities for all: the system's, which is kept up to date and may hold a site's own.
    for authorities in (packages / "botocore/cacert.pem", packages / "certifi/cacert.pem"):
        authorities.unlink()
        authorities.symlink_to(SYSTEM_AUTHORITIES)
    # A name that does not change with Python's version, for the files that are added later.
    (environment / "lib/python3").symlink_to(packages.parent.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
