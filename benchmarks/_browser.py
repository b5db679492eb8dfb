"""Headless Chromium, for tests and benchmarks of the report, spoken to in its own DevTools protocol."""

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = f"no browser on the path (any of {', '.join(NAMES)}); what a page does in one is not tested"
_PATIENCE_S = 60


def find_browser() -> str | None:
    """Path of a Chromium, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def open_browser() -> Iterator["Browser"]:
    """A fresh browser that can reach files and 127.0.0.1, and no other address.

    Raises:
        FileNotFoundError: there is none; see ``find_browser``.
    """
    path = find_browser()
    if path is None:
        raise FileNotFoundError(MISSING)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
            "--hide-scrollbars", "--remote-debugging-port=0", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port, address = _wait(Path(profile, "DevToolsActivePort"), process).split()
            with connect(f"ws://127.0.0.1:{port}{address}", max_size=None, proxy=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


def _wait(file: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        if file.exists() and (text := file.read_text()).count("\n"):
            return text
        time.sleep(0.02)
    raise RuntimeError(f"the browser did not start within {_PATIENCE_S} s (exit status {process.poll()})")


class Browser:
    """A running browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._calls = socket, 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One call of the protocol and its result.

        Raises:
            RuntimeError: the browser refused it.
        """
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self._socket.send(json.dumps(message))
        while (reply := json.loads(self._socket.recv(_PATIENCE_S))).get("id") != self._calls:
            self.events.append(reply)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        return reply["result"]

    def open(self, path: Path, fragment: str = "", width: int = 1280, height: int = 800) -> "Page":
        """A report from disk, once its first picture is on the screen."""
        return Page(self, path.resolve().as_uri() + (f"#{fragment}" if fragment else ""), width, height)


class Page:
    """A tab with a report in it."""

    def __init__(self, browser: Browser, address: str, width: int, height: int) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._call("Network.enable")
        self._call("Page.enable")
        self._call("Page.navigate", url=address)
        end = time.monotonic() + _PATIENCE_S
        while not self.evaluate("document.documentElement?.dataset.shown ?? ''"):
            if time.monotonic() > end:
                raise RuntimeError(f"{address}: shows nothing after {_PATIENCE_S} s")
            time.sleep(0.02)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, script: str) -> Any:
        """The value of an expression, as JSON has it."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", "the script failed"))
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What a reader sees of an element: nothing of what is hidden."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def point(self, selector: str, click: bool = False) -> None:
        """Move the pointer onto an element's first line, and click."""
        rectangle = f"document.querySelector({json.dumps(selector)}).getClientRects()[0]"
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        x, y = self.evaluate(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({rectangle})")
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Into the element that has the focus."""
        self._call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """``ArrowRight``, ``Escape``, ..."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key)

    def requests(self) -> list[str]:
        """Every address that the page has asked for so far."""
        sent = [e for e in self._browser.events if e["method"] == "Network.requestWillBeSent"]
        return [e["params"]["request"]["url"] for e in sent if e["sessionId"] == self._session]

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot as PNG, of the whole page or of what is in view."""
        data = self._call("Page.captureScreenshot", captureBeyondViewport=whole, format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._call("Page.close")
