"""errors.py: one message, and the same as facts."""

from __future__ import annotations

from ansible_collections.permafrost.backup.plugins.module_utils import errors


def test_message_and_facts_say_the_same() -> None:
    error = errors.LockHeld("It is locked.", holder="somebody")
    assert error.message == f"It is locked. {errors.LockHeld.meaning} Next: {errors.LockHeld.next_step}"
    assert error.to_result() == {
        "cause": "lock_held",
        "what": "It is locked.",
        "meaning": errors.LockHeld.meaning,
        "next_step": errors.LockHeld.next_step,
        "holder": "somebody",
    }
    assert str(error) == "It is locked."


def test_a_time_is_an_input_with_a_step_of_its_own() -> None:
    error = errors.BadTime("'x' is not a time.")
    assert isinstance(error, errors.BadInput)
    assert error.to_result()["meaning"] == errors.BadInput.meaning
    assert error.next_step != errors.BadInput.next_step


def test_what_a_module_knew_is_kept_apart_for_each_error() -> None:
    one, two = errors.BadInput("1"), errors.BadInput("2")
    one.result["chains"] = []
    assert two.result == {}
