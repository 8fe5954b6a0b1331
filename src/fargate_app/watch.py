"""Watch an engine: its pool, its sessions and its statements.

- The pool's metrics are logged, and a warning for each session that is held too long (`fargate_app.pool`).
- Each statement begins with the endpoint that runs it.
- Each session has the name of its program, task and worker process.
- A connection that the server closed is replaced before it is used. With asyncpg, SQLAlchemy's `pool_pre_ping` has to.
"""

import os
import re
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from fargate_app import asyncpg_errors, driver
from fargate_app.logs import request_scope
from fargate_app.pool import PoolWatch
from fargate_app.settings import EngineSettings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


@contextmanager
def watch(engine: "Engine | AsyncEngine", settings: EngineSettings) -> Iterator[PoolWatch]:
    """Watch an engine until the block ends. Its pool must be SQLAlchemy's default one, a QueuePool.

    Call it after the fork, in the application's lifespan: it starts a thread. The engine that was passed to a Service's
    `install` is watched already.

    Raises TypeError for an engine with another pool, RuntimeError for one that is watched already.
    """
    watched = engine if isinstance(engine, Engine) else engine.sync_engine
    # Only events of the dialect and of the pool: one listener for an event of connections, such as
    # before_cursor_execute, makes SQLAlchemy dispatch all of them. That took a sixth of a query's CPU time (30 µs).
    listeners: list[tuple[str, Callable[..., Any]]] = [
        (name, _tagged(getattr(watched.dialect, name)))
        for name in ("do_execute", "do_executemany", "do_execute_no_params")
    ]
    if driver.is_known(watched.dialect):
        listeners.append(("do_connect", _named_after(settings.app_name)))
        if settings.database_pool_pre_ping:
            listeners.append(("checkout", _check_of(watched)))
    elif watched.dialect.driver == "asyncpg":
        listeners += [
            ("do_connect", _named_in_settings(settings.app_name)),
            ("do_connect", asyncpg_errors.connect),
            ("handle_error", asyncpg_errors.translate),
        ]
    pool = PoolWatch(
        watched,
        warn_seconds=settings.database_session_warning_seconds,
        service=settings.app_name,
        environment=settings.app_environment,
    )
    for name, listener in listeners:
        event.listen(watched, name, listener)
    # After the check, so that a connection it refuses does not count as in use.
    pool.start(settings.metrics_period_seconds)
    try:
        yield pool
    finally:
        pool.stop()
        for name, listener in listeners:
            event.remove(watched, name, listener)


def session_name(app_name: str, program: str) -> str:
    """Return a session's name in pg_stat_activity: program, task (its host's name), worker. At most 63 bytes."""
    return f"{app_name}-{program}@{socket.gethostname().split('.')[0][:40]}/{os.getpid()}"


def _named_after(app_name: str) -> Callable[..., None]:
    def name(_: Any, __: Any, ___: Any, parameters: dict[str, Any]) -> None:
        parameters.setdefault("application_name", session_name(app_name, "api"))

    return name


def _named_in_settings(app_name: str) -> Callable[..., None]:
    def name(_: Any, __: Any, ___: Any, parameters: dict[str, Any]) -> None:
        own = {"application_name": session_name(app_name, "api")}
        parameters["server_settings"] = own | (parameters.get("server_settings") or {})

    return name


def _check_of(engine: Engine) -> Callable[..., None]:
    """Return a listener that has the pool replace a connection that the server closed.

    SQLAlchemy's own pre-ping queries the server each time, a round trip that costs as much as the read that follows. A
    healthy idle connection has no data to read, so only one with a readable, closed or broken socket is queried.
    """
    dialect = engine.dialect

    def check(connection: Any, record: Any, _: Any) -> None:
        """Raise DisconnectionError, on which the pool connects again."""
        try:
            socket_state = select.poll()
            socket_state.register(record.driver_connection.fileno(), select.POLLIN)
            if socket_state.poll(0):
                dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error

    return check


@cache
def _tag(name: str, path: str) -> str:
    # A percent sign would have to be doubled for the driver, and nothing may end the comment.
    action, route = (re.sub(r"[^\w/{}.:-]", "_", part, flags=re.ASCII) for part in (name, path))
    return f"/*action='{action}',route='{route}'*/ "


def _tagged(execute: Callable[..., None]) -> Callable[..., bool]:
    """Return a listener that executes each statement of a request with a comment that names the endpoint.

    The keys are those of sqlcommenter. https://google.github.io/sqlcommenter/spec/ puts the comment last. Here it comes
    first, because pg_stat_activity shows only a statement's first kilobyte. It does not contain the request's
    identifier: a different text for each request would fill everything that is stored by text.
    https://docs.sqlalchemy.org/en/20/core/events.html#sqlalchemy.events.DialectEvents.do_execute
    """

    def listener(cursor: Any, statement: str, *arguments: Any) -> bool:
        """Return whether the statement has been executed here."""
        scope = request_scope.get()
        route = None if scope is None else scope.get("route")
        if route is None:
            return False
        execute(cursor, _tag(route.name, route.path) + statement, *arguments)
        return True

    return listener
