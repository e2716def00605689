"""docs/options.md: every option of the guide has its place, and what the tables name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from ansible_collections.permafrost.backup.plugins.module_utils.extra_args import SUCCESSORS, checked_extra_args
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS
from guard.sources import CHECKOUT, MODULES, documented

TABLES = (CHECKOUT / "docs" / "options.md").read_text()
GUIDE = """
    full-if-older-than s3-use-deep-archive no-compression no-encryption progress archive-dir s3-use-multiprocessing
    volsize verbosity log-file asynchronous-upload s3-european-buckets s3-multipart-chunk-size s3-use-new-style
    metadata-sync-mode file-prefix-archive file-prefix-manifest file-prefix-signature time force file-to-restore
"""
# duplicity 3.2.1, cli_data.py: all_options with their long aliases, and what it has removed or renamed.
DUPLICITY = """
    allow-source-mismatch archive-dir asynchronous-upload azure-blob-tier azure-max-block-size azure-max-connections
    azure-max-single-put-size b2-hide-files backend-retry-delay cf-backend check-remote compare-data compression
    concurrency config-dir copy-blocksize copy-links current-time dry-run encrypt-key encrypt-secret-keyring
    encrypt-sign-key encryption exclude exclude-device-files exclude-filelist exclude-if-present exclude-older-than
    exclude-other-filesystems exclude-regexp file-changed file-prefix file-prefix-archive file-prefix-jsonstat
    file-prefix-manifest file-prefix-signature files-changed files-from filter-globbing filter-ignorecase
    filter-literal filter-regexp filter-strictcase force ftp-passive ftp-regular full-if-n-inc full-if-older-than
    gpg-binary gpg-options help hidden-encrypt-key idr-fakeroot ignore-errors imap-full-address imap-mailbox include
    include-filelist include-regexp jsonstat log-fd log-file log-timestamp max-blocksize metadata-sync-mode mf-purge
    mp-segment-size name no-check-remote no-compression no-encryption no-files-changed no-print-statistics
    no-restore-ownership null-separator num-retries numeric-owner par2-options par2-redundancy par2-volumes
    path-to-restore print-statistics progress progress-rate pydevd rename restore-ownership restore-time rsync-options
    s3-endpoint-url s3-kms-grant s3-kms-key-id s3-multipart-chunk-size s3-multipart-max-procs s3-region-name
    s3-unencrypted-connection s3-use-deep-archive s3-use-glacier s3-use-glacier-ir s3-use-ia s3-use-onezone-ia
    s3-use-rrs s3-use-server-side-encryption s3-use-server-side-kms-encryption scp-command sftp-command
    show-changes-in-set sign-key skip-if-no-change skip-volume ssh-askpass ssh-options ssl-cacert-file ssl-cacert-path
    ssl-no-check-certificate swift-storage-policy tempdir time time-separator timeout use-agent use-gpgsm verbosity
    version volsize webdav-headers
"""
REMOVED = """
    do-not-restore-ownership exclude-filelist-stdin exclude-globbing-filelist file-to-restore gio
    include-filelist-stdin include-globbing-filelist old-filenames s3-european-buckets s3-multipart-max-timeout
    s3-use-multiprocessing s3-use-new-style short-filenames
"""


def names(words: str) -> set[str]:
    return {f"--{word}" for word in words.split()}


def rows(section: str) -> dict[str, str]:
    """Option and what stands in its place, of one of the two tables."""
    text = TABLES.split(f"## {section}\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "`--" in line]
    table = {cells[0].strip("`"): cells[1] for cells in found if cells[0].startswith("`--")}
    assert len(table) == len([cells for cells in found if cells[0].startswith("`--")]), "a row stands twice"
    return table


ROWS = {**rows("The guide's options"), **rows("The others")}


def test_all_options_of_the_guide_are_there() -> None:
    assert len(names(GUIDE)) == 21
    assert set(rows("The guide's options")) == names(GUIDE)
    guide = (CHECKOUT / "docs" / "from-the-guide.md").read_text()
    assert {name for name in names(GUIDE) if name in guide} == names(GUIDE)


def test_the_tables_and_the_code_say_the_same() -> None:
    assert not set(rows("The guide's options")) & set(rows("The others"))
    assert {option: place.replace("`", "") for option, place in ROWS.items()} == SUCCESSORS


def test_each_option_is_duplicity_s_or_was() -> None:
    assert set(SUCCESSORS) - names(DUPLICITY) - names(REMOVED) == set()
    assert names(REMOVED) - set(SUCCESSORS) == set()
    gone = {option for option, place in ROWS.items() if place.endswith(("has removed it)", "has renamed it)"))}
    assert gone == names(REMOVED)


def test_what_the_tables_do_not_name_passes() -> None:
    others = names(DUPLICITY) - set(SUCCESSORS)
    assert {"--copy-links", "--timeout", "--exclude-device-files"} < others
    for option in sorted(others):
        assert checked_extra_args([option]) == (option,)
    for option in SUCCESSORS:
        with pytest.raises(BadInput):
            checked_extra_args([option])


def job_options(options: dict[str, Any], prefix: str = "job") -> Iterator[str]:
    """All of a job, nested ones too."""
    for name, option in options.items():
        yield f"{prefix}.{name}"
        yield from job_options(option.get("options", {}), f"{prefix}.{name}")


@pytest.mark.parametrize("option", sorted(ROWS))
def test_each_place_exists(option: str) -> None:
    place = ROWS[option]
    known = set(job_options(JOB_OPTIONS))
    named = re.findall(r"\bjob(?:\.\w+)+", place)
    assert [name for name in named if name not in known or f"`{name}`" not in place] == []
    for name, module in re.findall(r"(?:`(\w+)` of )?`((?:duplicity|glacier)_\w+)`", place):
        path = MODULES / f"{module}.py"
        assert path.exists(), module
        assert not name or name in documented(path), f"{name} of {module}"
    words = ("job.", "` of `", "options of `", "nothing (", "check mode", "the task's result", "`--no-restore-owner")
    assert any(word in place for word in words), "it names no place"
