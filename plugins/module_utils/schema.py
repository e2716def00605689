# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The job's options as an argument spec: the one schema of all modules and roles.

Pure data. doc_fragments/job.py documents it, and a guard test keeps the two equal; job.py checks what a spec cannot.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.permafrost.backup.plugins.module_utils.glacier import EARLY_DELETE, STORAGE_CLASSES

_RULES = [
    "include",
    "exclude",
    "include_regexp",
    "exclude_regexp",
    "include_list",
    "exclude_list",
    "exclude_if_present",
    "exclude_older_than",
]

SELECTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {name: {"type": "path" if name.endswith("_list") else "str"} for name in _RULES},
    "mutually_exclusive": [_RULES],
    "required_one_of": [_RULES],
}

ENCRYPTION: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "mode": {"type": "str", "choices": ["none", "symmetric", "gpg"], "required": True},
        "passphrase": {"type": "str", "no_log": True},
        "encrypt_keys": {"type": "list", "elements": "str", "no_log": False},
        "sign_key": {"type": "str", "no_log": False},
        "public_keys": {"type": "str", "no_log": False},
        "secret_keys": {"type": "str", "no_log": True},
    },
    "required_if": [["mode", "symmetric", ["passphrase"]], ["mode", "gpg", ["encrypt_keys"]]],
}

CREDENTIALS: dict[str, Any] = {
    "type": "dict",
    "options": {
        "access_key": {"type": "str", "no_log": False},
        "secret_key": {"type": "str", "no_log": True},
        "session_token": {"type": "str", "no_log": True},
        "profile": {"type": "str"},
        "aws_dir": {"type": "path", "default": "~/.aws"},
        "role_arn": {"type": "str"},
        "external_id": {"type": "str"},
        "sts_endpoint_url": {"type": "str"},
    },
    "required_together": [["access_key", "secret_key"]],
    "required_by": {"session_token": ["access_key"], "external_id": ["role_arn"], "sts_endpoint_url": ["role_arn"]},
    "mutually_exclusive": [["access_key", "profile"], ["role_arn", "profile"]],
    "required_one_of": [["access_key", "profile", "role_arn"]],
}

# How S3 is reached: of a job, and of modules that speak to S3 without one.
CONNECTION: dict[str, dict[str, Any]] = {
    "credentials": CREDENTIALS,
    "endpoint_url": {"type": "str"},
    "region": {"type": "str"},
    "ca_bundle": {"type": "path"},
}

# What the names of a chain's objects begin with: of a job, and of modules that look at a chain without one.
FILE_PREFIXES: dict[str, Any] = {
    "type": "dict",
    "options": {"archive": {"type": "str"}, "manifest": {"type": "str"}, "signature": {"type": "str"}},
}

# When the role duplicity lets a job run: systemd's calendar expressions, or what a container's scheduler knows.
SCHEDULE: dict[str, Any] = {
    "type": "dict",
    "apply_defaults": True,
    "options": {
        "backup": {"type": "str", "default": "daily"},
        "integrity": {"type": "str", "default": "weekly"},
        "random_delay": {"type": "str", "default": "1h"},
        "spread_fulls": {"type": "bool", "default": True},
        "on_failure": {"type": "list", "elements": "str", "default": []},
    },
}

# What a cleanup deletes: the rules of duplicity_cleanup.
RETENTION: dict[str, Any] = {
    "type": "dict",
    "options": {
        "keep_fulls": {"type": "int"},
        "older_than": {"type": "str"},
        "keep_incrementals_of": {"type": "int"},
        "orphans": {"type": "bool", "default": False},
        "orphan_age": {"type": "str", "default": "7D"},
        "early_delete": {"type": "str", "choices": list(EARLY_DELETE), "default": "refuse"},
    },
}

# Commands of the host around a timer's backup.
HOOKS: dict[str, Any] = {
    "type": "dict",
    "apply_defaults": True,
    "options": {
        "before": {"type": "list", "elements": "str", "default": []},
        "after": {"type": "list", "elements": "str", "default": []},
    },
}

# Who hears of a timer's runs.
REPORTS: dict[str, Any] = {
    "type": "dict",
    "options": {
        "mail": {
            "type": "dict",
            "options": {
                "host": {"type": "str", "required": True},
                "port": {"type": "int"},
                "tls": {"type": "str", "choices": ["none", "starttls", "implicit"], "default": "starttls"},
                "user": {"type": "str"},
                "password": {"type": "str", "no_log": True},
                "from": {"type": "str", "required": True},
                "to": {"type": "list", "elements": "str", "required": True},
            },
            "required_together": [["user", "password"]],
        },
        "report_success": {"type": "bool", "default": False},
        "healthchecks_url": {"type": "str", "no_log": True},
        "uptime_kuma_url": {"type": "str", "no_log": True},
        "integrity_healthchecks_url": {"type": "str", "no_log": True},
        "integrity_uptime_kuma_url": {"type": "str", "no_log": True},
        "apprise_urls": {"type": "list", "elements": "str", "no_log": True},
        "metrics_dir": {"type": "path"},
    },
}

# Of glacier_restore alone.
BATCH: dict[str, Any] = {
    "type": "dict",
    "options": {
        "account_id": {"type": "str", "required": True},
        "role_arn": {"type": "str", "required": True},
        "manifest": {"type": "str", "required": True},
        "reports": {"type": "str"},
        "priority": {"type": "int", "default": 10},
        "dest": {"type": "path"},
        "confirm": {"type": "bool", "default": False},
    },
}

JOB_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "source": {"type": "path"},
    "selection": SELECTION,
    "one_file_system": {"type": "bool", "default": False},
    "target": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "file_prefixes": FILE_PREFIXES,
    "adopt": {
        "type": "dict",
        "options": {
            "archive_dir": {"type": "path"},
            "archive_name": {"type": "str"},
            "source_path": {"type": "path"},
        },
        "required_together": [["archive_dir", "archive_name"]],
    },
    "storage_class": {"type": "str", "choices": list(STORAGE_CLASSES), "default": "DEEP_ARCHIVE"},
    "volume_size": {"type": "int", "default": 256},
    "multipart_chunk_size": {"type": "int"},
    "concurrency": {"type": "int", "default": 2},
    "compression": {"type": "bool", "default": True},
    "compression_level": {"type": "int"},
    "full_if_older_than": {"type": "str", "default": "4W"},
    "full_if_n_inc": {"type": "int"},
    "skip_if_no_change": {"type": "bool", "default": True},
    "on_unreadable": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    "encryption": ENCRYPTION,
    "server_side_encryption": {
        "type": "dict",
        "options": {
            "mode": {"type": "str", "choices": ["AES256", "aws:kms"], "required": True},
            "kms_key_id": {"type": "str", "no_log": False},
        },
        "required_if": [["mode", "aws:kms", ["kms_key_id"]]],
    },
    **CONNECTION,
    "retention": RETENTION,
    "cleanup_on": {"type": "str", "choices": ["keeper", "host"], "default": "keeper"},
    "cleanup_credentials": CREDENTIALS,
    "retries": {"type": "int", "default": 3},
    "limits": {
        "type": "dict",
        "options": {
            "cpus": {"type": "float"},
            "memory": {"type": "int"},
            "pids": {"type": "int"},
            "io_weight": {"type": "int"},
            "upload_rate": {"type": "int"},
        },
    },
    "scheduler": {"type": "str", "choices": ["systemd", "container", "none"], "default": "systemd"},
    "schedule": SCHEDULE,
    "hooks": HOOKS,
    "reports": REPORTS,
    "verbosity": {"type": "str", "choices": ["notice", "info", "debug"], "default": "notice"},
    "keep_logs": {"type": "int", "default": 10},
    "progress": {"type": "bool", "default": False},
    "extra_args": {"type": "list", "elements": "str", "default": []},
    "image": {"type": "str", "default": "permafrost/duplicity:latest"},
    "network": {"type": "str", "default": "host"},
    "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"},
    "state_dir": {"type": "path", "default": "/var/lib/permafrost"},
    "temp_dir": {"type": "path"},
}
