"""A connection pool in front of one PostgreSQL, as RDS Proxy documents it.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.howitworks.html:

- A client proves by SCRAM-SHA-256 that it knows the password in a secret; a role without a secret is refused.
- A client borrows a connection to the database for one transaction, or for the rest of a pinned session (``pinning``).
- If all connections are in use, a client waits for at most the borrow timeout.
- libpq's ``options`` are refused.

A packaged pooler would need an image of its own, and neither refuses nor pins as RDS Proxy does.

Not implemented: cancelling a query, which RDS Proxy does not support either, and the Flush message.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from local_cloud.rds.database_proxy import scram, startup
from local_cloud.rds.database_proxy.connection import Target
from local_cloud.rds.database_proxy.messages import MessageStream, ProxyError
from local_cloud.rds.database_proxy.pool import ConnectionPool
from local_cloud.rds.database_proxy.session import ClientSession

logger = logging.getLogger(__name__)


class DatabaseProxy:
    """Serves clients on one address.

    `target` returns the database, or None while there is none; `password` returns a role's password, or None. Both are
    called at each login, in this proxy's event loop, and must not block for long.
    """

    def __init__(self, target: Callable[[], Target | None], password: Callable[[str], str | None]) -> None:
        self._target = target
        self._password = password
        self._pool = ConnectionPool()
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], MessageStream] = {}

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Listen. Raises OSError when the address is taken."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a callback of a server is a task
            client = self._clients[task] = MessageStream(reader, writer)
            try:
                await self._serve(client, tls)
            except (OSError, EOFError, asyncio.CancelledError):
                pass  # the client disconnected, or the proxy stops
            except Exception:
                logger.exception("database proxy: a client's connection broke")
            finally:
                del self._clients[task]
                writer.close()

        self._server = await asyncio.start_server(accept, host, port)

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
        clients = dict(self._clients)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for client in clients.values():
            client.abort()
        self._pool.close()
        await asyncio.sleep(0)  # aborted connections are closed by the loop

    def limits_changed(self) -> None:
        """Compute the pool's limit from the database and the target again."""
        self._pool.limits_changed()

    async def _serve(self, client: MessageStream, tls: ssl.SSLContext) -> None:
        try:
            session = await self._log_in(client, tls)
            if session is None:
                return
            try:
                await session.start()
                await session.serve()
            finally:
                await session.end()
        except ProxyError as error:
            await _refuse(client, error)

    async def _log_in(self, client: MessageStream, tls: ssl.SSLContext) -> ClientSession | None:
        """Return the client's session, or None if it wants none. Raises ProxyError."""
        request = await startup.receive(client, tls)
        if request is None:
            return None
        target = self._target()
        if target is None:
            raise ProxyError("08001", "The proxy has no database to connect to.")
        if target.require_tls and not request.encrypted:
            raise ProxyError("28000", "This RDS Proxy requires TLS connections.")
        if "options" in request.parameters:
            raise ProxyError(
                "0A000", "Feature not supported: RDS Proxy currently doesn't support command-line options."
            )
        password = self._password(request.user)
        if password is None:
            raise ProxyError(
                "28000",
                f"This RDS proxy has no credentials for the role {request.user}. "
                "Check the credentials for this role and try again.",
            )
        await scram.verify_client(client, request.user, password)
        return ClientSession(client, self._pool, target, request.user, password, request.database)


async def _refuse(client: MessageStream, error: ProxyError) -> None:
    # libpq shows the last message; for a session that has begun, that is the closed connection.
    logger.warning("database proxy: %s", error)
    client.write(error.response())
    await client.drain()
