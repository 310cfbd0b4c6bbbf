"""A headless Chromium, driven by the WebDriver protocol; no package is needed. Absent it skips, saying so."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_WAIT_S = 60.0


class Browser:
    """One window. Elements are named by CSS selectors."""

    def __init__(self, address: str, downloads: Path, width: int, height: int) -> None:
        self._address = address
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--hide-scrollbars",
            "--autoplay-policy=no-user-gesture-required", f"--window-size={width},{height}",
        ]  # fmt: skip
        wanted = {
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": {"download.default_directory": str(downloads)},
                "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1}},
            },
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._session = ""
        self._session = self.call("POST", "session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        place = f"{self._address}/session/{self._session}/{path}" if self._session else f"{self._address}/{path}"
        place = place.rstrip("/")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(place, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def open(self, page: Path, query: str = "") -> None:
        self.call("POST", "url", {"url": f"{page.as_uri()}{query}"})

    def script(self, text: str) -> Any:
        return self.call("POST", "execute/sync", {"script": text, "args": []})

    def wait_for(self, condition: str) -> None:
        """Until the JavaScript expression is true."""
        deadline = time.monotonic() + _WAIT_S
        while not self.script(f"return Boolean({condition})"):
            assert time.monotonic() < deadline, f"{condition}: {self.script('return document.body.innerText')}"
            time.sleep(0.1)

    def click(self, selector: str) -> None:
        found = self.call("POST", "element", {"using": "css selector", "value": selector})
        # Pages scroll smoothly, and the driver clicks where the element was on its way.
        self.script(f"document.querySelector('{selector}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        self.call("POST", f"element/{found[_ELEMENT]}/click", {})

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        acts = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "actions", {"actions": [{"type": "key", "id": "keyboard", "actions": acts}]})

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("GET", "screenshot")))

    def complaints(self) -> list[str]:
        """What the console says since the last look, but notes."""
        return [line["message"] for line in self.call("POST", "se/log", {"type": "browser"}) if line["level"] != "INFO"]

    def close(self) -> None:
        self.call("DELETE", "")


@contextmanager
def chromium(downloads: Path, width: int, height: int = 900) -> Iterator[Browser]:
    """A window of this size, in which downloads go to a folder."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("needs chromium and chromedriver (apt install chromium chromium-driver)")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "started successfully on port" in line)
        port = line.rstrip(".\n").rsplit(" ", 1)[1]
        browser = Browser(f"http://127.0.0.1:{port}", downloads, width, height)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.communicate()
