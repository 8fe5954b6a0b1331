"""Bound how many requests wait for a database connection, and for how long."""

import asyncio
from collections import deque
from contextlib import suppress

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fargate_app.client import current_client
from fargate_app.pool import PoolWatch


class Limiter:
    """Permits for the connections of a pool, given in the order in which they were asked for.

    It belongs to one event loop. A free permit is taken without a task, a timer or a future:

        if not limiter.take():
            await limiter.wait()
        try:
            ...
        finally:
            limiter.release()
    """

    def __init__(self, watch: PoolWatch, permits: float, *, backlog_per_connection: int) -> None:
        """`watch` counts the waits, and knows how long the pool's longest wait is."""
        self._watch = watch
        self._free = permits
        self._backlog = permits * backlog_per_connection
        # The result of a place is none if it got a permit.
        self._places: deque[asyncio.Future[Exception | None]] = deque()

    def take(self) -> bool:
        """Take a permit if one is free."""
        if self._free:
            self._free -= 1
            return True
        return False

    def release(self) -> None:
        """Give a permit back: to the request that has waited longest, if one waits."""
        while self._places:
            place = self._places.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    async def wait(self, *, first: bool = False) -> None:
        """Wait for a permit.

        `first`: before all other requests, and however many there are; for a health check.

        Raises sqlalchemy.exc.TimeoutError, as the pool does: after the pool's timeout, or at once if too many requests
        wait already. Raises ClientDisconnect if the request's client disconnects meanwhile.
        """
        if len(self._places) >= self._backlog and not first:
            self._watch.refused()
            raise PoolTimeoutError(f"{len(self._places)} requests wait for a connection already")
        loop = asyncio.get_running_loop()
        place: asyncio.Future[Exception | None] = loop.create_future()
        if first:
            self._places.appendleft(place)
        else:
            self._places.append(place)
        started, timeout = loop.time(), self._watch.timeout_seconds
        timer = loop.call_later(timeout, self._end, place, PoolTimeoutError(f"no connection was free for {timeout} s"))
        listener = None if first else loop.create_task(self._end_with_client(place))
        failure: Exception | None = None
        try:
            failure = await place
        except asyncio.CancelledError:
            if place.cancelled():
                with suppress(ValueError):  # `release` has removed it
                    self._places.remove(place)
            elif place.result() is None:  # the permit came in the same moment
                self.release()
            raise
        finally:
            timer.cancel()
            if listener:
                listener.cancel()
            self._watch.waited(loop.time() - started, in_vain=isinstance(failure, PoolTimeoutError))
        if failure:
            raise failure

    def _end(self, place: asyncio.Future[Exception | None], failure: Exception) -> None:
        if not place.done():
            self._places.remove(place)
            place.set_result(failure)

    async def _end_with_client(self, place: asyncio.Future[Exception | None]) -> None:
        client = current_client()
        if client and await client.disconnected():
            from starlette.requests import ClientDisconnect

            self._end(place, ClientDisconnect())
