"""words.py: a string becomes the words that a shell makes of it, and no value makes one more."""

from __future__ import annotations

import os
import shlex
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.permafrost.backup.plugins.module_utils.errors import BadInput
from permafrost import words
from permafrost.words import Values

NOON = time.struct_time((2026, 11, 24, 12, 0, 0, 1, 328, 0))
ANYTHING = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
# Where shlex and shells part: a backslash before a line's end.
PLAIN = st.text(st.sampled_from("ab -=/'\"\\\t~*|;&#>é"))
EXPANSIONS = st.sampled_from(['"$V"', "${V}", "$(hostname)", "$(hostname -f)", '$(date "+%Y %H")', "$(date +%s)"])


def values(host: str = "web01", **environment: str) -> Values:
    return Values(environment, lambda text: time.strftime(text, NOON), lambda full: f"{host}.example" if full else host)


def made(text: str, **environment: str) -> list[str]:
    return words.words(text, "OPTIONS", values(**environment))


def refusal(text: str, **environment: str) -> str:
    with pytest.raises(BadInput) as caught:
        made(text, **environment)
    assert caught.value.what.startswith("OPTIONS ")
    return caught.value.what


def test_the_guides_options() -> None:
    text = (
        '--verbosity i --log-file /logfiles/log-$(date "+%Y%m%d-%H%M%S").log '
        "--file-prefix-archive archive-$(hostname -f)- --file-prefix-manifest manifest-$(hostname)-"
    )
    assert made(text) == [
        "--verbosity", "i", "--log-file", "/logfiles/log-20261124-120000.log",
        "--file-prefix-archive", "archive-web01.example-", "--file-prefix-manifest", "manifest-web01-",
    ]  # fmt: skip


@given(PLAIN)
def test_words_are_those_of_shlex(text: str) -> None:
    try:
        expected = shlex.split(text)
    except ValueError:
        assert refusal(text)
    else:
        assert made(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a $V b", "a'$V'b", 'a"$V"b', "\\$V", '"\\$V"', "'a'\\''b'", "${V}x", "$Vx-", '"$V"', "a\\\nb", '"a\\\nb"', "$",
        "a$ b", '"$"', "foo$/x", "$(date +%Y)", '"$(date "+%Y %m")"', "$(date '+%Y-%m')", '$(date +"%Y")', "a  b\t c",
        '"$(date "+%Y")"', '"a\\b\\`"', "$(  hostname )", "'`x`' '$(y)'", '"" x', "x$(date +)", "é$V", "$V$V",
    ],
)  # fmt: skip
def test_words_are_those_of_a_shell(text: str) -> None:
    """A value without blanks, so that the shell, which splits it again, agrees."""
    environment = {**os.environ, "V": "value", "Vx": "other"}
    script = f"for word in {text}\ndo printf '%s\\0' \"$word\"; done"
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    host = subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()
    ours = words.words(text, "OPTIONS", Values(environment, time.strftime, lambda full: host))
    assert ours == done.stdout.split("\0")[:-1]


@given(st.lists(st.lists(EXPANSIONS | st.sampled_from(["a", "-", '"b c"', "'$d'"]), min_size=1), max_size=4), ANYTHING)
def test_a_value_never_makes_a_word(parts: list[list[str]], value: str) -> None:
    text = " ".join("".join(word) for word in parts)
    given_words = words.words(text, "OPTIONS", values(host=value, V=value))
    assert len(given_words) == len(parts)
    for word, found in zip(parts, given_words):
        if word in (['"$V"'], ["${V}"], ["$(hostname)"]):
            assert found == value


@given(ANYTHING)
def test_a_whole_string_is_one_word(text: str) -> None:
    try:
        found = words.whole(text, "DST", values(V="a b"))
    except BadInput:
        assert "$" in text or "`" in text
    else:
        assert found == text or "$" in text


def test_a_url_with_a_value_in_it() -> None:
    assert words.whole("s3://b/$(hostname)/it's a \\ $V", "DST", values(V="'x y'")) == "s3://b/web01/it's a \\ 'x y'"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a `id` b", "`id`"), ("$(id)", "$(id)"), ('"$(cat /etc/x)"', "$(cat /etc/x)"), ("$((1 + 1))", "$((1 + 1)"),
        ("${V:-x}", "${V:-x}"), ("$$(hostname)", "$$"), ("$1", "$1"), ("$@", "$@"), ("$(date)", "$(date)"),
        ("$(date -u +%F)", "$(date -u +%F)"), ('$(date "+$(id)")', "$(date"), ("$(hostname -i)", "$(hostname -i)"),
        ("$(hostname; id)", "$(hostname; id)"), ("$(unclosed" + "x" * 99, "$(unclosed"), ("`", "`"),
    ],
)  # fmt: skip
def test_what_only_a_shell_could_do_is_refused(text: str, named: str) -> None:
    what = refusal(text, V="value")
    assert named in what
    assert "which only a shell could replace" in what


@pytest.mark.parametrize("text", ["'", '"', "a 'b", 'a "b', "\\", "a\0b", '"\\'])
def test_what_is_not_whole_is_refused(text: str) -> None:
    assert refusal(text)


@pytest.mark.parametrize(
    "name",
    ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PASSPHRASE", "PGPASSWORD", "SIGN_PASSPHRASE", "SMTP_PASS"],
)
def test_a_secret_is_refused(name: str) -> None:
    for text in (f"--name ${name}", f'"${{{name}}}"'):
        what = refusal(text, **{name: "hidden-value"})
        assert "a secret" in what
        assert "hidden-value" not in what


def test_a_secret_by_another_name_is_refused() -> None:
    what = refusal("--name $MINE", MINE="x-hidden-value", PASSPHRASE="hidden-value")
    assert "PASSPHRASE" in what
    assert "hidden-value" not in what


def test_unset_is_refused_and_empty_stays_a_word() -> None:
    assert "$MISSING, which is not set" in refusal("--name $MISSING")
    assert made("--name $EMPTY x", EMPTY="") == ["--name", "", "x"]


def test_formats_that_date_alone_knows_are_refused() -> None:
    assert "%N is not known" in refusal('$(date "+%s.%N")')
    assert "% is not known" in refusal("$(date +%)")
