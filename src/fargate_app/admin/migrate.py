"""Migrate a database to this image's head, and report exactly why a migration failed.

The revisions run in a thread. Meanwhile the main thread, which gets the signals, records which sessions block them, and
cancels the statement on the server if the task is stopped.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from fargate_app.admin.connection import reset_lock_timeout
from fargate_app.admin.failures import AdminError, Kind, Stopped, server_message
from fargate_app.admin.sessions import blockers, masked
from fargate_app.database import database_revisions
from fargate_app.driver import sqlstate
from fargate_app.migrations import Migrations
from fargate_app.revisions import alembic_config, file_of

_log = logging.getLogger("fargate_app.admin")

_POLL_SECONDS = 0.5
_CANCEL_SECONDS = 20.0  # below the task's stopTimeout of 30 s, after which comes SIGKILL
_LOCKED = {"55P03", "40P01"}  # lock_not_available, deadlock_detected
_CANCELLED = "57014"  # query_canceled, by statement_timeout or by a person
T = TypeVar("T")

_INVALID = text(
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE NOT i.indisvalid AND c.relkind = 'i'"
    " AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid) ORDER BY 1"
)


def migrate(connection: Connection, engine: Engine, migrations: Migrations) -> tuple[str, bool]:
    """Upgrade to this image's head, and leave a later schema unchanged.

    Returns the database's revision, and whether a migration ran. `engine` opens further connections, to see what the
    migration waits for. Raises AdminError.
    """
    with connection.begin():
        before = database_revisions(connection)
    schema = migrations.schema
    if schema.is_current(before):
        return ", ".join(before), False
    with _statements_of(connection) as statements:
        run_watched(
            connection,
            engine,
            lambda: _upgrade(connection, migrations, statements),
            statements,
            otherwise="migration",
            where=partial(file_of, migrations.folder),
        )
    with connection.begin():
        after = database_revisions(connection)
    if not schema.is_current(after):
        raise AdminError(
            f"the database is at {', '.join(after) or 'no revision'} after its migration", kind="migration"
        )
    _log.info("migrated", extra={"from": before, "to": after})
    return ", ".join(after), True


def _upgrade(connection: Connection, migrations: Migrations, statements: list[str]) -> None:
    """Apply the revisions on `connection`. An env.py beside them is not used: it would open its own connection."""

    def applied(*_: Any, **__: Any) -> None:
        """Check for invalid indexes before the revision is committed, and reset the lock timeout."""
        if left := _invalid_indexes(connection, statements):
            raise _index_error(f"the index {left[0]} is invalid", left, [])
        statements.clear()
        reset_lock_timeout(connection)

    config = alembic_config(migrations.folder)
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=lambda at, _: script._upgrade_revs("head", at)) as environment:
        # One transaction for each revision: if one fails, those before it stay, and the next run continues there.
        # autocommit_block() in a revision needs this as well.
        environment.configure(
            connection=connection,
            target_metadata=migrations.metadata,
            transaction_per_migration=True,
            on_version_apply=applied,
        )
        with environment.begin_transaction():
            environment.run_migrations()


def run_watched(
    connection: Connection,
    engine: Engine,
    work: Callable[[], T],
    statements: list[str],
    *,
    otherwise: Kind,
    where: Callable[[BaseException], str] = lambda _: "",
) -> T:
    """Run `work()` in a thread. It uses `connection`, whose statements are in `statements`.

    Raises AdminError with the file that `where` returns for an error, the statement and what blocked it; its kind is
    `otherwise` if nothing did.
    """
    with connection.begin():
        pid: int = connection.scalars(text("SELECT pg_backend_pid()")).one()
    seen: list[str] = []
    stopped = False
    with ThreadPoolExecutor(1, "database") as pool:
        future = pool.submit(work)
        try:
            _watch(future, engine, pid, seen)
        except Stopped:
            stopped = True
            _cancel(future, connection)
        try:
            return future.result()
        except AdminError:
            raise
        except Exception as error:
            kind = "stopped" if stopped else _kind(error, otherwise)
            raise _explained(error, where(error), kind, engine, seen, statements) from error


def _watch(future: "Future[Any]", engine: Engine, pid: int, seen: list[str]) -> None:
    """Look for sessions that block this one until the work is done; `seen` keeps the last ones found."""
    watching: Connection | None = None
    try:
        while wait([future], _POLL_SECONDS).not_done:
            try:
                watching = watching or engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                found = blockers(watching, pid)
            except SQLAlchemyError as error:  # a full server may have no connection for this
                _log.warning("cannot see what the migration waits for", extra={"reason": str(error)})
                watching = None
                continue
            if found and not seen:
                _log.warning("waiting for a lock", extra={"blocked_by": found})
            seen[:] = found or seen
    finally:
        if watching is not None:
            watching.close()


def _cancel(future: "Future[Any]", connection: Connection) -> None:
    """Cancel the session's statement until the work ends: one cancellation may fall between two statements."""
    session = connection.connection.driver_connection
    for _ in range(int(_CANCEL_SECONDS / _POLL_SECONDS)):
        if session is not None:
            session.cancel()
        if not wait([future], _POLL_SECONDS).not_done:
            return


def _kind(error: Exception, otherwise: Kind) -> Kind:
    if not isinstance(error, DBAPIError):
        return otherwise
    if error.connection_invalidated:
        return "unreachable"
    code = sqlstate(error)
    if code in _LOCKED:
        return "lock_wait"
    if code == _CANCELLED:
        return "time_limit" if "timeout" in server_message(error) else "stopped"
    return otherwise


def _explained(
    error: Exception, file: str, kind: Kind, engine: Engine, seen: list[str], statements: list[str]
) -> AdminError:
    said = server_message(error) if isinstance(error, DBAPIError) else f"{type(error).__name__}: {error}"
    statement = masked(getattr(error, "statement", None) or "")
    message = ": ".join(part for part in (file, statement, said) if part)
    details = seen if kind == "lock_wait" else []
    try:
        with engine.connect() as connection:
            left = _invalid_indexes(connection, statements)
    except SQLAlchemyError:
        left = []
    return _index_error(message, left, details) if left else AdminError(message, kind=kind, details=details)


def _index_error(message: str, left: list[str], details: list[str]) -> AdminError:
    """Return the error for indexes that an interrupted `CREATE INDEX CONCURRENTLY` left. Writes maintain them, no query
    uses them.

    https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
    """
    sentences = [f"an invalid index is left, which no query uses and which has to be dropped: {name}" for name in left]
    return AdminError(
        message, kind="invalid_index", details=[*details, *sentences], cures=[f"drop-index {name}" for name in left]
    )


def _invalid_indexes(connection: Connection, statements: list[str]) -> list[str]:
    """Return the invalid indexes that these statements name; others are not theirs."""
    names: list[str] = list(connection.scalars(_INVALID))
    return [name for name in names if any(name.partition(".")[2] in statement for statement in statements)]


def drop_index(connection: Connection, engine: Engine, name: str) -> bool:
    """Drop an invalid index, named as `prepare` reports it. Returns whether it existed. Raises AdminError."""
    with connection.begin():
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
            return False
        if name not in connection.scalars(_INVALID).all():
            raise AdminError(f"{name} is not an invalid index, and only invalid ones are dropped")
        # It waits for transactions that began before it, and nothing waits for it.
        connection.execute(text("SELECT set_config('lock_timeout', '60s', false)"))
    own = connection.execution_options(isolation_level="AUTOCOMMIT")
    # The server gave this name, quoted where necessary.
    run_watched(own, engine, lambda: own.execute(text(f"DROP INDEX CONCURRENTLY {name}")), [], otherwise="other")
    return True


@contextmanager
def _statements_of(connection: Connection) -> Iterator[list[str]]:
    """Record the statements that run on `connection`."""
    statements: list[str] = []

    def remember(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", remember)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", remember)
