"""python -m unit.record_openpgp: make tests/unit/openpgp.json anew with the gpg of the image.

Keys of the algorithms that gpg makes, with the fingerprints that it tells, and messages for them. They protect nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lab import image

RECORDED = Path(__file__).with_name("openpgp.json")
# Name of a key, the algorithm of its primary key, and that of its subkey.
KEYS = "curve ed25519 cv25519\nnist nistp256 nistp256\nrsa rsa1024 rsa1024\ndsa dsa1024 elg1024\n"
SCRIPT = r"""
set -eu
export GNUPGHOME=/tmp/home
mkdir -m 700 $GNUPGHOME
echo s2k-count 65536 > $GNUPGHOME/gpg-agent.conf
with="gpg --batch --quiet --pinentry-mode loopback --trust-model always"
said() { printf '%s\t%s\t%s\n' "$1" "$2" "$(base64 -w0)"; }
while read -r name primary subkey; do
    $with --passphrase '' --quick-gen-key "$name" "$primary" cert,sign never
    fingerprint=$(gpg --with-colons --list-keys "=$name" | awk -F: '/^fpr/ {print $10; exit}')
    $with --passphrase '' --quick-add-key "$fingerprint" "$subkey" encr never
    gpg --with-colons --list-keys "=$name" | awk -F: '/^fpr/ {print $10}' | said fingerprints "$name"
    gpg --armor --export "=$name" | said public "$name"
    $with --passphrase '' --armor --export-secret-keys "=$name" | said secret "$name"
    echo data | $with --encrypt --recipient "=$name" | said message "$name"
done
$with --compliance=gnupg --passphrase '' --quick-gen-key fifth ed448 cert,sign never
gpg --armor --export =fifth | said public "of version 5"
echo data > /tmp/data
$with --output - --encrypt --recipient =curve --recipient =rsa /tmp/data | said message two
$with --output - --encrypt --hidden-recipient =curve /tmp/data | said message hidden
$with --output - --passphrase x --symmetric /tmp/data | said message passphrase
$with --output - --passphrase x --symmetric --encrypt --recipient =curve /tmp/data | said message both
$with --output - --passphrase x --symmetric --rfc4880 --cipher-algo AES128 /tmp/data | said message old
$with --output - --sign --local-user =curve /tmp/data | said message signed
"""


def main() -> int:
    """Run gpg in the image, and write what it said."""
    argv = ["docker", "run", "--rm", "--interactive", "--network=none", "--read-only", "--tmpfs=/tmp"]
    argv += ["--entrypoint=bash", image.ensure(), "-c", SCRIPT]
    done = subprocess.run(argv, input=KEYS, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        kind, name, content = line.split("\t")
        found.setdefault(kind, {})[name] = content
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
