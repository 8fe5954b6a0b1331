"""A connection from the proxy to the database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

from local_cloud.rds.database_proxy import scram, startup
from local_cloud.rds.database_proxy.messages import (
    DATA_ROW,
    ERROR_RESPONSE,
    PARAMETER_STATUS,
    QUERY,
    READY_FOR_QUERY,
    TERMINATE,
    Message,
    MessageStream,
    ProxyError,
)


@dataclass(frozen=True)
class Target:
    """The database behind the proxy, as it is now, and the proxy's limits for it."""

    host: str
    port: int
    authority: str
    """Certificate (PEM) of the authority that signed the database's certificate."""
    max_connections_percent: int
    """Share of the database's ``max_connections`` that the proxy may open."""
    borrow_timeout: float
    """Seconds that a client waits for a connection when all are in use."""
    require_tls: bool
    """Whether clients must use TLS."""
    idle_timeout: float
    """Seconds after which an idle client is disconnected."""


@dataclass
class DatabaseConnection:
    """A role's session in one database, ready for a query."""

    stream: MessageStream
    user: str
    database: str
    parameters: dict[str, str] = field(default_factory=dict)
    """The database's ParameterStatus messages."""

    @classmethod
    async def open(cls, target: Target, user: str, password: str, database: str) -> Self:
        """Connect and log in.

        Raises:
            ProxyError: the database refuses, with its own SQLSTATE and message.
            OSError, EOFError: the database cannot be reached, or closes the connection.
        """
        stream = MessageStream(*await asyncio.open_connection(target.host, target.port))
        connection = cls(stream, user, database)
        try:
            await startup.send(stream, target.host, target.authority, user, database)
            await scram.log_in(stream, user, password)
            while (message := await stream.read()).type != READY_FOR_QUERY:
                if message.type == ERROR_RESPONSE:
                    raise ProxyError.from_response(message)
                if message.type == PARAMETER_STATUS:
                    name, value, _ = message.body.decode().split("\0")
                    connection.parameters[name] = value
        except BaseException:
            stream.writer.close()
            raise
        return connection

    @property
    def usable(self) -> bool:
        return not self.stream.reader.at_eof() and not self.stream.writer.is_closing()

    def close(self) -> None:
        self.stream.write(Message(TERMINATE, b""))
        self.stream.abort()

    async def max_connections(self) -> int:
        """Ask the database for its setting. Raises ProxyError, OSError, EOFError."""
        self.stream.write(Message(QUERY, b"SHOW max_connections\0"))
        found = 0
        while (message := await self.stream.read()).type != READY_FOR_QUERY:
            if message.type == DATA_ROW:
                found = int(message.body[6:])  # after the number of columns and the length of the first
            elif message.type == ERROR_RESPONSE:
                raise ProxyError.from_response(message)
        return found
