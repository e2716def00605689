"""A headless Chromium, driven by WebDriver: pages are opened from a file, keys pressed, and what it logged is read."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import packages
from lab.places import LAB, LabError, lock

COMMANDS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
START_SECONDS = 120
# Nothing is resolved, so that a request that a page makes is seen and fails.
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One window of one session."""

    def __init__(self, port: int, profile: str) -> None:
        self._root = f"http://127.0.0.1:{port}"
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, page: Path) -> None:
        """Load a file to its end."""
        self._ask("POST", f"{self._session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body in JavaScript returns."""
        return self._ask("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, selector: str, keys: str) -> None:
        """Press keys with the focus on an element, as a person without a mouse would."""
        found = self._ask("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"{self._session}/element/{found[_ELEMENT]}/value", {"text": keys})

    def logged(self) -> list[str]:
        """What the console said since the last look."""
        entries = self._ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [f"{entry['level']} {entry['message']}" for entry in entries]

    def requested(self) -> list[str]:
        """The addresses that were asked for since the last look."""
        entries = self._ask("POST", f"{self._session}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]

    def show(self, width: int, height: int, *, dark: bool = False, paper: bool = False) -> None:
        """The size of the window, and whether the page is to be dark or on paper."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        media = {"media": "print" if paper else "", "features": features}
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        for name, given in (("Emulation.setEmulatedMedia", media), ("Emulation.setDeviceMetricsOverride", metrics)):
            self._ask("POST", f"{self._session}/goog/cdp/execute", {"cmd": name, "params": given})

    def picture(self, path: Path) -> None:
        """What the window shows."""
        path.write_bytes(base64.b64decode(self._ask("GET", f"{self._session}/screenshot")))

    def close(self) -> None:
        """End the session and its browser."""
        self._ask("DELETE", self._session)


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, installed where it is not there, and ended with the block."""
    with lock(LAB / "browser.lock"):
        packages.ensure(COMMANDS)
    with tempfile.TemporaryDirectory(prefix="permafrost-browser-", ignore_cleanup_errors=True) as profile:
        log = Path(profile, "driver.log")
        with log.open("wb") as output:
            driver = subprocess.Popen(
                ["chromedriver", "--port=0"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": profile},
            )
        try:
            made = Browser(_port(driver, log), str(Path(profile, "data")))
            yield made
            made.close()
        finally:
            driver.terminate()
            driver.wait(20)


def _port(driver: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the driver chose, by its own word."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and driver.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if "started successfully on port" in line:
                return int(line.rstrip(".").split()[-1])
        time.sleep(0.05)
    raise LabError(f"chromedriver did not start:\n{log.read_text(errors='replace')[-2000:]}")
