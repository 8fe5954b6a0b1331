"""Requests through the load balancer during a test's actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fargate_ops.drill.load import Clients, Report, Request, background
from tests.e2e.conftest import LOAD_BALANCER_PORT

VERSION = Request(name="version", path="/version")
ACCOUNT = Request(
    name="account, sent over 2 s by a slow client",
    path="/v1/accounts",
    method="POST",
    headers={"Content-Type": "application/json"},
    body='{"name": "Slow till", "currency": "KRW"}',
    status=201,
)


@contextmanager
def load(
    per_second: float = 50,
    slow: int = 0,
    may_lose: bool = False,
    requests: Sequence[Request] = (VERSION,),
    url: str = f"http://127.0.0.1:{LOAD_BALANCER_PORT}",
) -> Iterator[Report]:
    """Send requests on kept and on new connections, and from slow clients. None may be lost, unless `may_lose`."""
    clients = [
        Clients(request=request, count=20, per_second=per_second / 2 / len(requests), keep_alive=keep_alive)
        for request in requests
        for keep_alive in (True, False)
    ]
    clients += [Clients(request=ACCOUNT, count=slow, keep_alive=False, body_seconds=2)] if slow else []
    with background(url, clients) as report:
        yield report
    print(f"{report.total} requests in {report.seconds:.0f} s, {report.lost} lost")
    assert report.total > 0
    assert may_lose or report.lost == 0, report.examples
