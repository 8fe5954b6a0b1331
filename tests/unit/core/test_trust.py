"""Requests to the public address trust the authority that the inventory names."""

from __future__ import annotations

import http.server
import os
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fargate_ops.core import trust
from fargate_ops.drill.client import http_call
from fargate_ops.drill.load import Clients, Request, background
from fargate_ops.release.http_probe import fetch
from tests.support.postgres import write_certificate


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server for HTTPS. The authority of its certificate is in `ca.pem`, and this machine does not know it."""
    write_certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # a refused handshake
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    trust.choose(os.environ, None)
    yield
    trust.choose(os.environ, None)


def lost(url: str) -> int:
    request = Request(name="any", path="/")
    with background(url, [Clients(request=request, count=1)]) as report:
        while not report.total:
            time.sleep(0.01)
    return report.lost


def test_an_authority_is_trusted_only_where_the_inventory_names_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(url)
    assert http_call("GET", url)[0] == 0
    assert lost(url) > 0

    trust.choose(os.environ, str(tmp_path / "ca.pem"))
    assert fetch(url).status == 200
    assert http_call("GET", url)[0] == 200
    assert lost(url) == 0

    trust.choose(os.environ, None)
    assert http_call("GET", url)[0] == 0


def test_a_missing_file_is_no_answer(url: str, tmp_path: Path) -> None:
    trust.choose(os.environ, str(tmp_path / "missing.pem"))
    with pytest.raises(OSError, match=r"public_url_authority, .*missing\.pem: .*No such file"):
        fetch(url)
    assert "No such file" in http_call("GET", url)[1]
