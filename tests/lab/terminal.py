"""The guide's own lines, typed at a terminal: bash, docker run -it, and what they print."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# All that a test changes on the way from the guide's words to the engine: the image's name, which user of the lab it
# is, and where the guide's /tmp/testfiles lies here.
WRAPPER = """\
#!/usr/bin/env bash
words=()
for word in "${@:2}"; do
    case $word in
        docker-duplicity:*) word=$LAB_IMAGE ;;
        /tmp/testfiles:*) word=$LAB_TESTFILES${word#/tmp/testfiles} ;;
    esac
    words+=("$word")
done
exec "$LAB_DOCKER" "$1" --network host --label permafrost.lab \\
    -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY -e AWS_ENDPOINT_URL_S3 "${words[@]}"
"""


@dataclass
class Terminal:
    """A shell in a directory, with a pseudo terminal as its input and output."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wrapper = self.directory / "bin" / "docker"
        wrapper.parent.mkdir()
        wrapper.write_text(WRAPPER)
        wrapper.chmod(0o755)
        self.variables["LAB_DOCKER"] = shutil.which("docker") or "docker"
        self.variables["PATH"] = f"{wrapper.parent}:{os.environ['PATH']}"

    def type(self, lines: str) -> tuple[int, str]:
        """Let bash run the lines; exit code and everything that appeared."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-c", lines],
            cwd=self.directory,
            env={**os.environ, **self.variables},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # the last one that held the other end has gone
        finally:
            os.close(ours)
        return process.wait(), shown.decode(errors="replace").replace("\r\n", "\n")
