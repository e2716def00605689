"""printed.py: what a printed runbook tells of a job, and that it holds no secret."""

from __future__ import annotations

import re
import shlex
from typing import Any

import jinja2
import pytest

from ansible_collections.permafrost.backup.plugins.module_utils import printed
from ansible_collections.permafrost.backup.plugins.module_utils.job import Job
from lab.places import CHECKOUT
from unit.stage import job_params

TEMPLATES = CHECKOUT / "playbooks" / "tasks" / "templates"
KEY = "0123456789ABCDEF0123456789ABCDEF01234567"


def page(**changes: Any) -> printed.Facts:
    return printed.runbook(Job.from_params(job_params(**changes)), "web01", "the safe")


def commands(**changes: Any) -> str:
    return "\n".join(command for section in page(**changes)["sections"] for command in section["commands"])


def test_where_the_backup_is() -> None:
    made = page(region="eu-central-1", endpoint_url="https://s3.example.com", target="s3://acme-dr/web01/data")
    facts = {one["name"]: one["value"] for one in made["facts"]}
    assert (facts["Bucket"], facts["Key prefix"], facts["Secrets are kept"]) == ("acme-dr", "web01/data/", "the safe")
    assert (facts["Region"], facts["Endpoint"]) == ("eu-central-1", "https://s3.example.com")
    assert "nobody has said where" in str(printed.runbook(Job.from_params(job_params()), "web01", ""))


def test_no_secret_is_printed_and_keys_have_names() -> None:
    credentials = {"access_key": "AKIAEXAMPLE", "secret_key": "TheSecretKey", "session_token": "TheToken"}
    given = {"mode": "gpg", "encrypt_keys": [KEY]}
    for encryption in ({"mode": "symmetric", "passphrase": "ThePassphrase"}, given):
        made = page(credentials=credentials, encryption=encryption)
        text = printed.markdown(made) + html(made)
        assert not re.search("TheSecretKey|TheToken|ThePassphrase|AKIAEXAMPLE", text)
    assert text.count(KEY) >= 4


def test_commands_follow_the_job() -> None:
    plain = commands(encryption={"mode": "none"}, storage_class="STANDARD")
    assert "--no-encryption" in plain
    assert "read -rsp 'Passphrase" not in plain
    assert "AWS_ENDPOINT_URL" not in plain
    found = commands(
        encryption={"mode": "gpg", "encrypt_keys": [KEY]},
        endpoint_url="http://localhost:9000",
        file_prefixes={"archive": "data-"},
        extra_args=["--timeout", "60 s"],
    )
    assert max(map(len, found.split("\n"))) < 90, "paper would break it"
    words = shlex.split(found.replace("\\\n", "").split("\n")[-1])
    assert words[:3] == ["duplicity", "restore", "--numeric-owner"]
    assert words[words.index("--encrypt-key") + 1] == KEY
    assert "--file-prefix-archive=data-" in words
    assert words[words.index("--timeout") + 1] == "60 s"
    assert "export AWS_ENDPOINT_URL=http://localhost:9000" in found
    assert "gpg --batch" in found


@pytest.mark.parametrize("storage_class", ["STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"])
def test_tiers_are_those_of_the_classes(storage_class: str) -> None:
    (thaw,) = [one for one in page(storage_class=storage_class)["sections"] if "Thaw" in one["title"]]
    text = " ".join(thaw["text"])
    assert "GLACIER: Expedited within 5 minutes, Standard within 5 hours, Bulk within 12 hours" in text
    assert "DEEP_ARCHIVE: Standard within 12 hours, Bulk within 48 hours" in text
    assert ("so its volumes are frozen" in text) == (storage_class in ("GLACIER", "DEEP_ARCHIVE"))


def html(made: printed.Facts) -> str:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=False)
    return environment.get_template("runbook.html.j2").render(page=made)


def test_html_and_markdown_escape_what_they_are_given() -> None:
    made = printed.runbook(Job.from_params(job_params()), "<b>&|`*", "a | b\n\n# c")
    assert "&lt;b&gt;&amp;|`*" in html(made)
    assert "<b>" not in html(made)
    text = printed.markdown(made)
    assert r"\<b\>\&\|\`\*" in text
    assert r"| Secrets are kept | a \| b \# c |" in text
    assert "```bash\nls ```\n" not in text


def test_a_fence_is_longer_than_any_in_a_command() -> None:
    made = {"title": "t", "intro": "i", "facts": [], "sections": [{"title": "s", "text": [], "commands": ["a ```` b"]}]}
    assert "`````bash\na ```` b\n`````\n" in printed.markdown(made)


def test_each_expression_of_the_template_is_escaped() -> None:
    expressions = re.findall(r"\{\{(.*?)\}\}", (TEMPLATES / "runbook.html.j2").read_text())
    assert len(expressions) == 8
    assert [one for one in expressions if not re.search(r"\| e \Z", one)] == []


def test_a_prefix_with_signs_of_sed() -> None:
    assert "s|^\\t\\(.*difftar.*\\)$|a\\&b/c\\|d/\\1|p" in commands(target="s3://acme-dr/a&b/c|d")
