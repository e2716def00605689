"""duplicity's command line, read word by word: options, their values, and what is none. Pure.

It knows of each option of duplicity 3.2.1 only whether a value follows; a test compares the list with duplicity's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SWITCHES = """
    --allow-source-mismatch --asynchronous-upload --b2-hide-files --check-remote --compare-data --compression
    --copy-links --dry-run --encryption --exclude-device-files --exclude-other-filesystems --files-changed
    --filter-globbing --filter-ignorecase --filter-literal --filter-regexp --filter-strictcase --force --ftp-passive
    --ftp-regular --ignore-errors --imap-full-address --jsonstat --log-timestamp --mf-purge --no-check-remote
    --no-compression --no-encryption --no-files-changed --no-print-statistics --no-restore-ownership --null-separator
    --numeric-owner --print-statistics --progress --pydevd --restore-ownership --s3-unencrypted-connection
    --s3-use-deep-archive --s3-use-glacier --s3-use-glacier-ir --s3-use-ia --s3-use-onezone-ia --s3-use-rrs
    --s3-use-server-side-encryption --s3-use-server-side-kms-encryption --skip-if-no-change --ssh-askpass
    --ssl-no-check-certificate --use-agent --use-gpgsm --version
"""
_VALUED = """
    --archive-dir --azure-blob-tier --azure-max-block-size --azure-max-connections --azure-max-single-put-size
    --backend-retry-delay --cf-backend --concurrency --config-dir --copy-blocksize --current-time --encrypt-key
    --encrypt-secret-keyring --encrypt-sign-key --exclude --exclude-filelist --exclude-if-present --exclude-older-than
    --exclude-regexp --file-changed --file-prefix --file-prefix-archive --file-prefix-jsonstat --file-prefix-manifest
    --file-prefix-signature --files-from --full-if-n-inc --full-if-older-than --gpg-binary --gpg-options
    --hidden-encrypt-key --idr-fakeroot --imap-mailbox --include --include-filelist --include-regexp --log-fd --log-file
    --max-blocksize --metadata-sync-mode --mp-segment-size --name --num-retries --par2-options --par2-redundancy
    --par2-volumes --path-to-restore --progress-rate --restore-time --rsync-options --s3-endpoint-url --s3-kms-grant
    --s3-kms-key-id --s3-multipart-chunk-size --s3-multipart-max-procs --s3-region-name --scp-command --sftp-command
    --show-changes-in-set --sign-key --skip-volume --ssh-options --ssl-cacert-file --ssl-cacert-path
    --swift-storage-policy --tempdir --time --time-separator --timeout --verbosity --volsize --webdav-headers
"""
SWITCHES = frozenset(_SWITCHES.split())
VALUED = frozenset(_VALUED.split())
PAIRED = frozenset({"--rename"})
# Options that are gone, and took a value.
_ONCE_VALUED = frozenset(
    {
        "--exclude-globbing-filelist", "--file-to-restore", "--include-globbing-filelist",
        "--s3-multipart-max-timeout",
    }
)  # fmt: skip
SHORT = {"-r": "--path-to-restore", "-t": "--time", "-v": "--verbosity", "-V": "--version"}
VERBS = {
    **dict.fromkeys(("backup", "bu"), "backup"),
    **dict.fromkeys(("cleanup", "cl"), "cleanup"),
    **dict.fromkeys(("collection-status", "st"), "collection-status"),
    **dict.fromkeys(("full", "fb"), "full"),
    **dict.fromkeys(("incremental", "incr", "inc", "ib"), "incremental"),
    **dict.fromkeys(("list-current-files", "ls"), "list-current-files"),
    **dict.fromkeys(("remove-all-but-n-full", "ra"), "remove-all-but-n-full"),
    **dict.fromkeys(("remove-all-inc-of-but-n-full", "ri"), "remove-all-inc-of-but-n-full"),
    **dict.fromkeys(("remove-older-than", "ro"), "remove-older-than"),
    **dict.fromkeys(("restore", "rb"), "restore"),
    **dict.fromkeys(("verify", "vb"), "verify"),
}
_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")


@dataclass(frozen=True)
class Item:
    """An option with its values, as its words and by its full name; or a word that is none, without a name."""

    name: str
    value: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A command line. ``verb`` is duplicity's own name for it, or what it implies, or nothing."""

    items: tuple[Item, ...]

    def value(self, name: str) -> str | None:
        """The value of an option; the last one counts, as for duplicity."""
        return next((item.value for item in reversed(self.items) if item.name == name), None)

    def has(self, name: str) -> bool:
        return any(item.name == name for item in self.items)

    @property
    def words(self) -> list[str]:
        return [word for item in self.items for word in item.words]

    @property
    def verb(self) -> str:
        given = [item.value for item in self.items if not item.name]
        if given and given[0] in VERBS:
            return VERBS[given[0]]
        if len(given) == 2:
            return "restore" if is_url(given[0]) else "backup" if is_url(given[1]) else ""
        return ""

    @property
    def places(self) -> list[str]:
        """What follows the verb: a source, a URL, a number of fulls."""
        given = [item.value for item in self.items if not item.name]
        return given[1:] if given and given[0] in VERBS else given

    @property
    def url(self) -> str | None:
        return next((place for place in self.places if is_url(place)), None)

    @property
    def source(self) -> str | None:
        """The directory that a backup or a verify walks."""
        index = {"backup": 0, "full": 0, "incremental": 0, "verify": 1}.get(self.verb)
        return None if index is None or index >= len(self.places) else self.places[index]


def is_url(text: str) -> bool:
    """As duplicity decides it."""
    return bool(re.match(r"[\w+]+://", text))


def read(words: Sequence[str]) -> Line:
    """Read the words as duplicity does: in any order, also by unique beginnings of an option's name."""
    items = []
    at = 0
    while at < len(words):
        item = _item(words, at)
        items.append(item)
        at += len(item.words)
    return Line(tuple(items))


def _item(words: Sequence[str], at: int) -> Item:
    word = words[at]
    if not _is_option(word):
        return Item("", word, (word,))
    if not word.startswith("--"):
        name = SHORT.get(word[:2], word[:2])
        if len(word) > 2:
            return Item(name, word[2:].removeprefix("="), (word,))
    else:
        begin, equals, value = word.partition("=")
        name = _full_name(begin)
        if equals:
            return Item(name, value, (word,))
    wanted = 2 if name in PAIRED else 1 if name in VALUED | _ONCE_VALUED else 0
    following = words[at + 1 : at + 1 + wanted]
    if len(following) < wanted or any(_is_option(one) for one in following):
        following = ()  # duplicity says what is missing
    return Item(name, " ".join(following), (word, *following))


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and " " not in word.partition("=")[0] and not _NUMBER.match(word)


def _full_name(begin: str) -> str:
    known = SWITCHES | VALUED | PAIRED
    if begin in known | _ONCE_VALUED:
        return begin
    fitting = [name for name in known if name.startswith(begin)]
    return fitting[0] if len(fitting) == 1 else begin
