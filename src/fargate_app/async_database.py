"""The database of a service with an asynchronous engine: psycopg 3 and SQLAlchemy's asyncio extension."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fargate_app import driver
from fargate_app.database import engine_url, pool_options, with_address
from fargate_app.limiter import Limiter
from fargate_app.settings import DatabaseSettings, EngineSettings
from fargate_app.watch import watch

P = ParamSpec("P")
T = TypeVar("T")


def async_pooled_engine(settings: DatabaseSettings, *, autocommit: bool = False) -> AsyncEngine:
    """Return an engine with the service's pool. It opens no connection, so a module may create it when imported."""
    chosen = driver.choose(settings.database_driver, asynchronous=True)
    url = engine_url(settings, chosen, settings.database_user, settings.database_password)
    return create_async_engine(url, **pool_options(settings, chosen, autocommit=autocommit))


class AsyncDatabase:
    """The service's connection pool: one per worker process, for its event loop.

    `engine` and `autocommit` are those of `fargate_app.database.Database`.
    """

    def __init__(
        self, settings: EngineSettings, engine: AsyncEngine | None = None, *, autocommit: bool = False
    ) -> None:
        #: For an ORM's sessions; their connections are watched and tagged as well.
        self.engine = engine or async_pooled_engine(with_address(settings), autocommit=autocommit)
        self._operation = self.connect if autocommit else self.engine.begin
        self._watching = ExitStack()
        self.watch = self._watching.enter_context(watch(self.engine, settings))
        self._limiter = Limiter(
            self.watch, self.watch.limit, backlog_per_connection=settings.database_pool_backlog_per_connection
        )

    async def run(
        self, operation: Callable[Concatenate[AsyncConnection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Await `operation(connection, …)` with a pooled connection.

        Without autocommit, it is committed when the operation returns, and rolled back when it raises. Raises what
        `Limiter.wait`, `connect` and the operation raise.
        """
        if not self._limiter.take():
            await self._limiter.wait()
        try:
            async with self._operation() as connection:
                return await operation(connection, *args, **kwargs)
        finally:
            self._limiter.release()

    def connect(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Return a pooled connection. Entering it raises sqlalchemy.exc.TimeoutError if none is free in time."""
        return self.engine.connect()

    async def inspect(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation(connection)` for a health check, before the requests that wait."""
        if not self._limiter.take():
            await self._limiter.wait(first=True)
        try:
            async with self.engine.connect() as connection:
                return await connection.run_sync(operation)
        finally:
            self._limiter.release()

    async def close(self) -> None:
        """Close the idle connections. A connection in use is closed when it is returned."""
        self._watching.close()
        await self.engine.dispose()
