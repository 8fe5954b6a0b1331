"""The permits for connections: order, timeout, backlog, and that none is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import QueuePool, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.requests import ClientDisconnect
from starlette.types import Message

from fargate_app.async_database import AsyncDatabase
from fargate_app.client import Client
from fargate_app.database import Database
from fargate_app.limiter import Limiter
from fargate_app.logs import request_scope
from fargate_app.pool import PoolWatch
from tests.fargate_app.conftest import Log
from tests.fargate_app.test_overload import wait_for_blocked
from tests.support.databases import TestDatabase


def limiter(permits: int = 1, *, timeout_seconds: float = 10, backlog: int = 50) -> tuple[Limiter, PoolWatch]:
    """Return a limiter, and the watch that counts for it."""
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_timeout=timeout_seconds)
    watch = PoolWatch(engine, warn_seconds=10, service="shop", environment="test")
    return Limiter(watch, permits, backlog_per_connection=backlog), watch


async def started(*coroutines: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    """Start the coroutines, each until it waits."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    return tasks


def free_permits(limiter: Limiter) -> int:
    """Take all free permits, give them back, and return how many they were."""
    taken = 0
    while limiter.take():
        taken += 1
    for _ in range(taken):
        limiter.release()
    return taken


def run(trial: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(trial(), 120))


def test_permits_are_given_in_the_order_of_the_requests_and_to_a_health_check_first() -> None:
    async def trial() -> None:
        permits, _ = limiter(2)
        order: list[str] = []

        async def request(name: str, *, first: bool = False) -> None:
            await permits.wait(first=first)
            order.append(name)

        assert permits.take()
        assert permits.take()
        assert not permits.take()
        tasks = await started(request("a"), request("b"), request("check", first=True))
        for count in (1, 2, 3):
            permits.release()
            assert not permits.take()  # it is the waiting request's already
            await asyncio.sleep(0)
            assert len(order) == count
        assert order == ["check", "a", "b"]
        await asyncio.gather(*tasks)
        permits.release()
        permits.release()
        assert free_permits(permits) == 2

    run(trial)


def test_a_wait_ends_with_the_timeout_and_is_counted(log: Log) -> None:
    async def trial() -> None:
        permits, watch = limiter(timeout_seconds=0.05)
        assert permits.take()
        for _ in range(2):
            with pytest.raises(PoolTimeoutError, match=r"0\.05 s"):
                await permits.wait()
        (waiting,) = await started(permits.wait())
        permits.release()
        await waiting
        permits.release()
        assert free_permits(permits) == 1
        watch.report()

    run(trial)
    (entry,) = log.entries("database pool")
    assert (entry["PoolWaits"], entry["PoolTimeouts"], entry["PoolRefused"]) == (3, 2, 0)
    assert 50 <= entry["PoolLongestWait"] < 50_000


def test_more_requests_than_the_backlog_are_refused_at_once_and_a_health_check_is_not(log: Log) -> None:
    async def trial() -> None:
        permits, watch = limiter(2, backlog=1)
        while permits.take():
            pass
        tasks = await started(permits.wait(), permits.wait())
        with pytest.raises(PoolTimeoutError, match="2 requests wait"):
            await permits.wait()
        tasks += await started(permits.wait(first=True))
        for _ in tasks:
            permits.release()
        await asyncio.gather(*tasks)
        watch.report()

    run(trial)
    (entry,) = log.entries("database pool")
    assert (entry["PoolWaits"], entry["PoolTimeouts"], entry["PoolRefused"]) == (3, 0, 1)


@pytest.mark.parametrize("granted", [False, True], ids=["while it waits", "in the moment that it got the permit"])
def test_a_cancelled_request_leaves_its_permit_to_the_next(granted: bool) -> None:
    async def trial() -> None:
        permits, _ = limiter()
        assert permits.take()
        cancelled, following = await started(permits.wait(), permits.wait())
        if granted:
            permits.release()
        cancelled.cancel()
        if not granted:
            permits.release()
        await following
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        permits.release()
        assert free_permits(permits) == 1

    run(trial)


@asynccontextmanager
async def a_request_of(messages: asyncio.Queue[Message], limit_bytes: int = 1000) -> AsyncIterator[Client]:
    """Be in a request whose client sends these messages."""
    scope: dict[str, Any] = {"type": "http"}
    token = request_scope.set(scope)
    try:
        yield Client(scope, messages.get, limit_bytes)
    finally:
        request_scope.reset(token)


def test_a_client_that_disconnects_gives_up_its_place(log: Log) -> None:
    async def trial() -> None:
        permits, watch = limiter()
        messages: asyncio.Queue[Message] = asyncio.Queue()
        assert permits.take()
        async with a_request_of(messages):
            (gone, check) = await started(permits.wait(), permits.wait(first=True))
            messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
            messages.put_nowait({"type": "http.disconnect"})
            with pytest.raises(ClientDisconnect):
                await gone
        permits.release()
        await check  # other callers share its result
        permits.release()
        assert free_permits(permits) == 1
        watch.report()

    run(trial)
    (entry,) = log.entries("database pool")
    assert (entry["PoolWaits"], entry["PoolTimeouts"]) == (2, 0)


def test_a_body_that_the_application_has_not_read_stays_for_it() -> None:
    async def trial() -> None:
        permits, _ = limiter()
        parts = [{"type": "http.request", "body": body, "more_body": body != b"c"} for body in (b"a", b"b", b"c")]
        messages: asyncio.Queue[Message] = asyncio.Queue()
        for part in parts:
            messages.put_nowait(part)
        async with a_request_of(messages) as client:
            for read in (0, 1, 2):
                assert permits.take()
                (waiting,) = await started(permits.wait())
                await asyncio.sleep(0)  # the listener reads ahead
                assert messages.qsize() >= 2 - read  # no more than one message: the application limits the body
                permits.release()
                await waiting
                permits.release()
                assert await client.receive() == parts[read]

    run(trial)


@pytest.mark.parametrize("kind", [Database, AsyncDatabase])
def test_no_connection_is_lost_with_cancelled_requests(database: TestDatabase, kind: Any) -> None:
    def add(connection: Any) -> Any:
        return connection.execute(text("INSERT INTO items (name) VALUES ('a')"))

    async def trial() -> None:
        pool = kind(database.settings(database_driver="psycopg", database_pool_size=3))
        try:
            for _ in range(3):  # each time, three requests get a connection
                with database.superuser() as blocker:
                    blocker.execute(text("LOCK TABLE items IN EXCLUSIVE MODE"))
                    tasks = [asyncio.create_task(pool.run(add)) for _ in range(9)]
                    await wait_for_blocked(blocker, 3)
                    for task in tasks:
                        task.cancel()
                    results = await asyncio.gather(*tasks, return_exceptions=True)
                    assert {type(result) for result in results} == {asyncio.CancelledError}
            await asyncio.gather(*(pool.run(add) for _ in range(9)))
            assert pool.watch.in_use == 0
        finally:
            closing = pool.close()
            if kind is AsyncDatabase:
                await closing

    run(trial)
