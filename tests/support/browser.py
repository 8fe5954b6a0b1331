"""Headless Chromium, over the DevTools protocol's pipe: no driver and no port.

https://chromedevtools.github.io/devtools-protocol/ and ``--remote-debugging-pipe``: JSON messages, each ended by a
zero byte, in on descriptor 3 and out on 4.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from tests.prepare import BROWSERS, FOLDER

#: Pictures that a test keeps after its run.
PICTURES = FOLDER / "pages"

#: At most, for what the browser does; on a busy machine its start can take a minute.
_SECONDS = 180

_WAIT = """new Promise((resolve, reject) => {
  const deadline = Date.now() + %d;
  const look = () => {
    const found = (%s);
    if (found) resolve(found);
    else if (Date.now() > deadline) reject(new Error("never true: " + %s + "\\n" + document.body.innerText));
    else setTimeout(look, 20);
  };
  look();
})"""


def chromium() -> str | None:
    """Return the browser's path, or None if none is installed."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@dataclass
class Browser:
    """One tab. ``requests``: all requested addresses; ``complaints``: all console output and failed requests."""

    into: int
    out: int
    session: str = ""
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _number: int = 0
    _answers: SimpleQueue[dict[str, Any]] = field(default_factory=SimpleQueue)
    _loaded: threading.Event = field(default_factory=threading.Event)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._call(method, parameters, _SECONDS)

    def _call(self, method: str, parameters: dict[str, Any], seconds: float) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        try:
            answer = self._answers.get(timeout=seconds)
        except Empty:
            raise AssertionError("the browser does not answer") from None
        assert answer["id"] == self._number
        assert "error" not in answer, answer
        return dict(answer["result"])

    def open(self, address: str) -> None:
        self._loaded.clear()
        answer = self.call("Page.navigate", url=address)
        assert not answer.get("errorText"), f"{address}: {answer['errorText']}"
        assert self._loaded.wait(_SECONDS), f"{address} does not load"

    def evaluate(self, script: str, seconds: float = _SECONDS) -> Any:
        """Return the value of an expression; a promise is awaited."""
        parameters = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self._call("Runtime.evaluate", parameters, seconds)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]["exception"]["description"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = _SECONDS) -> Any:
        """Wait until the expression is true; return its value."""
        return self.evaluate(_WAIT % (seconds * 1000, condition, json.dumps(condition)), seconds + _SECONDS)

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key, for example ``Tab``."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        stroke = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0)}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **stroke)
        self.call("Input.dispatchKeyEvent", type="keyUp", **stroke)

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, **features: str) -> None:
        """Set media features: ``prefer(prefers_color_scheme="dark")``."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def screenshot(self, file: Path) -> bytes:
        """Write the whole page to a PNG file."""
        data = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return data

    def read(self) -> None:
        """Read messages until the browser ends: a browser whose pipe is full stops."""
        buffer = b""
        while chunk := os.read(self.out, 1 << 20):
            *messages, buffer = (buffer + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers.put(message)
                else:
                    self._note(message["method"], message["params"])

    def _note(self, event: str, parameters: dict[str, Any]) -> None:
        match event:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                self.complaints.append(json.dumps(parameters))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a browser with one tab; end it afterwards. Skip the test if no browser is installed."""
    program = chromium()
    if program is None:
        pytest.skip("no Chromium on this machine: python -m tests.prepare installs it on a Debian-like one, as root")
    child_in, into = os.pipe()
    out, child_out = os.pipe()
    process = subprocess.Popen(
        [
            "bash",
            "-c",
            'exec "$0" "$@" 3<&"$IN" 4>&"$OUT"',
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ],
        env={**os.environ, "IN": str(child_in), "OUT": str(child_out)},
        pass_fds=(child_in, child_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(child_in)
    os.close(child_out)
    tab = Browser(into, out)
    reader = threading.Thread(target=tab.read, daemon=True)
    reader.start()
    try:
        target = tab.call("Target.createTarget", url="about:blank")["targetId"]
        tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            tab.call(f"{domain}.enable")
        yield tab
    finally:
        os.close(into)  # Chromium ends with the pipe. Debian's program is a script, which passes no signal on.
        process.wait(_SECONDS)
        reader.join(_SECONDS)
        os.close(out)
