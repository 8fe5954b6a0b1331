"""The load, with a real server, connections and process: every request is counted once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fargate_ops.drill.load import EXAMPLES, Assignment, Clients, Report, Request, Tally, background, stop_file
from fargate_ops.state.lock import Machine, holder_of

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Server:
    """A small HTTP server. ``/silent`` closes without a response, ``/bare`` has no Content-Length."""

    url: str = ""
    connections: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    bodies: list[tuple[str, float]] = field(default_factory=list)
    status: int = 200

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                began = time.monotonic()
                text = head.decode().lower()
                path = text.split()[1]
                length = int(text.partition("content-length: ")[2].split("\r\n")[0] or 0)
                if length:
                    self.bodies.append(((await reader.readexactly(length)).decode(), time.monotonic() - began))
                self.requests[path] += 1
                if path == "/silent":
                    break
                size = "" if path == "/bare" else "Content-Length: 2\r\n"
                writer.write(f"HTTP/1.1 {self.status} X\r\n{size}\r\nok".encode())
                await writer.drain()
                if path == "/bare" or "connection: close" in text:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    loop = asyncio.new_event_loop()
    listener = loop.run_until_complete(asyncio.start_server(made.serve, "127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    loop.call_soon_threadsafe(listener.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def one(path: str = "/", **options: float | bool) -> list[Clients]:
    return [Clients(request=Request(name="one", path=path), count=1, **options)]  # type: ignore[arg-type]


def test_each_answer_is_counted_once(server: Server) -> None:
    with background(server.url, one(per_second=200)) as report:
        until(lambda: report.total > 20)
    assert report.done
    assert report.lost == 0
    assert report.answers == {"200 ok": server.requests["/"]}
    assert server.connections == 1, "kept alive"


def test_a_fresh_connection_for_each_when_asked_for(server: Server) -> None:
    with background(server.url, one(per_second=200, keep_alive=False)) as report:
        until(lambda: report.total > 5)
    assert server.connections == report.total == server.requests["/"]


def test_the_rate_is_that_of_all_clients_together(server: Server) -> None:
    clients = [Clients(request=Request(name="many", path="/"), count=10, per_second=50)]
    with background(server.url, clients) as report:
        until(lambda: report.total > 50)
    # Each client's first request comes at once. Each of the ten alone would send 50 a second.
    assert report.total <= 50 * report.seconds + 10


def test_a_slow_client_sends_its_body_slowly(server: Server) -> None:
    request = Request(name="slow", path="/", method="POST", body="x" * 30)
    with background(server.url, [Clients(request=request, count=1, body_seconds=1.5)]) as report:
        until(lambda: report.total >= 1)
    body, seconds = server.bodies[0]
    assert body == "x" * 30
    assert seconds > 0.3


@pytest.mark.parametrize(("path", "why"), [("/silent", "IncompleteReadError"), ("/nothing", "503 ok")])
def test_another_answer_or_none_is_lost(server: Server, path: str, why: str) -> None:
    server.status = 503
    with background(server.url, one(path)) as report:
        until(lambda: report.lost > EXAMPLES + 5)
    tally = report.tallies["one"]
    assert report.total == report.lost == server.requests[path]
    assert len(report.examples) == EXAMPLES
    assert why in report.examples[0]
    assert tally.first_lost is not None
    assert tally.last_lost is not None
    assert 0 <= tally.first_lost < tally.last_lost
    assert tally.last_lost_sent is not None
    assert tally.last_lost_sent <= tally.last_lost
    assert tally.last_answer is None


def test_an_answer_without_a_length_ends_with_its_connection(server: Server) -> None:
    with background(server.url, one("/bare", per_second=100)) as report:
        until(lambda: report.total > 3)
    assert report.lost == 0
    assert server.connections == report.total


def test_a_server_that_is_gone_loses_every_request() -> None:
    with background("http://127.0.0.1:9", one(per_second=100)) as report:
        until(lambda: report.lost > 3)
    assert report.answers == {}
    assert "refused" in report.examples[0].lower()


def test_a_report_survives_its_file() -> None:
    report = Report(
        tallies={"a": Tally(answers=Counter({"200 ok": 3}), lost=1, examples=["x"], last_lost=1.5)}, seconds=2
    )
    assert Report.from_json(report.to_json()) == report


@pytest.fixture
def assignment(server: Server, tmp_path: Path) -> Assignment:
    return Assignment(
        url=server.url,
        clients=one(per_second=100),
        report=str(tmp_path / "load.json"),
        limit_seconds=60,
        pid=os.getpid(),
        holder=holder_of(Machine.this(), os.getpid()),
    )


def start(assignment: Assignment) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fargate_ops.drill.load", assignment.to_argument()], cwd=REPOSITORY / "src"
    )


def read(assignment: Assignment) -> Report:
    path = Path(assignment.report)
    return Report.from_json(path.read_text()) if path.exists() else Report()


def test_the_process_reports_while_it_works_and_ends_when_told(server: Server, assignment: Assignment) -> None:
    process = start(assignment)
    until(lambda: read(assignment).total > 10)
    assert not read(assignment).done
    stop_file(assignment.report).touch()
    assert process.wait(240) == 0
    report = read(assignment)
    assert report.done
    assert report.lost == 0
    assert report.total == server.requests["/"]


def test_the_process_ends_after_its_time(assignment: Assignment) -> None:
    assert start(Assignment(**{**vars(assignment), "limit_seconds": 0.5})).wait(240) == 0
    assert read(assignment).done


def test_the_process_ends_with_the_playbook(assignment: Assignment) -> None:
    gone = Assignment(**{**vars(assignment), "holder": "a process that was before"})
    assert start(gone).wait(240) == 0
    assert read(assignment).done
