"""The database: engine and pool.

Role-level timeouts are set on the role by the admin command, not here: RDS Proxy refuses libpq's `options`,
and a `SET` pins the client to one server connection
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html). The certificate bundle contains RDS's
authorities, which sign an instance's certificate, and Amazon's, which sign a proxy's.
"""

import asyncio
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg2
from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fargate_app.logs import request_scope
from fargate_app.pool import PoolWatch
from fargate_app.settings import DatabaseAddress, DatabaseSettings

# More threads than connections: a request without a connection waits in its thread, at most for the pool's timeout.
_THREADS = 40

P = ParamSpec("P")
T = TypeVar("T")


def _url(settings: DatabaseAddress, user: str, password: SecretStr) -> URL:
    return URL.create(
        "postgresql+psycopg2",
        username=user,
        password=password.get_secret_value(),
        host=settings.database_host,
        port=settings.database_port,
        database=settings.database_name,
    )


def _connect_args(settings: DatabaseAddress, program: str) -> Mapping[str, str | int]:
    """Return libpq's connection parameters (https://www.postgresql.org/docs/current/libpq-connect.html)."""
    return {
        "sslmode": settings.database_sslmode,
        "sslrootcert": settings.database_ca_file,
        "connect_timeout": settings.database_connect_timeout_seconds,
        "client_encoding": "utf8",  # whatever the database's own encoding is
        # Names the session in pg_stat_activity: program, task (its host's name), worker process. At most 63 bytes.
        "application_name": f"{settings.app_name}-{program}@{socket.gethostname().split('.')[0][:40]}/{os.getpid()}",
        # After a failover the old host may not answer at all: detect it within seconds, not within TCP's 15 minutes.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }


def single_use_engine(settings: DatabaseAddress, user: str, password: SecretStr) -> Engine:
    """Return an engine without a pool, for a one-off task. It closes a connection when it is returned."""
    return create_engine(
        _url(settings, user, password),
        connect_args=dict(_connect_args(settings, "admin")),
        poolclass=NullPool,
        hide_parameters=True,
    )


def _check_connection(connection: Any, *_: Any) -> None:
    """Have the pool replace a connection that the server closed.

    SQLAlchemy's own pre-ping queries the server each time, a round trip that costs as much as the read that follows. A
    healthy idle connection has no data to read, so only one with a readable, closed or broken socket is queried.

    Raises DisconnectionError, on which the pool connects again.
    """
    try:
        socket_state = select.poll()
        socket_state.register(connection.fileno(), select.POLLIN)
        if socket_state.poll(0):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        raise DisconnectionError from error


@cache
def _tag(name: str, path: str) -> str:
    # A percent sign would have to be doubled for psycopg2, and nothing may end the comment.
    action, route = (re.sub(r"[^\w/{}.:-]", "_", part, flags=re.ASCII) for part in (name, path))
    return f"/*action='{action}',route='{route}'*/ "


def _tag_statement(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: bool) -> tuple[str, Any]:
    """Add a comment with the endpoint to each statement, with the keys of sqlcommenter.

    https://google.github.io/sqlcommenter/spec/ puts the comment last. Here it comes first, because pg_stat_activity
    shows only a statement's first kilobyte. It does not contain the request's identifier: a different text for each
    request would fill everything that is stored by text.
    https://docs.sqlalchemy.org/en/20/core/events.html#sqlalchemy.events.ConnectionEvents.before_cursor_execute
    """
    scope = request_scope.get()
    route = None if scope is None else scope.get("route")
    return (statement if route is None else _tag(route.name, route.path) + statement), parameters


class Database:
    """The service's connection pool: one per worker process, created after the fork.

    `autocommit`: every statement is committed by itself. Then no request can leave a session idle in a transaction, and
    BEGIN and COMMIT do not cost two more round trips. Otherwise each operation is one transaction.
    """

    def __init__(self, settings: DatabaseSettings, *, autocommit: bool = False) -> None:
        #: For an ORM's sessions; their connections are watched and tagged as well.
        self.engine = create_engine(
            _url(settings, settings.database_user, settings.database_password),
            connect_args=dict(_connect_args(settings, "api")),
            pool_size=settings.database_pool_size,
            max_overflow=settings.database_max_overflow,
            pool_timeout=settings.database_pool_timeout_seconds,
            pool_recycle=settings.database_pool_recycle_seconds,
            hide_parameters=True,  # an error in a log must not carry a customer's data
            pool_use_lifo=True,  # few warm connections rather than all of them in turn
            # With autocommit, nothing is left to roll back when a connection is returned.
            **({"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None} if autocommit else {}),
        )
        self._operation = self.connect if autocommit else self._transaction
        if settings.database_pool_pre_ping:
            event.listen(self.engine, "checkout", _check_connection)
        event.listen(self.engine, "before_cursor_execute", _tag_statement, retval=True)
        # After the check, so that a connection it refuses does not count as in use.
        self.watch = PoolWatch(
            self.engine,
            size=settings.database_pool_size,
            overflow=settings.database_max_overflow,
            warn_seconds=settings.database_session_warning_seconds,
            service=settings.app_name,
            environment=settings.app_environment,
        )
        self.watch.start(settings.metrics_period_seconds)
        self._threads = ThreadPoolExecutor(_THREADS, "database")

    async def run(self, operation: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `operation(connection, …)` in a thread with a pooled connection, without blocking the event loop.

        Without autocommit, it is committed when the operation returns, and rolled back when it raises.

        It uses a plain executor: with anyio's threads, in which FastAPI runs synchronous endpoints, a request takes a
        tenth longer. Raises what `connect` and the operation raise.
        """

        def work() -> T:
            with self._operation() as connection:
                return operation(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)

    def connect(self) -> AbstractContextManager[Connection]:
        """Return a pooled connection. Raises sqlalchemy.exc.TimeoutError if none is free in time."""
        had_to_wait, started = self.watch.is_full(), time.perf_counter()
        try:
            connection = self.engine.connect()
        except PoolTimeoutError:
            self.watch.waited(time.perf_counter() - started, in_vain=True)
            raise
        if had_to_wait:
            self.watch.waited(time.perf_counter() - started, in_vain=False)
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.connect() as connection, connection.begin():
            yield connection

    def ping(self) -> None:
        """Run one statement. Raises sqlalchemy.exc.SQLAlchemyError if the database cannot be used."""
        with self.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close the idle connections. A connection in use is closed when it is returned."""
        self.watch.stop()
        self._threads.shutdown(wait=False)
        self.engine.dispose()


def database_revisions(connection: Connection) -> tuple[str, ...]:
    """Return the database's revisions, sorted: one; none if it was never migrated; several below a merge."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return ()
    return tuple(connection.scalars(text("SELECT version_num FROM alembic_version ORDER BY version_num")))
