# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job's ``extra_args``: options of duplicity that the job has no option for.

Pure. What duplicity has removed, and what this collection sets itself, is refused with the name of the successor.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput

# duplicity's option -> what to use in its place. docs/options.md has the guide's among them; a guard test compares.
SUCCESSORS = {
    "--allow-source-mismatch": "job.adopt.source_path and job.hostname, which make source and host match",
    "--archive-dir": "job.state_dir, or job.adopt.archive_dir for a chain made without this collection",
    "--asynchronous-upload": "job.concurrency",
    "--compare-data": "compare_data of duplicity_verify",
    "--concurrency": "job.concurrency",
    "--dry-run": "check mode",
    "--encrypt-key": "job.encryption.encrypt_keys",
    "--encrypt-secret-keyring": "job.encryption.secret_keys",
    "--encrypt-sign-key": "job.encryption.encrypt_keys and job.encryption.sign_key",
    "--exclude": "job.selection",
    "--exclude-filelist": "job.selection",
    "--exclude-if-present": "job.selection",
    "--exclude-older-than": "job.selection",
    "--exclude-other-filesystems": "job.one_file_system",
    "--exclude-regexp": "job.selection",
    "--file-prefix": "job.file_prefixes",
    "--file-prefix-archive": "job.file_prefixes",
    "--file-prefix-jsonstat": "nothing: no such files are written",
    "--file-prefix-manifest": "job.file_prefixes",
    "--file-prefix-signature": "job.file_prefixes",
    "--file-to-restore": "path of duplicity_restore",
    "--files-from": "job.selection",
    "--force": "the options of duplicity_cleanup and force of duplicity_restore",
    "--full-if-n-inc": "job.full_if_n_inc",
    "--full-if-older-than": "job.full_if_older_than",
    "--gpg-options": "job.encryption and job.compression_level",
    "--hidden-encrypt-key": "job.encryption.encrypt_keys",
    "--include": "job.selection",
    "--include-filelist": "job.selection",
    "--include-regexp": "job.selection",
    "--jsonstat": "the task's result: jsonstat files would go to the archive class",
    "--log-fd": "job.keep_logs",
    "--log-file": "job.keep_logs",
    "--metadata-sync-mode": "nothing: each module syncs what it needs",
    "--name": "job.name, or job.adopt.archive_name for a chain made without this collection",
    "--no-compression": "job.compression",
    "--no-encryption": "job.encryption",
    "--num-retries": "job.retries",
    "--numeric-owner": "nothing: owners are always numbers",
    "--path-to-restore": "path of duplicity_restore",
    "--progress": "job.progress",
    "--restore-time": "time of duplicity_restore",
    "--s3-endpoint-url": "job.endpoint_url",
    "--s3-european-buckets": "job.region; duplicity has removed it",
    "--s3-kms-key-id": "job.server_side_encryption",
    "--s3-multipart-chunk-size": "job.multipart_chunk_size",
    "--s3-region-name": "job.region",
    "--s3-use-deep-archive": "job.storage_class",
    "--s3-use-glacier": "job.storage_class",
    "--s3-use-glacier-ir": "job.storage_class",
    "--s3-use-multiprocessing": "job.concurrency; duplicity has removed it",
    "--s3-use-new-style": "nothing; duplicity has removed it",
    "--s3-use-server-side-encryption": "job.server_side_encryption",
    "--s3-use-server-side-kms-encryption": "job.server_side_encryption",
    "--show-changes-in-set": "changes of duplicity_info",
    "--sign-key": "job.encryption.sign_key",
    "--skip-if-no-change": "job.skip_if_no_change",
    "--tempdir": "job.temp_dir",
    "--time": "time of duplicity_restore",
    "--use-agent": "job.encryption",
    "--verbosity": "job.verbosity",
    "--volsize": "job.volume_size",
}
# Options of duplicity that begin with the name of one above.
_OTHERS = ("--exclude-device-files",)
_SHORT = {"-r": "--path-to-restore", "-t": "--restore-time", "-v": "--verbosity", "-V": "--version"}


def checked_extra_args(words: Iterable[str]) -> tuple[str, ...]:
    """The extra_args option, one word an element. Raises BadInput."""
    checked = tuple(words)
    if checked and not checked[0].startswith("-"):
        raise BadInput(f"job.extra_args begins with '{checked[0]}', which is no option: give a list of single words.")
    for word in checked:
        _check(word)
    return checked


def _check(word: str) -> None:
    if "\0" in word or not word:
        raise BadInput("job.extra_args holds an empty word, or a NUL.")
    if not word.startswith("-"):
        return
    if " " in word.partition("=")[0]:
        raise BadInput(f"job.extra_args: '{word}' is more than one word: give each as an element of its own.")
    name = word.partition("=")[0]
    name = _SHORT.get(name[:2], name) if not name.startswith("--") else name
    if name in _OTHERS:
        return
    # duplicity takes any beginning of an option's name for the option.
    owned = name if name in SUCCESSORS else next((one for one in SUCCESSORS if one.startswith(name)), None)
    if owned:
        raise BadInput(f"job.extra_args: {name} cannot be given here: use {SUCCESSORS[owned]}.")
