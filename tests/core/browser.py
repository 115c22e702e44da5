"""A real browser for tests: headless Chromium, driven by the W3C WebDriver protocol, which is plain HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1400,1250",
]
KEYS = {
    "Down": "\ue015",
    "Up": "\ue013",
    "Left": "\ue012",
    "Right": "\ue014",
    "End": "\ue010",
    "Home": "\ue011",
}


def missing() -> str:
    """Why there is no browser here, or ""."""
    if not shutil.which("chromedriver"):
        return "needs chromedriver, and Chromium"
    if not (shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")):
        return "needs Chromium"
    return ""


class Browser:
    def __init__(self, port: str, profile: Path):
        self.url = f"http://127.0.0.1:{port}/session"
        found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
        options = {"binary": found, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self.post("", {"capabilities": {"alwaysMatch": wanted}})
        self.url += f"/{made['sessionId']}"

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._send(path, json.dumps(body).encode())

    def get(self, path: str) -> Any:
        return self._send(path, None)

    def _send(self, path: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as reply:
            return json.load(reply)["value"]

    def open(self, file: Path) -> None:
        self.post("/url", {"url": file.as_uri()})

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.post("/execute/sync", {"script": f"return ({script})", "args": []})

    def press(self, *keys: str) -> None:
        """Keys by name, or text; to whatever has the focus."""
        pressed = [KEYS.get(key, key) for key in keys]
        texts = [char for key in pressed for char in key]
        actions = [{"type": kind, "value": char} for char in texts for kind in ("keyDown", "keyUp")]
        self.post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def find(self, css: str) -> str:
        found = self.post("/element", {"using": "css selector", "value": css})
        return str(found[ELEMENT])

    def click(self, css: str) -> None:
        self.post(f"/element/{self.find(css)}/click", {})

    def named(self, css: str) -> tuple[str, str]:
        """What a screen reader is told: role and name."""
        element = self.find(css)
        return self.get(f"/element/{element}/computedrole"), self.get(f"/element/{element}/computedlabel")

    def dark(self, dark: bool) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.post(
            "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}
        )

    def complaints(self) -> list[str]:
        """What the console was told: errors of scripts, refusals by the page's policy."""
        entries = self.post("/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.get("/screenshot")))


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert driver.stdout is not None
        port = next(
            line.split("on port ")[1].strip(".\n")
            for line in driver.stdout
            if "on port " in line and "successfully" in line
        )
        started = Browser(port, profile)
        try:
            yield started
        finally:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(started.url, method="DELETE"), timeout=20)
    finally:
        driver.terminate()
        driver.wait(timeout=20)
