"""A drill's requests to the application: against a real server, or none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.client import WITHOUT_DATABASE, LoadFile, http_call

APPLICATION = Application(name="shop", port=8000, health_path="/health", version_path="/about")
#: Half of its paced requests are answered by what `setup` wrote.
PLAIN: dict[str, Any] = {
    "setup": {"method": "POST", "path": "/items", "body": {"name": "drill {unique}"}, "status": 201},
    "requests": [
        {"name": "item", "path": "/items/{id}", "headers": {"X-Of": "{owner}"}},
        {"path": "/search"},
        {
            "name": "order",
            "method": "POST",
            "path": "/orders",
            "headers": {"Key": "drill-{unique}"},
            "body": {"item": "{id}", "shape": "{}"},
            "status": 201,
            "body_seconds": 2,
        },
    ],
}


class Items(BaseHTTPRequestHandler):
    """Creates and returns items; ``/broken`` sends no response, ``/half`` half a refusal."""

    written: dict[str, Any] = {}

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.written["7"] = body | {"type": self.headers["Content-Type"]}
        self._answer(201, {"id": 7, "owner": "me"})

    def do_GET(self) -> None:
        if self.path == "/half":
            self.send_response(503)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"half")
        elif self.path != "/broken":
            self._answer(200 if self.path.removeprefix("/items/") in self.written else 404, {})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # A proxy from the environment is not used for a local address.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(Items, "written", {})
    server = HTTPServer(("127.0.0.1", 0), Items)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def file(tmp_path: Path, plain: Any) -> str:
    path = tmp_path / "load.json"
    path.write_text(plain if isinstance(plain, str) else json.dumps(plain))
    return str(path)


def test_what_setup_wrote_fills_the_requests(url: str, tmp_path: Path) -> None:
    load = LoadFile.read(file(tmp_path, PLAIN)).begin(url)
    (written,) = Items.written.values()
    unique = written["name"].removeprefix("drill ")
    assert written["type"] == "application/json"
    item, search, order = (request for _, request in load.requests)
    assert (item.path, item.headers) == ("/items/7", {"X-Of": "me"})
    assert search.name == "GET /search"
    assert order.headers == {"Content-Type": "application/json", "Key": f"drill-{unique}"}
    assert json.loads(order.body) == {"item": "7", "shape": "{}"}
    assert load.is_read(url)
    Items.written.clear()
    assert load.is_read(url) is False


def test_half_of_the_load_needs_no_database_and_the_slow_clients_are_added(url: str, tmp_path: Path) -> None:
    groups = LoadFile.read(file(tmp_path, PLAIN)).begin(url).clients(APPLICATION, 60, 9)
    assert sum(group.per_second for group in groups) == 60
    idle = [group for group in groups if group.request.name in WITHOUT_DATABASE]
    assert {group.request.path for group in idle} == {"/about"}
    assert sum(group.per_second for group in idle) == 30
    items = [group for group in groups if group.request.name == "item"]
    assert [(group.count, group.per_second, group.keep_alive) for group in items] == [(9, 7.5, True), (9, 7.5, False)]
    slow = [(group.count, group.keep_alive) for group in groups if group.body_seconds]
    assert slow == [(4, True), (2, False)]


@pytest.mark.parametrize("path", ["", "/nonexistent/load.json"])
def test_without_a_file_the_load_is_of_requests_that_need_no_database(path: str) -> None:
    load = LoadFile.read(path).begin("http://127.0.0.1:9")
    groups = load.clients(Application(name="shop", port=8000, health_path="/health"), 60)
    assert [(group.request.path, group.per_second) for group in groups] == [("/health", 15), ("/health", 15)]
    assert load.is_read("http://127.0.0.1:9") is None


@pytest.mark.parametrize("plain", ["", "[]", "{}", {"requests": [{}]}, {"requests": [{"path": "/", "pace": 1}]}])
def test_a_file_that_is_no_load_file_is_named(tmp_path: Path, plain: Any) -> None:
    with pytest.raises(OperationsError, match=r"load\.json \(app_load_file\) is no load file.*your-application"):
        LoadFile.read(file(tmp_path, plain))


def test_an_application_that_rejects_setup_is_named(url: str, tmp_path: Path) -> None:
    load_file = LoadFile.read(file(tmp_path, PLAIN))
    with pytest.raises(OperationsError, match="/items answered 404"):
        load_file.begin(url, lambda *_: http_call("GET", f"{url}/nothing"))


def test_no_answer_and_half_an_answer_are_status_0(url: str) -> None:
    assert http_call("GET", "http://127.0.0.1:9/")[0] == 0
    assert http_call("GET", f"{url}/broken")[0] == 0
    assert http_call("GET", f"{url}/half")[0] == 0
