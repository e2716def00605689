# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job's ``extra_args``: options of duplicity that the job has no option for.

Pure. What duplicity has removed, what this collection sets itself and what would undo that is refused with the name of
the successor.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

# duplicity's option -> what to use in its place. docs/options.md says the same in its tables; a guard test compares.
SUCCESSORS = {
    "--allow-source-mismatch": "job.adopt.source_path and job.hostname, which make source and host match",
    "--archive-dir": "job.state_dir, or job.adopt.archive_dir for a chain made without this collection",
    "--asynchronous-upload": "job.concurrency",
    "--compare-data": "compare_data of duplicity_verify",
    "--compression": "job.compression",
    "--concurrency": "job.concurrency",
    "--do-not-restore-ownership": "--no-restore-ownership (duplicity has renamed it)",
    "--dry-run": "check mode",
    "--encrypt-key": "job.encryption.encrypt_keys",
    "--encrypt-secret-keyring": "job.encryption.secret_keys",
    "--encrypt-sign-key": "job.encryption.encrypt_keys and job.encryption.sign_key",
    "--encryption": "job.encryption.mode",
    "--exclude": "job.selection.exclude",
    "--exclude-filelist": "job.selection.exclude_list",
    "--exclude-filelist-stdin": "job.selection.exclude_list (duplicity has removed it)",
    "--exclude-globbing-filelist": "job.selection.exclude_list (duplicity has removed it)",
    "--exclude-if-present": "job.selection.exclude_if_present",
    "--exclude-older-than": "job.selection.exclude_older_than",
    "--exclude-other-filesystems": "job.one_file_system",
    "--exclude-regexp": "job.selection.exclude_regexp",
    "--file-prefix": "job.file_prefixes, one for each kind of file",
    "--file-prefix-archive": "job.file_prefixes.archive",
    "--file-prefix-jsonstat": "nothing (no such files are written)",
    "--file-prefix-manifest": "job.file_prefixes.manifest",
    "--file-prefix-signature": "job.file_prefixes.signature",
    "--file-to-restore": "path of duplicity_restore (duplicity has renamed it)",
    "--files-from": "job.selection.include_list",
    "--filter-globbing": "nothing (patterns are shell patterns)",
    "--filter-ignorecase": "job.selection.exclude_regexp and the like, with an expression that begins with (?i)",
    "--filter-literal": "job.selection, with brackets around what means something to a pattern, such as [*]",
    "--filter-regexp": "job.selection.include_regexp and job.selection.exclude_regexp",
    "--filter-strictcase": "nothing (patterns know upper and lower case)",
    "--force": "the options of duplicity_cleanup and force of duplicity_restore",
    "--full-if-n-inc": "job.full_if_n_inc",
    "--full-if-older-than": "job.full_if_older_than",
    "--gio": "nothing (duplicity has removed it)",
    "--gpg-binary": "nothing (it is the image's gpg)",
    "--gpg-options": "job.encryption and job.compression_level",
    "--help": "nothing (duplicity would do nothing else)",
    "--hidden-encrypt-key": "job.encryption.encrypt_keys",
    "--include": "job.selection.include",
    "--include-filelist": "job.selection.include_list",
    "--include-filelist-stdin": "job.selection.include_list (duplicity has removed it)",
    "--include-globbing-filelist": "job.selection.include_list (duplicity has removed it)",
    "--include-regexp": "job.selection.include_regexp",
    "--jsonstat": "the task's result (its files would go to the archive class)",
    "--log-fd": "job.keep_logs",
    "--log-file": "job.keep_logs",
    "--log-timestamp": "nothing (logs are named by time, and are read by this collection)",
    "--metadata-sync-mode": "nothing (each module syncs what it needs)",
    "--name": "job.name, or job.adopt.archive_name for a chain made without this collection",
    "--no-check-remote": "nothing (each module syncs what it needs)",
    "--no-compression": "job.compression",
    "--no-encryption": "job.encryption.mode",
    "--no-print-statistics": "the task's result",
    "--null-separator": "job.selection, whose lists have one pattern a line",
    "--num-retries": "job.retries",
    "--numeric-owner": "nothing (owners are always numbers)",
    "--old-filenames": "nothing (duplicity has removed it)",
    "--path-to-restore": "path of duplicity_restore",
    "--progress": "job.progress",
    "--pydevd": "nothing (it is for duplicity's own tests)",
    "--restore-time": "time of duplicity_restore",
    "--s3-endpoint-url": "job.endpoint_url",
    "--s3-european-buckets": "job.region (duplicity has removed it)",
    "--s3-kms-key-id": "job.server_side_encryption.kms_key_id",
    "--s3-multipart-chunk-size": "job.multipart_chunk_size",
    "--s3-multipart-max-timeout": "nothing (duplicity has removed it)",
    "--s3-region-name": "job.region",
    "--s3-unencrypted-connection": "job.endpoint_url, with http://",
    "--s3-use-deep-archive": "job.storage_class",
    "--s3-use-glacier": "job.storage_class",
    "--s3-use-glacier-ir": "job.storage_class",
    "--s3-use-ia": "job.storage_class",
    "--s3-use-multiprocessing": "job.concurrency (duplicity has removed it)",
    "--s3-use-new-style": "nothing (duplicity has removed it)",
    "--s3-use-onezone-ia": "job.storage_class",
    "--s3-use-rrs": "job.storage_class",
    "--s3-use-server-side-encryption": "job.server_side_encryption.mode",
    "--s3-use-server-side-kms-encryption": "job.server_side_encryption.mode",
    "--short-filenames": "nothing (duplicity has removed it)",
    "--show-changes-in-set": "changes of duplicity_info",
    "--sign-key": "job.encryption.sign_key",
    "--skip-if-no-change": "job.skip_if_no_change",
    "--skip-volume": "nothing (it is for duplicity's own tests)",
    "--ssl-cacert-file": "job.ca_bundle",
    "--ssl-cacert-path": "job.ca_bundle",
    "--tempdir": "job.temp_dir",
    "--time": "time of duplicity_restore",
    "--time-separator": "nothing (names of sets have no separator)",
    "--use-agent": "nothing (gpg never asks)",
    "--use-gpgsm": "job.encryption.mode",
    "--verbosity": "job.verbosity",
    "--version": "nothing (duplicity would do nothing else)",
    "--volsize": "job.volume_size",
}
# duplicity's old options -> its own words in their place. No words: it goes, and what follows stays.
RENAMED = {
    "--asynchronous-upload": ("--concurrency", "1"),
    "--do-not-restore-ownership": ("--no-restore-ownership",),
    "--exclude-filelist-stdin": ("--exclude-filelist", "/dev/stdin"),
    "--exclude-globbing-filelist": ("--exclude-filelist",),
    "--file-to-restore": ("--path-to-restore",),
    "--gio": (),
    "--include-filelist-stdin": ("--include-filelist", "/dev/stdin"),
    "--include-globbing-filelist": ("--include-filelist",),
    "--old-filenames": (),
    "--s3-european-buckets": (),
    "--s3-multipart-max-timeout": (),
    "--s3-use-multiprocessing": (),
    "--s3-use-new-style": (),
    "--short-filenames": (),
}
_SHORT = {"-h": "--help", "-r": "--path-to-restore", "-t": "--time", "-v": "--verbosity", "-V": "--version"}


def checked_extra_args(words: Iterable[str]) -> tuple[str, ...]:
    """The extra_args option, one word an element. Raises BadInput."""
    checked = tuple(words)
    for word in checked:
        _check(word)
    if checked and not checked[0].startswith("-"):
        raise BadInput(f"job.extra_args begins with '{checked[0]}', which is no option: give a list of single words.")
    return checked


def _check(word: str) -> None:
    if "\0" in word or not word:
        raise BadInput("job.extra_args holds an empty word, or a NUL.")
    if not word.startswith("-"):
        return
    name = word.partition("=")[0]
    if " " in name:
        raise BadInput(f"job.extra_args: '{word}' is more than one word: give each as an element of its own.")
    if not name.strip("-"):
        raise BadInput(f"job.extra_args: '{word}' is no option.")
    owned = _owned(name)
    if owned:
        raise BadInput(f"job.extra_args: {name} cannot be given here. In its place: {SUCCESSORS[owned]}.")


def _owned(name: str) -> str | None:
    """The entry of SUCCESSORS that duplicity would take it for: any beginning of an option's name is the option."""
    if not name.startswith("--"):
        return _SHORT.get(name[:2])
    if name in SUCCESSORS:
        return name
    if name.startswith("--help"):
        return "--help"  # there is one for each command
    return next((one for one in SUCCESSORS if one.startswith(name)), None)
