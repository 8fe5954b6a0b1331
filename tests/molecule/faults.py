"""A proxy before an AWS API that fails a share of all requests, as AWS does under throttling or during an incident.

A failure is one of: the throttling error of the request's protocol, HTTP 500, HTTP 503, a connection that breaks before
the request arrives, a connection that breaks after the work is done, so that only the answer is lost. The sequence of
failures is the same in each run. With a share below 1, the fifth attempt of a call succeeds (otherwise one call in
three thousand would fail the run and the test), except for the first read of the service after the update: that call
fails at every attempt.

Usage: ``faults.py <port> <port of the API> <share of failures, 0 to 1>``

``GET /faults`` returns the counters: ``{"calls": 1, "requests": 1, "most_attempts": 1, "doomed": 0, "faults": {…}}``.
The header ``amz-sdk-invocation-id`` identifies a call; the SDK repeats it at each attempt:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT, API_PORT, SHARE = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
FAULTS = ("throttled", "error 500", "error 503", "request lost", "answer lost")
LAST_ATTEMPT = 5
THROTTLED_JSON = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'
THROTTLED_XML = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    b"<RequestId>0</RequestId></ErrorResponse>"
)
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Decisions:
    """Decides which request fails, and counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(20)
        self._attempts: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._doomed = ""  # the first read of the service after the update; empty until then
        self._updated = False

    def fault(self, call: str, operation: str) -> str:
        """Return the failure of this request, or an empty string."""
        with self._lock:
            self._attempts[call] += 1
            self._updated = self._updated or operation.endswith(".UpdateService")
            if self._updated and not self._doomed and operation.endswith(".DescribeServices"):
                self._doomed = call
            fails = self._random.random() < SHARE
            fault = self._random.choice(FAULTS)
            if self._attempts[call] >= LAST_ATTEMPT and SHARE < 1:
                fails = False
            if call == self._doomed:
                fails, fault = True, "throttled"
            if fails:
                self._faults[fault] += 1
            return fault if fails else ""

    def summary(self) -> dict[str, Any]:
        with self._lock:
            return {
                "calls": len(self._attempts),
                "requests": self._attempts.total(),
                "most_attempts": max(self._attempts.values(), default=0),
                "doomed": self._attempts[self._doomed],
                "faults": dict(self._faults),
            }


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    decisions = Decisions()

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/faults":
            self._answer(200, "application/json", json.dumps(self.decisions.summary()).encode())
            return
        call = self.headers.get("amz-sdk-invocation-id", "")
        fault = self.decisions.fault(call, self.headers.get("X-Amz-Target", "")) if call else ""
        match fault:
            case "throttled":
                self._throttle()
            case "error 500" | "error 503":
                self._answer(int(fault[-3:]), "text/plain", b"")
            case "request lost":
                self._break()
            case _:
                answer, content = self._ask(body)
                if fault:
                    self._break()
                else:
                    self._pass_on(answer, content)

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", API_PORT, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def _pass_on(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self._end(content)

    def _throttle(self) -> None:
        if "X-Amz-Target" in self.headers:
            self._answer(400, "application/x-amz-json-1.1", THROTTLED_JSON, {"x-amzn-errortype": "ThrottlingException"})
        elif "x-www-form-urlencoded" in self.headers.get("Content-Type", ""):
            self._answer(400, "text/xml", THROTTLED_XML)
        else:
            self._answer(503, "application/xml", SLOW_DOWN)

    def _answer(self, status: int, kind: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self._end(content)

    def _end(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_request


ThreadingHTTPServer(("127.0.0.1", PORT), Proxy).serve_forever()
