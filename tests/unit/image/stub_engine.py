"""A Docker engine that records its requests: HTTP on the test's own socket."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True)
class Request:
    path: str
    headers: Message


class StubEngine:
    """`answers` maps a part of a request's path to the body of its answer."""

    def __init__(self, folder: Path, answers: Mapping[str, bytes] | None = None) -> None:
        self.requests: list[Request] = []
        self.address = f"unix://{folder}/engine.sock"
        known = {"/version": b'{"ApiVersion": "1.44", "Version": "28.0", "Arch": "amd64"}', **(answers or {})}
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                while self.headers.get("Transfer-Encoding") == "chunked":
                    size = int(self.rfile.readline(), 16)
                    self.rfile.read(size + 2)
                    if not size:
                        break
                requests.append(Request(self.path, self.headers))
                body = next((body for part, body in known.items() if part in self.path), b"{}")
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def address_string(self) -> str:  # a peer on a socket has none
                return "client"

            def log_message(self, *_: object) -> None:
                pass

        self._server = socketserver.ThreadingUnixStreamServer(f"{folder}/engine.sock", Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> StubEngine:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
