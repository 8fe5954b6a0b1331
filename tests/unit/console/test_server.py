"""Who gets an answer of the page's server, and with which headers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from fargate_ops.console import server
from fargate_ops.console.budget import Budget
from fargate_ops.console.document import SECTIONS, Page
from fargate_ops.console.poller import Poller
from fargate_ops.console.readings import Reading
from fargate_ops.console.server import create_app
from fargate_ops.state.lock import Machine
from fargate_ops.terraform.stack import Stack
from tests.unit.console.conftest import Cloud, Run

PORT = 8321
HERE = f"http://127.0.0.1:{PORT}"


def never(_: bool) -> None:
    raise AssertionError("a request without a viewer reads AWS")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A browser, and a console that has read nothing yet."""
    static = tmp_path_factory.mktemp("static")
    (static / "index.html").write_text("<title>Console</title>")
    (static / "console.js").write_text("1")
    page = Page(environment="test", stack=Stack({}, "test"), machine=Machine("here"))
    names = {name for parts in SECTIONS.values() for name in parts}
    poller = Poller([Reading(name=name, read=never) for name in sorted(names)], Budget(), page)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "STATIC", static)
        yield TestClient(create_app(poller, PORT), base_url=HERE)


@pytest.mark.parametrize("path", ["/", "/api/state", "/static/console.js"])
@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_page_by_its_names(client: TestClient, path: str, host: str) -> None:
    answer = client.get(path, headers={"Host": host, "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["", "127.0.0.1", "evil.example", f"evil.example:{PORT}", "127.0.0.1:80", f"0.0.0.0:{PORT}"]
)
@pytest.mark.parametrize("path", ["/", "/api/state", "/api/events", "/static/console.js", "/nothing"])
def test_another_host_is_refused(client: TestClient, path: str, host: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/api/state", "/api/events"])
def test_only_get(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_link_but_not_read(client: TestClient, site: str) -> None:
    assert client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200
    assert client.get("/api/state", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert client.get("/api/events", headers={"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/static/../server.py", "/static/%2e%2e/server.py"])
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_stream_reads_aws_until_its_reader_leaves(cloud: Cloud, run: Run) -> None:
    """The application itself, with a browser that leaves after 35 seconds."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": "/api/events",
        "raw_path": b"/api/events",
        "root_path": "",
        "scheme": "http",
        "query_string": b"service=another",
        "headers": [(b"host", f"127.0.0.1:{PORT}".encode())],
    }

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(35)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def browser() -> None:
        await create_app(cloud.poller, PORT)(scope, receive, send)
        cloud.sent.clear()
        await asyncio.sleep(600)

    run(browser())
    assert cloud.sent == []
    start, *bodies = sent
    assert (start["status"], dict(start["headers"])[b"content-type"]) == (200, b"text/event-stream; charset=utf-8")
    retry, *events = b"".join(body.get("body", b"") for body in bodies).decode().strip().split("\n\n")
    assert retry == "retry: 2000"
    lines = [event.split("\n") for event in events if not event.startswith(":")]
    assert [name for name, _ in lines] == ["event: state", *["event: delta"] * (len(lines) - 1)]
    assert len(lines) > 4
    assert all(json.loads(data.removeprefix("data: "))["sections"] for _, data in lines)
