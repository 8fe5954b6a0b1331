"""Connections of the master user."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from settlement.admin.failures import AdminError, is_full
from settlement.database import single_use_engine
from settlement.settings import AdminSettings

_LOCK_KEY = 0x5E771E  # an arbitrary number: one `prepare` or `renew` at a time in a database
_LOCK_WAIT_SECONDS = 60.0
_SLOT_WAIT_SECONDS = 20.0
_TABLE_LOCK_WAIT = "5s"  # a migration that waits for a lock makes every later query wait behind it

# The server ends a statement of a client that is gone: killed (seen every 5 s), or behind a network that is.
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
    """The master's connection, holding this program's lock, until it is closed."""
    with connect_when_not_full(master_engine(settings)) as connection:
        with connection.begin():
            _set_limits(connection, settings.prepare_timeout_seconds)
        # Asked for again and again: one that waits inside a statement is an open transaction, for which the
        # CREATE INDEX CONCURRENTLY of the one that has the lock would wait in turn.
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
    """Let no statement of this session outlive the limit (0 is none) or its client, or wait long for a lock."""
    limits = {**_WHILE_CLIENT_LIVES, "statement_timeout": f"{limit_seconds}s", "lock_timeout": _TABLE_LOCK_WAIT}
    for name, value in limits.items():
        connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})


def reset_lock_timeout(connection: Connection) -> None:
    """Undo what a migration set for itself."""
    connection.execute(text("SELECT set_config('lock_timeout', :wait, false)"), {"wait": _TABLE_LOCK_WAIT})


def connect_when_not_full(engine: Engine) -> Connection:
    """Connect to a server that is full. Raises OperationalError.

    The slots kept for the master are counted with every attempt to connect that is not refused yet: while a service
    tries again and again, they seem to be taken for some milliseconds, and are free a moment later.
    """
    deadline = time.monotonic() + _SLOT_WAIT_SECONDS
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if not is_full(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - to meet a gap
