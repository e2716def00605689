"""What a command of the guide becomes, for people: the argv, the warnings, and a job. Pure."""

from __future__ import annotations

from permafrost.call import Call
from permafrost.masking import mask
from permafrost.words import Values


def text(wanted: Call, values: Values) -> str:
    return "\n".join(mask(word, values.environment) for word in wanted.argv)
