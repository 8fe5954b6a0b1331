"""SIGTERM without a drain: what was accepted is answered, and a client that has stalled does not delay the end."""

import asyncio
import json
import signal
from collections import Counter

import pytest
from sqlalchemy import text

from tests.fargate_app.test_server import GRACEFUL_SECONDS, Service, service
from tests.support.databases import TestDatabase

CLIENTS = 32
ANSWERS_BEFORE_SIGTERM = 200
WAIT_SECONDS = 120
BODY = json.dumps({"name": "a"}).encode()


def head(connection: str) -> bytes:
    """Return the head of a request whose body is BODY."""
    lines = ("POST /items HTTP/1.1", "Host: shop", "Content-Type: application/json", f"Connection: {connection}")
    return "\r\n".join((*lines, f"Content-Length: {len(BODY)}", "", "")).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Read a response. Return its status and its head, in lower case."""
    received = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(received.partition("content-length: ")[2].split("\r\n")[0]))
    return int(received.split()[1]), received


async def send_until_refused(port: int, connection: str, results: Counter[str]) -> None:
    """Send one request after the other until no connection is accepted; a lost request is one without a response."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            results["lost"] += 1
            continue
        try:
            received = ""
            while "connection: close" not in received and not reader.at_eof():
                writer.write(head(connection) + BODY)
                status, received = await answer(reader)
                results[str(status)] += 1
                await asyncio.sleep(0)  # the service closes a connection on which no request comes for a second
        except (ConnectionError, asyncio.IncompleteReadError):
            results["lost"] += 1
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("connection", "most_lost"),
    [
        ("keep-alive", 0),
        # The kernel may connect a client between the last accept and the close.
        ("close", 1),
    ],
)
def test_no_request_under_load_is_lost(database: TestDatabase, connection: str, most_lost: int) -> None:
    async def trial(running: Service) -> Counter[str]:
        results: Counter[str] = Counter()
        clients = [asyncio.create_task(send_until_refused(running.port, connection, results)) for _ in range(CLIENTS)]
        async with asyncio.timeout(WAIT_SECONDS):
            while results["201"] < ANSWERS_BEFORE_SIGTERM:
                await asyncio.sleep(0.01)
            running.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*clients)
        return results

    with service(database) as running:
        results = asyncio.run(trial(running))
        running.wait()
    assert set(results) <= {"201", "lost"}
    assert results["lost"] <= most_lost
    with database.superuser() as counting:
        assert counting.scalar(text("SELECT count(*) FROM items")) == results["201"]


def test_a_body_that_stalls_does_not_delay_the_end_and_one_that_comes_is_answered(database: TestDatabase) -> None:
    async def trial(running: Service) -> None:
        (stalled, stalled_writer), (slow, slow_writer) = [
            await asyncio.open_connection("127.0.0.1", running.port) for _ in range(2)
        ]
        for writer in (stalled_writer, slow_writer):
            writer.write(head("keep-alive") + BODY[:3])
        running.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(running.wait_until_refusing)
        slow_writer.write(BODY[3:])
        status, received = await answer(slow)
        assert status == 201
        assert "connection: close" in received
        async with asyncio.timeout(GRACEFUL_SECONDS / 2):
            assert await stalled.read() == b""
        for writer in (stalled_writer, slow_writer):
            writer.close()

    with service(database, WEB_CONCURRENCY="1") as running:
        asyncio.run(trial(running))
        running.wait()
