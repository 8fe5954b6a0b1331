"""The connections to the database that the proxy's clients share."""

from __future__ import annotations

import asyncio

from local_cloud.rds.database_proxy.connection import DatabaseConnection, Target
from local_cloud.rds.database_proxy.messages import ProxyError

_CONNECT_SECONDS = 30.0


class ConnectionPool:
    """Opens at most a share of the database's ``max_connections``.

    An idle connection serves the role and database that it was opened for. If the limit is reached, it is closed for
    another role or database.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[DatabaseConnection]] = {}
        self._open = 0
        self._limit: int | None = None
        self._free = asyncio.Condition()

    async def borrow(self, target: Target, user: str, password: str, database: str) -> DatabaseConnection:
        """Return a connection for one client alone.

        Raises:
            ProxyError: no connection became free within the borrow timeout, or the database refuses or is unreachable.
        """
        try:
            async with asyncio.timeout(target.borrow_timeout):
                async with self._free:
                    await self._free.wait_for(lambda: self._has_room(user, database))
                    idle = self._idle.get((user, database), [])
                    while idle:
                        connection = idle.pop()
                        if connection.usable:
                            return connection
                        self._open -= 1
                    while self._limit is not None and self._open >= self._limit:
                        self._close_an_idle_one()
                    self._open += 1
        except TimeoutError:
            raise ProxyError("53300", "Timed-out waiting to acquire database connection.") from None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                connection = await DatabaseConnection.open(target, user, password, database)
                if self._limit is None:
                    self._limit = max(1, await connection.max_connections() * target.max_connections_percent // 100)
        except BaseException as error:
            await self._closed()
            if isinstance(error, OSError | EOFError):  # TimeoutError is one
                raise ProxyError("08006", f"The proxy cannot reach the database: {error or 'no answer'}.") from error
            raise
        return connection

    async def give_back(self, connection: DatabaseConnection) -> None:
        if not connection.usable:
            await self.discard(connection)
            return
        async with self._free:
            self._idle.setdefault((connection.user, connection.database), []).append(connection)
            self._free.notify()

    async def discard(self, connection: DatabaseConnection) -> None:
        connection.close()
        await self._closed()

    def limits_changed(self) -> None:
        """Compute the limit again with the next connection that is opened."""
        self._limit = None

    def close(self) -> None:
        """Close every idle connection."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()

    async def _closed(self) -> None:
        async with self._free:
            self._open -= 1
            self._free.notify()

    def _has_room(self, user: str, database: str) -> bool:
        if self._idle.get((user, database)) or self._limit is None or self._open < self._limit:
            return True
        return any(self._idle.values())

    def _close_an_idle_one(self) -> None:
        for connections in self._idle.values():
            if connections:
                connections.pop().close()
                self._open -= 1
                return
        raise AssertionError("there is room, so one is idle")
