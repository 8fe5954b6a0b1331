"""Connections of the master user."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from fargate_app.admin.failures import AdminError
from fargate_app.database import single_use_engine
from fargate_app.driver import is_full
from fargate_app.settings import AdminSettings

_LOCK_KEY = 0x5E771E  # an arbitrary number: one `prepare` or `renew` at a time in a database
_LOCK_WAIT_SECONDS = 60.0
_SLOT_WAIT_SECONDS = 20.0
_TABLE_LOCK_WAIT = "5s"  # a migration that waits for a lock makes every later query wait behind it

# The server cancels the statement of a client that is gone: one that was killed within 5 s, one that cannot be reached
# by its keepalives.
# https://www.postgresql.org/docs/current/runtime-config-connection.html
_WHILE_CLIENT_LIVES = {
    "client_connection_check_interval": "5s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


def master_engine(settings: AdminSettings) -> Engine:
    """Return an engine that connects as the master user."""
    return single_use_engine(settings, settings.master_username, settings.master_password)


@contextmanager
def exclusive_connection(settings: AdminSettings) -> Iterator[Connection]:
    """Connect as the master user and hold the lock of `prepare` and `renew` until the connection closes.

    Raises AdminError, OperationalError.
    """
    with connect_when_not_full(master_engine(settings)) as connection:
        with connection.begin():
            _set_limits(connection, settings.prepare_timeout_seconds)
        # Polled: a statement that waits for the lock is an open transaction, and a CREATE INDEX CONCURRENTLY of the
        # lock's holder would wait for it in turn.
        deadline = time.monotonic() + _LOCK_WAIT_SECONDS
        while not _take_lock(connection):
            if time.monotonic() > deadline:
                raise AdminError(f"another prepare or renew has run for {_LOCK_WAIT_SECONDS:.0f} s", kind="lock_wait")
            time.sleep(0.2)
        yield connection


def _take_lock(connection: Connection) -> bool:
    with connection.begin():
        return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK_KEY}))


def _set_limits(connection: Connection, limit_seconds: int) -> None:
    """Limit the time of this session's statements (0: no limit) and its waits for locks, and end it with its client."""
    limits = {**_WHILE_CLIENT_LIVES, "statement_timeout": f"{limit_seconds}s", "lock_timeout": _TABLE_LOCK_WAIT}
    for name, value in limits.items():
        connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})


def reset_lock_timeout(connection: Connection) -> None:
    """Reset the lock timeout that a migration may have set for itself."""
    connection.execute(text("SELECT set_config('lock_timeout', :wait, false)"), {"wait": _TABLE_LOCK_WAIT})


def connect_when_not_full(engine: Engine) -> Connection:
    """Connect, and retry while the server is full. Raises OperationalError.

    Until the server refuses a connection, it counts against the slots reserved for the master user. While a service
    keeps retrying, these slots look taken for some milliseconds and are free a moment later.
    """
    deadline = time.monotonic() + _SLOT_WAIT_SECONDS
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if not is_full(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - to hit a free moment
