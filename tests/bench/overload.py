"""The application with more requests than it can serve: on a locked table, and four times as many as it can serve.

The load is open: a request is sent when it is due, whatever has been answered. Its time is counted from then on.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text

from fargate_app.settings import DatabaseSettings
from tests.bench.application import database, served
from tests.bench.load import BenchError, MachineTooBusy
from tests.bench.measure import Row
from tests.support.postgres import running_server

REQUESTS = 300
OVERLOAD = 4
HEALTH_SECONDS = 0.1
STATEMENT_SECONDS = 0.06
#: Makes the capacity that of the pool, not that of the processor.
SLOW_INSERTS = f"""
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep({STATEMENT_SECONDS}); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION slow()
"""
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
TIMEOUT_SECONDS: float = DatabaseSettings.model_fields["database_pool_timeout_seconds"].default
CONNECTIONS: int = DatabaseSettings.model_fields["database_pool_size"].default

#: The posts that the pool allows in a second.
POOL_CAPACITY = CONNECTIONS / STATEMENT_SECONDS

LOCKED = f"{REQUESTS} posts on a locked table"
OVERLOADED = f"{OVERLOAD} times the posts that it can serve"


@dataclass(frozen=True)
class Answer:
    """A response's status, and the seconds until it was complete."""

    status: int
    seconds: float


def run(rounds: int, _: object = None, *, seconds: float = 10) -> list[Row]:
    """Measure how long requests take that cannot be served, and health checks meanwhile."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(log_statement="none"))
        environment, identifiers = database(server)
        name = environment["DATABASE_NAME"]
        url = URL.create("postgresql+psycopg2", server.user, server.password, server.host, server.port, name)
        tls = {"sslmode": server.sslmode, "sslrootcert": server.ca_file}
        superuser = create_engine(url, connect_args=tls)
        path, core = f"/v1/accounts/{identifiers[0]}", min(os.sched_getaffinity(0))
        running = stack.enter_context(
            served("settlement.app:from_environment()", environment, path, folder, core=core, headers={})
        )
        with superuser.begin() as connection:
            connection.execute(text(SLOW_INSERTS))
        asyncio.run(_capacity(running.address, 1))  # opens the connections
        capacities, slowest, health, p99, served_rates = [], [], [], [], []
        for number in range(1, rounds + 1):
            capacities.append(asyncio.run(_capacity(running.address, seconds / 5)))
            if capacities[-1] < POOL_CAPACITY / 2:
                raise MachineTooBusy(
                    f"the machine allows {capacities[-1]:.0f} posts/s, the pool {POOL_CAPACITY:.0f}. Next: repeat it "
                    "when nothing else runs here"
                )
            with superuser.connect() as blocker:
                posts, checks = asyncio.run(_locked(running.address, blocker))
            slowest.append(max(answer.seconds for answer in posts))
            health.append(statistics.median(answer.seconds for answer in checks))
            answers = asyncio.run(_overloaded(running.address, OVERLOAD * capacities[-1], seconds))
            p99.append(statistics.quantiles((answer.seconds for answer in answers), n=100)[-1])
            served_rates.append(sum(answer.status == HTTPStatus.CREATED for answer in answers) / seconds)
            print(
                f"  round {number} of {rounds}: slowest {slowest[-1]:.2f} s, /healthz {health[-1] * 1000:.0f} ms; "
                f"overloaded: p99 {p99[-1]:.2f} s",
                flush=True,
            )
        superuser.dispose()
    timeout = f"the pool's timeout ({TIMEOUT_SECONDS:g} s)"
    return [
        Row(
            benchmark=LOCKED,
            variant=f"slowest 503, compared with {timeout}",
            unit="s",
            runs=slowest,
            ratio=statistics.median(slowest) / TIMEOUT_SECONDS,
            at_most=1.1,
        ),
        Row(
            benchmark=LOCKED,
            variant=f"/healthz meanwhile (median), compared with {HEALTH_SECONDS * 1000:g} ms",
            unit="s",
            runs=health,
            ratio=statistics.median(health) / HEALTH_SECONDS,
            at_most=1,
        ),
        Row(benchmark=OVERLOADED, variant="posts that it can serve (floor)", unit="requests/s", runs=capacities),
        Row(
            benchmark=OVERLOADED,
            variant="posts that it serves then",
            unit="requests/s",
            runs=served_rates,
            ratio=statistics.median(served_rates) / statistics.median(capacities),
        ),
        Row(
            benchmark=OVERLOADED,
            variant=f"p99 of all responses, compared with {timeout}",
            unit="s",
            runs=p99,
            ratio=statistics.median(p99) / TIMEOUT_SECONDS,
            at_most=1,
        ),
    ]


async def _locked(address: str, blocker: Connection) -> tuple[list[Answer], list[Answer]]:
    """Return the posts that got no connection, and the health checks that were sent until they were answered."""
    await _send(address, "GET", "/healthz")  # as the load balancer before: the first one needs a connection
    blocker.execute(text("LOCK TABLE accounts IN EXCLUSIVE MODE"))
    posts = [asyncio.create_task(_post(address)) for _ in range(REQUESTS)]
    while await asyncio.to_thread(blocker.scalar, text(BLOCKED)) < CONNECTIONS:
        blocker.execute(text("SELECT pg_stat_clear_snapshot()"))
    checks, waiting = [], set(posts)
    while len(waiting) > CONNECTIONS:
        checks.append(await _send(address, "GET", "/healthz"))
        _, waiting = await asyncio.wait(waiting, timeout=HEALTH_SECONDS)
    blocker.rollback()
    answers = [await post for post in posts]
    refused = [answer for answer in answers if answer.status == HTTPStatus.SERVICE_UNAVAILABLE]
    if len(refused) != REQUESTS - CONNECTIONS:
        raise BenchError(f"{len(refused)} of {REQUESTS} posts got a 503, not {REQUESTS - CONNECTIONS}")
    if {check.status for check in checks} != {HTTPStatus.OK}:
        raise BenchError(f"the health checks were answered with {[check.status for check in checks]}")
    return refused, checks


async def _capacity(address: str, seconds: float) -> float:
    """Return the posts that are served in a second, with as many clients as connections."""
    end = time.monotonic() + seconds

    async def client() -> int:
        posts = 0
        while time.monotonic() < end:
            posts += (await _post(address)).status == HTTPStatus.CREATED
        return posts

    return sum(await asyncio.gather(*(client() for _ in range(CONNECTIONS)))) / seconds


async def _overloaded(address: str, per_second: float, seconds: float) -> list[Answer]:
    started = time.monotonic()
    due = [started + number / per_second for number in range(int(per_second * seconds))]
    return await asyncio.gather(*(_at(moment, lambda moment=moment: _post(address, moment)) for moment in due))


async def _at(moment: float, request: Callable[[], Awaitable[Answer]]) -> Answer:
    await asyncio.sleep(moment - time.monotonic())
    return await request()


async def _post(address: str, due: float | None = None) -> Answer:
    return await _send(address, "POST", "/v1/accounts", {"name": "Load", "currency": "KRW"}, due)


async def _send(address: str, method: str, path: str, body: object = None, due: float | None = None) -> Answer:
    """Send a request on a connection of its own."""
    started = due or time.monotonic()
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*address.split(":"))
    try:
        writer.write(head.encode() + content)
        response = await reader.read()
    finally:
        writer.close()
    return Answer(int(response.split(maxsplit=2)[1]), time.monotonic() - started)
