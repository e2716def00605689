"""What an argument spec holds and documentation cannot: what excludes or needs what, secrets, defaults within options.

Each is judged by what Ansible makes of options that keep to it and that do not, and no change of a spec passes unseen.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.permafrost.backup.plugins.module_utils.reporting import PINGS
from ansible_collections.permafrost.backup.plugins.module_utils.schema import CONNECTION, JOB_OPTIONS
from ansible_collections.permafrost.backup.plugins.modules import glacier_restore
from guard.sources import MODULES, PREFIX

Options = dict[str, Any]
# (options, what Ansible says of them; nothing when they are good)
Cases = list[tuple[Options, str]]
ALL = sorted(MODULES.glob("*.py"))
PAIR = {"access_key": "A", "secret_key": "s"}
RULES = list(JOB_OPTIONS["selection"]["options"])

CREDENTIALS: Cases = [
    (PAIR, ""),
    ({**PAIR, "session_token": "t", "role_arn": "r", "external_id": "x", "sts_endpoint_url": "u"}, ""),
    ({"profile": "p"}, ""),
    ({"role_arn": "r"}, ""),
    ({}, "one of the following is required: access_key, profile, role_arn"),
    ({"access_key": "A"}, "parameters are required together: access_key, secret_key"),
    ({"secret_key": "s", "role_arn": "r"}, "parameters are required together: access_key, secret_key"),
    ({**PAIR, "profile": "p"}, "parameters are mutually exclusive: access_key|profile"),
    ({"role_arn": "r", "profile": "p"}, "parameters are mutually exclusive: role_arn|profile"),
    ({"role_arn": "r", "session_token": "t"}, "missing parameter(s) required by 'session_token': access_key"),
    ({**PAIR, "external_id": "x"}, "missing parameter(s) required by 'external_id': role_arn"),
    ({**PAIR, "sts_endpoint_url": "u"}, "missing parameter(s) required by 'sts_endpoint_url': role_arn"),
]
WITHIN: dict[str, Cases] = {
    "credentials": CREDENTIALS,
    "cleanup_credentials": CREDENTIALS,
    "encryption": [
        ({"mode": "none"}, ""),
        ({"mode": "symmetric", "passphrase": "p"}, ""),
        ({"mode": "gpg", "encrypt_keys": ["k"]}, ""),
        ({"mode": "symmetric"}, "mode is symmetric but all of the following are missing: passphrase"),
        ({"mode": "gpg"}, "mode is gpg but all of the following are missing: encrypt_keys"),
    ],
    "server_side_encryption": [
        ({"mode": "AES256"}, ""),
        ({"mode": "aws:kms", "kms_key_id": "k"}, ""),
        ({"mode": "aws:kms"}, "mode is aws:kms but all of the following are missing: kms_key_id"),
    ],
    "adopt": [
        ({"source_path": "/s"}, ""),
        ({"archive_dir": "/a", "archive_name": "n"}, ""),
        ({"archive_dir": "/a"}, "parameters are required together: archive_dir, archive_name"),
        ({"archive_name": "n"}, "parameters are required together: archive_dir, archive_name"),
    ],
    "selection": [
        *((({one: "x"}, "")) for one in RULES),
        *((({one: "x", other: "x"}, "parameters are mutually exclusive"))
          for one, other in zip(RULES, RULES[1:] + RULES[:1], strict=True)),
        ({}, "one of the following is required: include, "),
    ],
}  # fmt: skip
JOB: Options = {"name": "n", "target": "s3://b/p", "encryption": {"mode": "none"}}
JOB_CASES: Cases = [
    ({**JOB, option: [given] if option == "selection" else given}, says)
    for option, cases in WITHIN.items()
    for given, says in cases
]
THAW_CASES: Cases = [
    ({"bucket": "b", "keys": ["k"]}, ""),
    ({"bucket": "b", "prefix": "p", "pattern": "*"}, ""),
    ({"target": "s3://b/p", "file_prefixes": {}}, ""),
    ({"bucket": "b"}, "one of the following is required: keys, prefix, target"),
    ({"bucket": "b", "keys": ["k"], "prefix": "p"}, "parameters are mutually exclusive: keys|prefix|target"),
    ({"keys": ["k"], "target": "t"}, "parameters are mutually exclusive: keys|prefix|target"),
    ({"prefix": "p", "target": "t"}, "parameters are mutually exclusive: keys|prefix|target"),
    ({"bucket": "b", "target": "t"}, "parameters are mutually exclusive: bucket|target"),
    ({"keys": ["k"]}, "missing parameter(s) required by 'keys': bucket"),
    ({"prefix": "p"}, "missing parameter(s) required by 'prefix': bucket"),
    ({"bucket": "b", "keys": ["k"], "pattern": "*"}, "missing parameter(s) required by 'pattern': prefix"),
    ({"bucket": "b", "prefix": "p", "version_ids": {}}, "missing parameter(s) required by 'version_ids': keys"),
    ({"bucket": "b", "keys": ["k"], "file_prefixes": {}}, "missing parameter(s) required by 'file_prefixes': target"),
    (
        {"bucket": "b", "keys": ["k"], "method": "batch"},
        "method is batch but all of the following are missing: batch",
    ),
    *(({"bucket": "b", "keys": ["k"], "credentials": given}, says) for given, says in CREDENTIALS),
]
# What a job has although it was not given.
FILLED = {
    "schedule": {
        "backup": "daily", "integrity": "weekly", "random_delay": "1h", "spread_fulls": True, "on_failure": [],
    },
    "hooks": {"before": [], "after": []},
}  # fmt: skip
SECRETS = {
    "passphrase", "secret_keys", "secret_key", "session_token", "password", "apprise_urls", *PINGS,
}  # fmt: skip
# Names that Ansible takes for those of secrets, unless the spec says that they are none.
SOUNDS_SECRET = re.compile(r"key|pass|secret|token")


def surprises(cases: Cases, spec: Options, constraints: Options | None = None) -> list[str]:
    """The cases that this spec judges in another way than it should."""
    validator = ArgumentSpecValidator(spec, **(constraints or {}))
    found = []
    for given, says in cases:
        told = validator.validate(given).error_messages
        if not (any(says in one for one in told) if says else not told):
            found.append(f"{given}: {told}")
    return found


def weaker(holder: Options) -> Iterator[tuple[str, Options]]:
    """A dict with constraints, without one rule or one name of a rule."""
    for key in ("mutually_exclusive", "required_together", "required_one_of", "required_if"):
        given = holder.get(key, [])
        for at, rule in enumerate(given):
            less: list[Any] = [rule[:name] + rule[name + 1 :] for name in range(len(rule)) if key != "required_if"]
            for changed in [[], *([one] for one in less if len(one) > 1)]:
                yield f"{key}: {rule} as {changed}", {**holder, key: [*given[:at], *changed, *given[at + 1 :]]}
    for name in holder.get("required_by", {}):
        rest = {one: needs for one, needs in holder["required_by"].items() if one != name}
        yield f"required_by: {name}", {**holder, "required_by": rest}


def weaker_within(options: Options) -> Iterator[tuple[str, Options]]:
    """Options, one of which has a weaker constraint."""
    for name, option in options.items():
        for label, changed in weaker(option):
            yield f"{name}.{label}", {**options, name: changed}


def filled(spec: Options) -> Options:
    """What a job without more than it needs has got."""
    validated = ArgumentSpecValidator(spec).validate(JOB).validated_parameters
    return {name: value for name, value in validated.items() if isinstance(value, dict) and name not in JOB}


def told_wrongly(spec: Options, where: str = "") -> Iterator[str]:
    """Secrets that a log may show, what is hidden without need, and what Ansible would warn of."""
    for name, option in spec.items():
        wanted = (True,) if name in SECRETS else (False,) if SOUNDS_SECRET.search(name) else (False, None)
        if option.get("no_log") not in wanted and "options" not in option:
            yield f"{where}{name}.no_log is {option.get('no_log')}"
        yield from told_wrongly(option.get("options", {}), f"{where}{name}.")


def told_in_another_way(spec: Options) -> Iterator[tuple[str, Options]]:
    """Each option without what it says of secrecy, or with the contrary."""
    for name, option in spec.items():
        if "options" not in option:
            yield f"{name} secret", {**spec, name: {**option, "no_log": not option.get("no_log")}}
        if "no_log" in option:
            yield f"{name} unsaid", {**spec, name: {key: value for key, value in option.items() if key != "no_log"}}
        for label, inner in told_in_another_way(option.get("options", {})):
            yield f"{name}.{label}", {**spec, name: {**option, "options": inner}}


def test_what_a_job_must_keep_to() -> None:
    assert surprises(JOB_CASES, JOB_OPTIONS) == []
    changed = list(weaker_within(JOB_OPTIONS))
    assert len(changed) > 25
    assert [label for label, spec in changed if not surprises(JOB_CASES, spec)] == []


def test_what_a_thaw_must_keep_to() -> None:
    spec, constraints = glacier_restore.SPEC, glacier_restore.CONSTRAINTS
    assert surprises(THAW_CASES, spec, constraints) == []
    assert [label for label, changed in weaker(constraints) if not surprises(THAW_CASES, spec, changed)] == []
    changed = list(weaker_within(spec))
    assert [label for label, other in changed if not surprises(THAW_CASES, other, constraints)] == []


def test_constraints_are_where_they_are_looked_for() -> None:
    """One that comes elsewhere needs its cases too."""
    kept = {name for name, option in JOB_OPTIONS.items() if list(weaker(option))}
    assert kept == set(WITHIN)
    for path in ALL:
        module = importlib.import_module(f"{PREFIX}.modules.{path.stem}")
        assert hasattr(module, "CONSTRAINTS") == (module is glacier_restore)
        held = {name for name, option in module.SPEC.items() if list(weaker(option))}
        assert held <= {"credentials"}
        assert not held or module.SPEC["credentials"] is CONNECTION["credentials"]


def test_defaults_within_options() -> None:
    assert filled(JOB_OPTIONS) == FILLED
    for name, option in JOB_OPTIONS.items():
        if "options" in option and name not in JOB:
            other = {**option, "apply_defaults": not option.get("apply_defaults", False)}
            assert filled({**JOB_OPTIONS, name: other}) != FILLED, name


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_secrets_are_never_logged(path: Path) -> None:
    spec = importlib.import_module(f"{PREFIX}.modules.{path.stem}").SPEC
    assert list(told_wrongly(spec)) == []
    assert [label for label, changed in told_in_another_way(spec) if not list(told_wrongly(changed))] == []
