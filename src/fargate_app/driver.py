"""The PostgreSQL driver, psycopg 3 or psycopg2, and everything in which they differ."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, get_args

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from fargate_app.settings import Driver

# A failed connection has no SQLSTATE, only the server's message.
_FULL = ("connection slots are reserved", "too many clients", "too many connections")
_WRONG_PASSWORD = "password authentication failed"  # noqa: S105 - a message


def choose(wanted: Driver | None = None, *, asynchronous: bool = False) -> Driver:
    """Return the driver that is wanted, by default psycopg if it is installed, else psycopg2.

    Raises ModuleNotFoundError if it is not installed, or is psycopg2 where `asynchronous` needs psycopg.
    """
    candidates = [wanted] if wanted else list(get_args(Driver))
    if asynchronous:
        candidates = [driver for driver in candidates if driver == "psycopg"]
    for driver in candidates:
        if find_spec(driver):
            return driver
    if asynchronous:
        raise ModuleNotFoundError(
            "An asynchronous engine needs psycopg 3. Next: install fargate-app[psycopg,asyncio], and set "
            "DATABASE_DRIVER to psycopg or not at all"
        )
    raise ModuleNotFoundError(f"Missing package: {' or '.join(candidates)}. Next: install fargate-app[{candidates[0]}]")


def is_known(dialect: Dialect) -> bool:
    """Return whether a dialect of SQLAlchemy uses one of these drivers, which both use libpq."""
    return dialect.driver in get_args(Driver)


def connect_args(driver: Driver, *, client_side: bool = False) -> Mapping[str, Any]:
    """Return what this driver needs beside libpq's parameters.

    `client_side`: whether it inserts a statement's parameters itself, as psycopg2 always does. A utility statement such
    as ALTER ROLE has no parameters on the server, and a migration may run several statements at once.
    """
    if driver == "psycopg2":
        return {}
    # psycopg would prepare a statement that it runs for the fifth time. Then RDS Proxy pins the session, and the
    # statement fails after a migration that adds a column to its result.
    arguments: dict[str, Any] = {"prepare_threshold": None}
    if client_side:
        from psycopg import ClientCursor

        arguments["cursor_factory"] = ClientCursor
    return arguments


def sqlstate(error: DBAPIError) -> str | None:
    """Return the server's SQLSTATE; None if the connection failed or was lost."""
    code: str | None = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return code


def is_full(error: DBAPIError) -> bool:
    """Return whether the server refused a connection because all are in use."""
    return any(words in str(error.orig) for words in _FULL)


def is_wrong_password(error: DBAPIError) -> bool:
    """Return whether the server refused a connection because of its password."""
    return _WRONG_PASSWORD in str(error.orig)


def password_verifier(connection: Connection, user: str, password: str) -> str:
    """Return what the server stores of a password. libpq computes it here, as psql's `\\password` does.

    So the password reaches neither the server nor its log.
    """
    session: Any = connection.connection.driver_connection
    if connection.dialect.driver == "psycopg2":
        from psycopg2.extensions import encrypt_password

        return str(encrypt_password(password, user, scope=session, algorithm="scram-sha-256"))
    verifier: bytes = session.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256")
    return verifier.decode()
