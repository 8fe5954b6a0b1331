"""The database: engines, and the service's pool.

Role-level timeouts are set on the role by the admin command, not here: RDS Proxy refuses libpq's `options`,
and a `SET` pins the client to one server connection
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html). The certificate bundle contains RDS's
authorities, which sign an instance's certificate, and Amazon's, which sign a proxy's.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text

from fargate_app import driver
from fargate_app.limiter import Limiter
from fargate_app.settings import DatabaseAddress, DatabaseSettings, Driver, EngineSettings
from fargate_app.watch import session_name, watch

# For a pool without a limit, which only an application's own engine has.
_MAX_THREADS = 40

P = ParamSpec("P")
T = TypeVar("T")


def engine_url(settings: DatabaseAddress, chosen: Driver, user: str, password: SecretStr) -> URL:
    """Return SQLAlchemy's address of the database."""
    return URL.create(
        f"postgresql+{chosen}",
        username=user,
        password=password.get_secret_value(),
        host=settings.database_host,
        port=settings.database_port,
        database=settings.database_name,
    )


def _connect_args(settings: DatabaseAddress) -> Mapping[str, str | int]:
    """Return libpq's connection parameters (https://www.postgresql.org/docs/current/libpq-connect.html)."""
    return {
        "sslmode": settings.database_sslmode,
        "sslrootcert": settings.database_ca_file,
        "connect_timeout": settings.database_connect_timeout_seconds,
        "client_encoding": "utf8",  # whatever the database's own encoding is
        # After a failover the old host may not answer at all: detect it within seconds, not within TCP's 15 minutes.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }


def single_use_engine(settings: DatabaseAddress, user: str, password: SecretStr) -> Engine:
    """Return an engine without a pool, for a one-off task. It closes a connection when it is returned."""
    chosen = driver.choose(settings.database_driver)
    return create_engine(
        engine_url(settings, chosen, user, password),
        connect_args={
            **_connect_args(settings),
            **driver.connect_args(chosen, client_side=True),
            "application_name": session_name(settings.app_name, "admin"),
        },
        poolclass=NullPool,
        hide_parameters=True,
    )


def pool_options(settings: DatabaseSettings, chosen: Driver, *, autocommit: bool) -> dict[str, Any]:
    """Return the arguments of SQLAlchemy's create_engine for the service's pool."""
    options: dict[str, Any] = {
        "connect_args": {**_connect_args(settings), **driver.connect_args(chosen)},
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": settings.database_pool_timeout_seconds,
        "pool_recycle": settings.database_pool_recycle_seconds,
        "hide_parameters": True,  # an error in a log must not carry a customer's data
        "pool_use_lifo": True,  # few warm connections rather than all of them in turn
    }
    if autocommit:
        # Nothing is left to roll back when a connection is returned.
        options |= {
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "pool_reset_on_return": None,
        }
    return options


def pooled_engine(settings: DatabaseSettings, *, autocommit: bool = False) -> Engine:
    """Return an engine with the service's pool. It opens no connection, so a module may create it when imported."""
    chosen = driver.choose(settings.database_driver)
    url = engine_url(settings, chosen, settings.database_user, settings.database_password)
    return create_engine(url, **pool_options(settings, chosen, autocommit=autocommit))


def with_address(settings: EngineSettings) -> DatabaseSettings:
    """Return the settings. Raises TypeError if they name no database, which a service without an engine needs."""
    if not isinstance(settings, DatabaseSettings):
        raise TypeError("without an engine of the application, its settings have to be DatabaseSettings")
    return settings


class Database:
    """The service's connection pool: one per worker process, opened after the fork.

    `engine`: the application's own, if it has one.
    `autocommit`: every statement is committed by itself. Then no request can leave a session idle in a transaction, and
    BEGIN and COMMIT do not cost two more round trips. Otherwise each operation is one transaction.
    """

    def __init__(self, settings: EngineSettings, engine: Engine | None = None, *, autocommit: bool = False) -> None:
        #: For an ORM's sessions; their connections are watched and tagged as well.
        self.engine = engine or pooled_engine(with_address(settings), autocommit=autocommit)
        self._operation = self.connect if autocommit else self._transaction
        self._watching = ExitStack()
        self.watch = self._watching.enter_context(watch(self.engine, settings))
        # As many threads as connections: a request waits for either before it occupies a thread.
        permits = _MAX_THREADS if self.watch.limit == math.inf else int(self.watch.limit)
        self._limiter = Limiter(
            self.watch, permits, backlog_per_connection=settings.database_pool_backlog_per_connection
        )
        self._threads = ThreadPoolExecutor(permits, "database")

    async def run(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `operation(connection, …)` in a thread with a pooled connection, without blocking the event loop.

        Without autocommit, it is committed when the operation returns, and rolled back when it raises.

        It uses a plain executor: with anyio's threads, in which FastAPI runs synchronous endpoints, a request takes a
        tenth longer. Raises what `Limiter.wait`, `connect` and the operation raise.
        """
        if not self._limiter.take():
            await self._limiter.wait()

        def work() -> T:
            with self._operation() as connection:
                return operation(connection, *args, **kwargs)

        return await self._in_thread(work)

    async def inspect(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation(connection)` for a health check: in a thread, before the requests that wait."""
        if not self._limiter.take():
            await self._limiter.wait(first=True)

        def work() -> T:
            with self.connect() as connection:
                return operation(connection)

        return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run `work` with a permit of the limiter, which is released when the thread has ended."""
        job: Future[T] | None = None
        try:
            job = self._threads.submit(copy_context().run, work)
            return await asyncio.wrap_future(job)
        finally:
            if job is None or job.done():
                self._limiter.release()
            else:  # the request was cancelled, and its statement still runs
                job.add_done_callback(partial(self._release_later, asyncio.get_running_loop()))

    def _release_later(self, loop: asyncio.AbstractEventLoop, _: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._limiter.release)

    def connect(self) -> AbstractContextManager[Connection]:
        """Return a pooled connection. Raises sqlalchemy.exc.TimeoutError if none is free in time."""
        return self.engine.connect()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close the idle connections. A connection in use is closed when it is returned."""
        self._watching.close()
        self._threads.shutdown(wait=False)
        self.engine.dispose()


def ping(connection: Connection) -> None:
    """Run one statement."""
    connection.execute(text("SELECT 1"))


def database_revisions(connection: Connection) -> tuple[str, ...]:
    """Return the database's revisions, sorted: one; none if it was never migrated; several below a merge."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return ()
    return tuple(connection.scalars(text("SELECT version_num FROM alembic_version ORDER BY version_num")))
