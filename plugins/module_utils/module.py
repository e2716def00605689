# Copyright: permafrost.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The frame of every module: the one place with AnsibleModule, exit_json and fail_json.

A module hands over its options and a function that does the work and returns the result.
"""

from __future__ import annotations

import atexit
import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.permafrost.backup.plugins.module_utils.errors import Interrupted, PermafrostError, Stopped
from ansible_collections.permafrost.backup.plugins.module_utils.schema import JOB_OPTIONS

JOB_ARGUMENT: dict[str, dict[str, Any]] = {"job": {"type": "dict", "required": True, "options": JOB_OPTIONS}}
SELECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "path": {"type": "str"},
    "time": {"type": "str", "default": "now"},
}
FETCH_ARGUMENT: dict[str, dict[str, Any]] = {
    "fetch": {"type": "str", "choices": ["auto", "staged", "streamed"], "default": "auto"},
}
PRICES_ARGUMENTS: dict[str, dict[str, Any]] = {
    "prices": {"type": "dict", "required": True},
    "region": {"type": "str"},
}

Work = Callable[[dict[str, Any], bool], dict[str, Any]]


def run(argument_spec: dict[str, Any], work: Work, **constraints: Any) -> None:
    """Check the options, do the work, exit. ``work`` gets the options and whether this is check mode."""
    _spare_garbage_collection()
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **constraints)
    try:
        with _stopping_on_signals():
            result = work(module.params, module.check_mode)
    except PermafrostError as error:
        _warn(module, error.result)
        module.fail_json(msg=error.message, error=error.to_result(), **error.result)
    except Interrupted as interrupted:
        stopped = Stopped(f"The task was asked to end by {interrupted}.")
        module.fail_json(msg=stopped.message, error=stopped.to_result())
    _warn(module, result)
    module.exit_json(**result)


def _spare_garbage_collection() -> None:
    """What a module loads lives to its end: to look through it costs a fifth of a second, most of it at the end."""
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)


def _warn(module: AnsibleModule, result: dict[str, Any]) -> None:
    """``warnings`` of a result are Ansible's to show."""
    for text in result.pop("warnings", []):
        module.warn(text)


@contextmanager
def _stopping_on_signals() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into Interrupted.

    More of them must not disturb the tidying up, and none the telling of a result that stands.
    """

    def interrupt(number: int, _frame: object) -> None:
        _handle_signals(signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    _handle_signals(interrupt)
    try:
        yield
    finally:
        _handle_signals(signal.SIG_IGN)


def _handle_signals(handler: Callable[[int, Any], None] | signal.Handlers) -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, handler)
