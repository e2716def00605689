"""A signal amid a request: libraries catch every exception there, and the task ends all the same."""

from __future__ import annotations

import pytest
from integration.conftest import Job

from lab import kills

# Requests are the real ones; instead of waiting for the reply to the first one the task gets a signal.
AT_REPLY = """
import http.client, os, signal
http.client.HTTPConnection.getresponse = lambda *_, **__: os.kill(os.getpid(), signal.{})
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize("module", ["duplicity_backup", "glacier_restore_info"])
def test_a_signal_amid_a_request(job: Job, module: str, name: str) -> None:
    result = kills.ModuleProcess(module, prelude=AT_REPLY.format(name), job=job).ended()
    assert kills.cause(result) == "stopped", result
    assert f"The task was asked to end by {name}." in result["msg"]
    assert not kills.secrets_of(job["name"])
