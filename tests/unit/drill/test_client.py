"""A drill's requests to the application: against a real server, or none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.client import has_account, http_call, open_account


class Accounts(BaseHTTPRequestHandler):
    """Creates and returns accounts; ``/broken`` sends no response, ``/half`` half a refusal."""

    names: dict[str, Any] = {}

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.names["account-1"] = body
        self._answer(201, {"id": "account-1"})

    def do_GET(self) -> None:
        if self.path == "/half":
            self.send_response(503)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"half")
        elif self.path != "/broken":
            self._answer(200 if self.path.removeprefix("/v1/accounts/") in self.names else 404, {})

    def _answer(self, status: int, body: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # A proxy from the environment is not used for a local address.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(Accounts, "names", {})
    server = HTTPServer(("127.0.0.1", 0), Accounts)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_account_is_written_and_found(url: str) -> None:
    account = open_account(url)
    assert has_account(url, account)
    assert not has_account(url, "account-2")
    assert Accounts.names[account]["currency"] == "KRW"


def test_no_answer_and_half_an_answer_are_status_0(url: str) -> None:
    assert http_call("GET", "http://127.0.0.1:9/")[0] == 0
    assert http_call("GET", f"{url}/broken")[0] == 0
    assert http_call("GET", f"{url}/half")[0] == 0


def test_an_application_that_takes_no_account_is_named(url: str) -> None:
    with pytest.raises(OperationsError, match="answered 404"):
        open_account(url, lambda *_: http_call("GET", f"{url}/nothing"))
