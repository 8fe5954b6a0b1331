"""The health probe of a running cloud, against a real server that breaks off its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local_cloud.core.config import CloudConfig
from local_cloud.daemon.control import Health, probe

BODY = b'{"status": "starting", "pid": 7, "instance": "i", "config_digest": "d"}'


class Starting(BaseHTTPRequestHandler):
    """A cloud that starts: 503 with its health. It sends ``sent`` bytes of the body, then waits for ``over``."""

    sent = len(BODY)
    over = threading.Event()

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: self.sent])
        self.wfile.flush()
        self.over.wait()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudConfig]:
    monkeypatch.setattr(Starting, "over", threading.Event())
    with ThreadingHTTPServer(("127.0.0.1", 0), Starting) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield cast(CloudConfig, SimpleNamespace(api_url=f"http://127.0.0.1:{server.server_port}"))
        Starting.over.set()
        server.shutdown()


def test_a_cloud_that_starts_says_so(config: CloudConfig) -> None:
    Starting.over.set()
    assert probe(config, timeout=60) == Health("starting", 7, "i", "d")


def test_a_body_that_is_late_or_cut_off_is_no_answer(config: CloudConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Starting, "sent", 10)
    assert probe(config, timeout=0.1) is None
    Starting.over.set()
    assert probe(config, timeout=60) is None
