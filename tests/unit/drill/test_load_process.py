"""The load's process, against a small HTTP server."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.core.problem import OperationsError
from fargate_ops.drill import load_process
from fargate_ops.drill.load import Report

APPLICATION = Application(name="settlement", port=8000, health_path="/healthz", version_path="/version")
#: The reference application's.
LOAD_FILE = str(Path(__file__).parents[3] / "app/api/load.json")


class Server(http.server.BaseHTTPRequestHandler):
    """Accepts accounts and transactions, and answers every read."""

    protocol_version = "HTTP/1.1"

    def _answer(self, status: int) -> None:
        body = json.dumps({"id": "a1"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201)

    def log_message(self, format: str, *args: object) -> None:
        """Tests need no access log."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the application's address. At the end, wait for each process that was started."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    assert [process.wait(240) for process in started] == [0] * len(started)
    server.shutdown()
    server.server_close()


def test_a_load_runs_until_it_is_stopped_and_loses_nothing(url: str, tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "drill/load.json"
    assert load_process.start(url, path, APPLICATION, LOAD_FILE, 20, 5, 60, said.append).answers
    report = load_process.stop(path, said.append)
    assert report.done
    assert report.total > 0
    assert report.lost == 0
    assert said[0] == f"load on {url}: 20 requests/s, and 6 slow clients"
    assert said[1].startswith(f"load ended: {report.total} requests in ")


def test_a_load_without_a_file_says_what_it_leaves_out(url: str, tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "load.json"
    load_process.start(url, path, APPLICATION, "", 20, 5, 60, said.append)
    assert load_process.stop(path, said.append).lost == 0
    assert said[0].endswith("and 0 slow clients; none uses the database: there is no load file (app_load_file)")


def test_stopping_what_was_never_started_is_an_empty_report(tmp_path: Path) -> None:
    assert load_process.stop(tmp_path / "load.json", lambda _: None) == Report()


def test_an_application_that_does_not_answer_ends_the_drill(tmp_path: Path) -> None:
    with pytest.raises(
        OperationsError, match=r"^the drill cannot begin: http://127\.0\.0\.1:9/v1/accounts answered not"
    ):
        load_process.start(
            "http://127.0.0.1:9", tmp_path / "load.json", APPLICATION, LOAD_FILE, 20, 5, 60, lambda _: None
        )


def test_a_load_that_does_not_begin_leaves_no_report_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "load.json"
    path.write_text(Report(done=False).to_json())
    with pytest.raises(OperationsError, match="the drill cannot begin"):
        load_process.start("http://127.0.0.1:9", path, APPLICATION, LOAD_FILE, 20, 5, 60, lambda _: None)
    assert load_process.stop(path, lambda _: None) == Report()


def test_a_process_that_writes_no_report_is_named_with_its_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_process, "LAST_SECONDS", 0)
    path = tmp_path / "load.json"
    path.write_text(Report().to_json())
    with pytest.raises(OperationsError, match=rf"did not end within 0 s\. Next: cat {path}\.errors {path}$"):
        load_process.stop(path, lambda _: None)
