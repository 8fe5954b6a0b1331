"""A client's session: it borrows a connection for one transaction, or until its end once it is pinned."""

from __future__ import annotations

import asyncio
import logging
import secrets

from local_cloud.rds.database_proxy import scram
from local_cloud.rds.database_proxy.connection import DatabaseConnection, Target
from local_cloud.rds.database_proxy.messages import (
    BACKEND_KEY_DATA,
    COPY_DONE,
    COPY_FAIL,
    COPY_IN_RESPONSE,
    FUNCTION_CALL,
    PARAMETER_STATUS,
    QUERY,
    READY_FOR_QUERY,
    SYNC,
    TERMINATE,
    Message,
    MessageStream,
    ProxyError,
)
from local_cloud.rds.database_proxy.pinning import pinning_reason
from local_cloud.rds.database_proxy.pool import ConnectionPool

logger = logging.getLogger(__name__)

_NOT_IN_A_TRANSACTION = b"I"
_MAX_BUFFERED_BYTES = 1 << 20


class ClientSession:
    """A client that has proved its password, and the connection that it has borrowed, if any."""

    def __init__(
        self, client: MessageStream, pool: ConnectionPool, target: Target, user: str, password: str, database: str
    ) -> None:
        self._client = client
        self._pool = pool
        self._target = target
        self._user = user
        self._password = password
        self._database = database
        self._borrowed: DatabaseConnection | None = None
        self._pinned = False

    async def start(self) -> None:
        """Complete the client's login, with the database's parameters. Raises ProxyError."""
        connection = await self._connection()
        self._client.write(
            scram.authentication_ok(),
            *(
                Message(PARAMETER_STATUS, f"{name}\0{value}\0".encode())
                for name, value in connection.parameters.items()
            ),
            Message(BACKEND_KEY_DATA, secrets.token_bytes(8)),
            Message(READY_FOR_QUERY, _NOT_IN_A_TRANSACTION),
        )
        await self._client.drain()
        await self._give_back()

    async def serve(self) -> None:
        """Relay messages until the client disconnects. Raises ProxyError."""
        while True:
            try:
                async with asyncio.timeout(self._target.idle_timeout):
                    message = await self._client.read()
            except TimeoutError:
                raise ProxyError("57P05", "Idle client connection timeout.") from None
            if message.type == TERMINATE:
                return
            connection = await self._connection()
            if not self._pinned and (reason := pinning_reason(message)):
                self._pinned = True
                logger.warning(
                    "database proxy: the client session was pinned to the database connection for the remainder of the "
                    "session. Reason: %s",
                    reason,
                )
            connection.stream.write(message)
            if message.type in (QUERY, SYNC, FUNCTION_CALL):
                try:
                    transaction_status = await self._relay_answer(connection.stream)
                except (OSError, EOFError) as error:
                    raise ProxyError("08006", f"The database closed the connection: {error}.") from error
                if transaction_status == _NOT_IN_A_TRANSACTION and not self._pinned:
                    await self._give_back()

    async def end(self) -> None:
        """Close the borrowed connection: it has the state of a pinned session or of an open transaction."""
        if self._borrowed is not None:
            connection, self._borrowed = self._borrowed, None
            await self._pool.discard(connection)

    async def _relay_answer(self, database: MessageStream) -> bytes:
        """Relay the database's messages up to ReadyForQuery. Return the transaction status: I, T or E."""
        while True:
            message = await database.read()
            self._client.write(message)
            if message.type == COPY_IN_RESPONSE:
                await self._client.drain()
                await self._relay_copy(database)
            elif message.type == READY_FOR_QUERY:
                await self._client.drain()
                return message.body[:1]
            elif self._client.writer.transport.get_write_buffer_size() > _MAX_BUFFERED_BYTES:
                await self._client.drain()

    async def _relay_copy(self, database: MessageStream) -> None:
        """Relay the client's data of COPY FROM STDIN."""
        while True:
            message = await self._client.read()
            database.write(message)
            await database.drain()
            if message.type in (COPY_DONE, COPY_FAIL):
                return

    async def _connection(self) -> DatabaseConnection:
        if self._borrowed is None:
            self._borrowed = await self._pool.borrow(self._target, self._user, self._password, self._database)
        return self._borrowed

    async def _give_back(self) -> None:
        if self._borrowed is not None:
            connection, self._borrowed = self._borrowed, None
            await self._pool.give_back(connection)
