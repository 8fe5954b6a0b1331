"""The public address has to return the right version several times in a row, without a wrong answer in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fargate_ops.release.http_probe import (
    Answer,
    Expected,
    Readiness,
    Result,
    fetch,
    probe_version,
    readiness,
)

EXPECTED = Expected(git_hash="abc", image_digest="sha256:1", revision=7)
RIGHT = {"git_hash": "abc", "image_digest": "sha256:1", "task_definition_revision": 7}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"git_hash": "old"}, "git_hash is old"),
        ({"git_hash": None}, "git_hash is None"),
        ({"image_digest": "sha256:2"}, "image_digest is sha256:2"),
        ({"image_digest": None, "task_definition_revision": None}, ""),
        ({"task_definition_revision": 6}, "task_definition_revision is 6"),
    ],
)
def test_what_an_answer_may_say(change: dict[str, Any], said: str) -> None:
    assert EXPECTED.mismatch(RIGHT | change) == said


def answers(*bodies: Any) -> Any:
    """Return a fetch that returns one body after the other, and repeats the last. An exception is raised.

    A number is a status of the application, which returns the request's identifier.
    """
    left = list(bodies)

    def get(_: str) -> Answer:
        body = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(body, Exception):
            raise body
        if isinstance(body, Answer):
            return body
        if isinstance(body, int):
            return Answer(body, traced=True)
        return Answer(200, body if isinstance(body, bytes) else json.dumps(body).encode())

    return get


def ask(*bodies: Any, in_a_row: int = 3) -> Result:
    seconds = iter(range(10_000))
    return probe_version(
        "http://x",
        EXPECTED,
        in_a_row=in_a_row,
        limit_seconds=20,
        get=answers(*bodies),
        clock=lambda: float(next(seconds)),
        sleep=lambda _: None,
    )


def test_right_at_once() -> None:
    result = ask(RIGHT)
    assert (result.in_a_row, result.attempts, result.others) == (3, 3, {})
    assert result.summary() == "3 right in a row of 3 answers"


def test_one_other_answer_starts_the_count_anew() -> None:
    result = ask(RIGHT, RIGHT, RIGHT | {"git_hash": "old"}, RIGHT)
    assert (result.in_a_row, result.attempts) == (3, 6)
    assert result.summary() == "3 right in a row of 6 answers (before: 1 x git_hash is old)"


FOREIGN = "of neither the load balancer nor the application"


@pytest.mark.parametrize(
    ("body", "said", "is_fault"),
    [
        (503, "HTTP 503", True),
        (404, "HTTP 404", True),
        (Answer(200, b"<html>", traced=True), "an answer that is no version", True),
        (Answer(200, b"[]", traced=True), "an answer that is no version", True),
        (Answer(200, b"{}", traced=True), "git_hash is None", True),
        (RIGHT | {"git_hash": "old"}, "git_hash is old", True),
        # The load balancer: a broken answer of a task, and answers that say nothing about a task.
        (Answer(502, server="awselb/2.0"), "HTTP 502 of the load balancer", True),
        (Answer(504, server="awselb/2.0"), "HTTP 504 of the load balancer", True),
        (Answer(503, server="awselb/2.0"), "HTTP 503 of the load balancer", False),
        (Answer(403, server="awselb/2.0"), "HTTP 403 of the load balancer", False),
        # A proxy, an allow-list, a sign-in page, another host, nobody.
        (Answer(407, server="squid"), f"HTTP 407 {FOREIGN}", False),
        (Answer(502, server="squid"), f"HTTP 502 {FOREIGN}", False),
        (Answer(200, b"<html>Sign in"), f"an answer that is no version {FOREIGN}", False),
        (Answer(200, b'{"version": "of something else"}'), f"an answer that is no version {FOREIGN}", False),
        (ConnectionRefusedError("refused"), "no answer (refused)", False),
    ],
)
def test_who_answered_is_told_and_the_asking_is_bounded(body: Any, said: str, is_fault: bool) -> None:
    result = ask(body)
    assert result.in_a_row == 0
    assert list(result.others) == [said]
    assert result.attempts < 30
    assert bool(result.faults) is is_fault


def test_a_fault_counts_until_a_right_answer() -> None:
    nobody = OSError("gone")
    assert ask(503, nobody, nobody).faults == 1
    assert ask(503, RIGHT, nobody, nobody).faults == 0


def test_another_version_again_and_again_is_not_waited_on() -> None:
    old = RIGHT | {"git_hash": "old"}
    result = ask(503, old, old, RIGHT, old, old, old, RIGHT)
    assert (result.in_a_row, result.attempts) == (0, 7)


def test_readiness() -> None:
    gone = OSError("gone")
    assert readiness("http://x", answers({})) == Readiness()
    assert readiness("http://x", answers(503)) == Readiness("HTTP 503: ")
    assert readiness("http://x", answers(gone, gone, {})) == Readiness()
    assert readiness("http://x", answers(gone)) == Readiness("no answer (gone)", unreachable=True)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/broken"):
            self.send_response(503 if self.path == "/broken-refusal" else 200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"half")
            return
        self.send_response(200 if self.path == "/version" else 503)
        self.send_header(
            "X-Request-Id", self.headers["X-Amzn-Trace-Id"].removeprefix("Root=") * (self.path != "/other")
        )
        self.end_headers()
        self.wfile.write(self.headers["Connection"].encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_each_request_has_its_own_connection_and_no_proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    name = f"{Handler.server_version} {Handler.sys_version}"
    assert fetch(f"{server}/version") == Answer(200, b"close", name, traced=True)
    assert fetch(f"{server}/readyz") == Answer(503, b"close", name, traced=True)
    assert fetch(f"{server}/other") == Answer(503, b"close", name, traced=False)
    assert fetch(server.replace("127.0.0.1", "localhost") + "/version").status == 200


@pytest.mark.parametrize("path", ["broken", "broken-refusal"])
def test_a_broken_answer_is_no_answer(server: str, path: str) -> None:
    with pytest.raises(OSError, match="a broken answer"):
        fetch(f"{server}/{path}")


def test_elsewhere_the_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(OSError, match="refused"):
        fetch("http://service.invalid/version")
