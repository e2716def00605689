# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The runbook of one job on paper: where its backup is, and the commands that bring it back when Ansible is gone too.

Pure. It names keys and never holds a secret. The same parts become Markdown here and HTML in a template.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.glacier import ARCHIVED, TIER_HOURS
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job

Facts = dict[str, Any]

_MODES = {
    "none": "none",
    "symmetric": "symmetric, with a passphrase",
    "gpg": "GnuPG, for the keys below",
}
_DAYS = 7
_WIDTH = 76
_INTRO = (
    "For the day when nothing else is left. It holds no secret. Print it again when the job changes, and keep it apart "
    "from the machines that it is about."
)
_UNKNOWN = "nobody has said where: set runbook_secrets_at and print again"


def runbook(job: Job, host: str, secrets_at: str) -> Facts:
    """All that is printed. It has no date, so that a second run finds what it would write."""
    sections = [_ansible(job, host), _tools(job.image), _who(job), _look(job), _choose(job), _thaw(job), _restore(job)]
    return {
        "title": f"Restore {job.name} of {host}",
        "intro": _INTRO,
        "facts": [{"name": name, "value": value} for name, value in _facts(job, host, secrets_at).items() if value],
        "sections": sections,
    }


def _facts(job: Job, host: str, secrets_at: str) -> dict[str, str]:
    prefixes = job.file_prefixes
    named = {"volumes": prefixes.volume, "manifests": prefixes.manifest, "signatures": prefixes.signature}
    given = job.encryption
    return {
        "Host": host,
        "Job": job.name,
        "Source": job.source or "",
        "Bucket": job.bucket,
        "Key prefix": job.key_prefix,
        "Region": job.region or "",
        "Endpoint": job.endpoint_url or "Amazon S3",
        "Storage class": f"{job.storage_class} for volumes; manifests and signatures are in STANDARD",
        "File names begin with": ", ".join(f"{value} ({kind})" for kind, value in named.items() if value),
        "Encryption": _MODES[given.mode],
        "Encrypted for": ", ".join(given.encrypt_keys),
        "Signed by": given.sign_key or "",
        "Secrets are kept": secrets_at or _UNKNOWN,
        "Image": job.image,
    }


def _section(title: str, text: list[str], *commands: str) -> Facts:
    return {"title": title, "text": text, "commands": [command for command in commands if command]}


def _words(*words: str) -> str:
    """A command line; no line of it is so long that paper would break it somewhere."""
    groups: list[str] = []
    for word in words:
        value = bool(groups) and groups[-1].startswith("-") and " " not in groups[-1] and not word.startswith("-")
        groups[-1:] = [f"{groups[-1]} {shlex.quote(word)}"] if value else [*groups[-1:], shlex.quote(word)]
    lines = groups[:1]
    for group in groups[1:]:
        if len(lines[-1]) + len(group) > _WIDTH:
            lines.append(f"  {group}")
        else:
            lines[-1] += f" {group}"
    return " \\\n".join(lines)


# --- while there is Ansible ------------------------------------------------------------------------------------------


def _ansible(job: Job, host: str) -> Facts:
    known = ["ansible-playbook", "permafrost.backup.restore", "-e", f"job={job.name}", "-e", "dest=/srv/restored"]
    lost = ["ansible-playbook", "permafrost.backup.restore", "-i", "newhost,", "-e", f"target_url={job.url}"]
    lost += ["-e", f"encryption={job.encryption.mode}", "-e", "dest=/srv/restored"]
    for name, value in (("region", job.region), ("endpoint_url", job.endpoint_url)):
        lost += ["-e", f"{name}={value}"] if value else []
    text = [
        "Try this first. It quotes before it pays, continues after a kill, and proves what it restored.",
        "The second form needs no inventory. Secrets come from the environment, a file of variables or a prompt; keys "
        "of GnuPG from a file with encryption as in a job.",
    ]
    return _section("1. While there is Ansible", text, _words(*known, "-l", host), _words(*lost))


# --- when it is gone -------------------------------------------------------------------------------------------------


def _tools(image: str) -> Facts:
    """What has to be there."""
    text = [
        "Any Linux machine with bash, aws (the AWS CLI, 1.29 or 2.13 at least), duplicity with boto3, and gpg. Work as "
        "root in an empty directory with room for what is restored. All commands go into one shell, in this order.",
        "Where duplicity cannot be installed and an engine has the image, the second block stands in for duplicity and "
        "gpg; then the directory must be below your home.",
    ]
    in_image = (
        'in_image() {\n  docker run --rm --network host --user 0 --volume "$HOME:$HOME" --workdir "$PWD" \\\n'
        "    --env HOME --env PASSPHRASE --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY \\\n"
        f'    --entrypoint "$1" {_words(image)} "${{@:2}}"\n}}\n'
        'duplicity() { in_image duplicity "$@"; }\ngpg() { in_image gpg "$@"; }'
    )
    install = _words("pip", "install", "awscli", "duplicity", "boto3")
    return _section("2. Without Ansible: the tools", text, install, in_image)


def _who(job: Job) -> Facts:
    """Credentials and passphrase, asked for so that they get into no history."""
    lines = [
        "read -rp 'AWS access key id: ' AWS_ACCESS_KEY_ID",
        "IFS= read -rsp 'AWS secret access key: ' AWS_SECRET_ACCESS_KEY",
        "export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY",
    ]
    if job.region:
        lines.append(f"export AWS_DEFAULT_REGION={shlex.quote(job.region)}")
    if job.endpoint_url:
        lines.append(f"export AWS_ENDPOINT_URL={shlex.quote(job.endpoint_url)}")
    text = ["The credentials must be allowed s3:ListBucket, s3:GetObject and s3:RestoreObject."]
    commands = ["\n".join(lines)]
    if job.encrypted:
        what = "the backup" if job.encryption.mode == "symmetric" else "the secret key"
        commands.append(f"IFS= read -rsp 'Passphrase of {what}: ' PASSPHRASE\nexport PASSPHRASE")
    if job.encryption.mode == "gpg":
        text.append(
            "secret-keys.asc holds the secret key of one of the keys that the backup is encrypted for"
            + (", and the public key of the one that signs it." if job.encryption.sign_key else ".")
        )
        commands.append("gpg --batch --import secret-keys.asc")
    return _section("3. Who you are", text, *commands)


def _look(job: Job) -> Facts:
    columns = "[Key,Size,StorageClass,\n    RestoreStatus.IsRestoreInProgress,RestoreStatus.RestoreExpiryDate]"
    listing = _words(
        *("aws", "s3api", "list-objects-v2", "--bucket", job.bucket, "--prefix", job.key_prefix),
        *("--optional-object-attributes", "RestoreStatus", "--query", f"Contents[].{columns}", "--output", "text"),
    )
    text = [
        "Each line is an object: key, bytes, class, whether a thaw is on, and until when a thawed copy is there. Names "
        "tell the time in UTC. A full and the incrementals after it make a chain; a set counts when it has a manifest."
    ]
    return _section("4. What is there", text, listing)


def _choose(job: Job) -> Facts:
    """The volumes that a restore reads, as duplicity itself names them."""
    text = [
        "RESTORE_TIME is now, or a time such as 2026-11-01T02:00:00Z: never one before the first backup, or duplicity "
        "restores its earliest without a word. RESTORE_PATH is a file or directory without outer slashes, or empty.",
        "This reads manifests only, which need no thaw, and writes the keys of the volumes into volumes.txt.",
    ]
    names = r"sed -n 's|^\t\(.*difftar.*\)$|" + _sed(job.key_prefix) + r"\1|p'"
    nowhere = _duplicity(job, '"$PWD/nowhere"', "--dry-run")
    return _section(
        "5. Which volumes are needed",
        text,
        "RESTORE_TIME=now\nRESTORE_PATH=",
        f"{nowhere} \\\n  | {names} > volumes.txt\nwc -l volumes.txt",
    )


def _sed(text: str) -> str:
    """For the right side of a sed substitution between bars, in single quotes."""
    return re.sub(r"([\\&|])", r"\\\1", text).replace("'", "'\\''")


def _thaw(job: Job) -> Facts:
    """Ask for each volume, and wait."""
    hours = "; ".join(
        f"{name}: " + ", ".join(f"{tier} within {_hours(within)}" for tier, within in tiers.items())
        for name, tiers in TIER_HOURS.items()
    )
    now = f"The job writes {job.storage_class}"
    needed = job.storage_class in ARCHIVED
    text = [
        f"{now}, so its volumes are frozen." if needed else f"{now}: skip this unless the list shows frozen classes.",
        f"Only volumes in GLACIER and DEEP_ARCHIVE need it. A faster tier costs more ({hours}).",
        f"The copies stay for {_DAYS} days and cost as STANDARD does. RestoreAlreadyInProgress means that a volume was "
        "asked for before, InvalidObjectState that it needs no thaw; both are fine.",
    ]
    request = f"Days={_DAYS},GlacierJobParameters={{Tier=Bulk}}"
    ask = _words("aws", "s3api", "restore-object", "--bucket", job.bucket, "--restore-request", request)
    look = _words("aws", "s3api", "head-object", "--bucket", job.bucket, "--query", "Restore", "--output", "text")
    asking = f'while read -r key; do\n  {ask} \\\n    --key "$key"\ndone < volumes.txt'
    waiting = (
        f'is_thawing() {{\n  {look} \\\n    --key "$1" | grep -q \'ongoing-request="true"\'\n}}\n'
        'while read -r key; do\n  while is_thawing "$key"; do sleep "${POLL:-900}"; done\ndone < volumes.txt'
    )
    return _section("6. Thaw them, and wait", text, asking, waiting)


def _hours(hours: float) -> str:
    return f"{hours:g} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"


def _restore(job: Job) -> Facts:
    text = [
        "The directory restored must not be there yet. With exit code 0 all went through. Look at what is there before "
        "it replaces anything.",
    ]
    return _section("7. Restore", text, _duplicity(job, '"$PWD/restored"'))


def _duplicity(job: Job, dest: str, *more: str) -> str:
    """A restore as duplicity's own command line."""
    given, prefixes = job.encryption, job.file_prefixes
    words = ["duplicity", "restore", *more, "--numeric-owner"]
    if not job.encrypted:
        words.append("--no-encryption")
    words += [word for key in given.encrypt_keys for word in ("--encrypt-key", key)]
    words += ["--sign-key", given.sign_key] if given.sign_key else []
    words += ["--s3-endpoint-url", job.endpoint_url] if job.endpoint_url else []
    words += ["--s3-region-name", job.region] if job.region else []
    named = {"archive": prefixes.volume, "manifest": prefixes.manifest, "signature": prefixes.signature}
    words += [f"--file-prefix-{kind}={value}" for kind, value in named.items() if value]
    words += [*job.extra_args]
    path = '${RESTORE_PATH:+"--path-to-restore=$RESTORE_PATH"}'
    return f'{_words(*words)} \\\n  --time "$RESTORE_TIME" {path} \\\n  {_words(job.url)} {dest}'


# --- Markdown --------------------------------------------------------------------------------------------------------


def markdown(page: Mapping[str, Any]) -> str:
    """The parts as Markdown."""
    lines = [f"# {_escaped(page['title'])}", "", _escaped(page["intro"]), "", "| | |", "|---|---|"]
    lines += [f"| {_escaped(one['name'])} | {_escaped(one['value'])} |" for one in page["facts"]]
    for section in page["sections"]:
        lines += ["", f"## {_escaped(section['title'])}"]
        lines += [line for text in section["text"] for line in ("", _escaped(text))]
        lines += [line for command in section["commands"] for line in ("", *_fenced(command))]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """What means something to Markdown, or would end a cell, as itself."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(text.split()))


def _fenced(command: str) -> list[str]:
    """A block of code; its fence is longer than any that the text holds."""
    fence = "`" * max(3, *(len(found) + 1 for found in re.findall("`+", command) or [""]))
    return [f"{fence}bash", *command.split("\n"), fence]
