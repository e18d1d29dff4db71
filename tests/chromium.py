"""Headless Chromium for the tests of pages, spoken to in WebDriver (W3C) through chromedriver.

The few commands that the tests need, over plain HTTP: no package, and no server but chromedriver
itself on this machine.
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SWITCHES = (
    "--headless",
    "--no-sandbox",  # CI and containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no page here needs a network, and none gets one
)
START_SECONDS = 30.0


def programs() -> tuple[str, str] | None:
    """Paths of chromium and chromedriver, or None where one is missing."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window. Errors of the browser are RuntimeError with its message."""

    def __init__(self, address: str, binary: str, profile: str) -> None:
        options = {"binary": binary, "args": [*SWITCHES, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.address = f"{address}/session"
        answer = self._send("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self.address += f"/{answer['sessionId']}"

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from error

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._send("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        """Show a file in a viewport of this size in CSS pixels."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self._send("POST", "/url", {"url": page.resolve().as_uri()})
        # Of a page of some megabytes, chromedriver at times returns before all of it is read.
        deadline = time.monotonic() + START_SECONDS
        while self.run("return document.readyState") != "complete":
            assert time.monotonic() < deadline, f"{page} does not finish loading"
            time.sleep(0.02)

    def media(self, medium: str = "", scheme: str = "light") -> None:
        """Emulate a medium (`print`, or empty for the screen) and a colour scheme."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", media=medium, features=[feature])

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns in the page."""
        body = {"script": script, "args": arguments}
        return self._send("POST", "/execute/sync", body)

    def press(self, *keys: str) -> None:
        """Press and release keys on what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._send(
            "POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]}
        )

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Press the mouse at a place of the viewport and release it at another."""
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 50} for x, y in (start, end)]
        actions = [
            moves[0],
            {"type": "pointerDown", "button": 0},
            moves[1],
            {"type": "pointerUp", "button": 0},
        ]
        self._send(
            "POST", "/actions", {"actions": [{"type": "pointer", "id": "m", "actions": actions}]}
        )

    def complaints(self) -> list[str]:
        """What the console said since the last call: faults, refused scripts and requests."""
        return [entry["message"] for entry in self._send("POST", "/se/log", {"type": "browser"})]

    def pdf(self) -> str:
        """The page as it is printed, a PDF in base64."""
        return str(self._send("POST", "/print", {}))

    def close(self) -> None:
        self._send("DELETE", "")


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a fresh profile; both programs end with the block."""
    found = programs()
    assert found is not None, "ask programs() first"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [found[1], f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            window = Browser(_ready(f"http://127.0.0.1:{port}"), found[0], profile)
            try:
                yield window
            finally:
                window.close()
    finally:
        driver.terminate()
        driver.wait()


def _ready(address: str) -> str:
    """`address`, as soon as chromedriver answers there."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/status", timeout=5):
                return address
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
