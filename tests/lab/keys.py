"""GnuPG keys for tests, made by the gpg of the image in a container that leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

# Each key with an encryption and a signing subkey, as careful people have them.
SCRIPT = """
set -eu
export GNUPGHOME=/tmp/home
mkdir -m 700 $GNUPGHOME
echo s2k-count 65536 > $GNUPGHOME/gpg-agent.conf  # else it measures how slow it can be, key by key
quietly() { "$@" 2>>/tmp/log || { cat /tmp/log >&2; exit 1; }; }
while read -r name life past passphrase; do
    with="--batch --pinentry-mode loopback --passphrase-file /tmp/passphrase $past"
    printf '%s\\n' "$passphrase" > /tmp/passphrase
    quietly gpg $with --quick-gen-key "$name" ed25519 default "$life"
    fingerprint=$(gpg $past --with-colons --list-keys "=$name" 2>>/tmp/log | awk -F: '/^fpr/ {print $10; exit}')
    quietly gpg $with --quick-add-key "$fingerprint" cv25519 encr "$life"
    quietly gpg $with --quick-add-key "$fingerprint" ed25519 sign "$life"
    echo "$fingerprint"
    quietly gpg --armor --export "$fingerprint"
    echo %%%
    quietly gpg $with --armor --export-secret-keys "$fingerprint"
    echo %%%%
done
"""


@dataclass(frozen=True)
class Key:
    """A key as people keep it: fingerprint, armoured exports, and the passphrase of the secret one."""

    fingerprint: str
    public: str
    secret: str
    passphrase: str


def make(image: str, passphrases: dict[str, str], expired: tuple[str, ...] = ()) -> dict[str, Key]:
    """A key for each name, with its passphrase (``""`` for none). An expired one was good for a day, years ago."""
    lines = []
    for name, passphrase in passphrases.items():
        life, past = ("1d", "--faked-system-time=20200101T000000") if name in expired else ("never", "--no-greeting")
        lines.append(f"{name} {life} {past} {passphrase}\n")
    argv = ["docker", "run", "--rm", "--interactive", "--network=none", "--read-only", "--tmpfs=/tmp"]
    argv += ["--entrypoint=bash", image, "-c", SCRIPT]
    done = subprocess.run(argv, input="".join(lines), capture_output=True, text=True, check=False)
    assert done.returncode == 0, json.dumps(done.stderr)
    made = {}
    for (name, passphrase), text in zip(passphrases.items(), done.stdout.split("%%%%\n"), strict=False):
        public, _mark, secret = text.partition("%%%\n")
        fingerprint, _newline, public = public.partition("\n")
        made[name] = Key(fingerprint, public, secret, passphrase)
    return made
