"""The checks of a service with a database."""

import logging
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from fargate_app.database import database_revisions, ping
from fargate_app.health.schemas import ReadinessOut
from fargate_app.problems import Unavailable
from fargate_app.schema import Schema

if TYPE_CHECKING:
    from fargate_app.async_database import AsyncDatabase
    from fargate_app.database import Database

_log = logging.getLogger(__name__)


async def check_database(database: "Database | AsyncDatabase") -> None:
    """Run one statement, unless a request has used a connection. Raises Unavailable if the database cannot be used.

    A worker whose first check failed may get the next one when all its connections are in use.
    """
    if database.watch.was_used:
        return
    try:
        await database.inspect(ping)
    except SQLAlchemyError as error:
        _log_reason(error)
        raise Unavailable("database-not-seen", "No database check has passed since this process started.") from error


async def readiness(database: "Database | AsyncDatabase", schema: Schema | None) -> ReadinessOut:
    """Query the database. Raises Unavailable if it cannot be used or its schema is older than this image's."""
    try:
        revisions = await database.inspect(database_revisions)
    except SQLAlchemyError as error:
        _log_reason(error)
        raise Unavailable("database-unavailable", "The database cannot be used.") from error
    known = ", ".join(revisions)
    if schema and not schema.is_current(revisions):
        raise Unavailable(
            "schema-too-old",
            f"The database's schema is at {known or 'no revision'}, this image needs {schema.head} or later.",
        )
    return ReadinessOut(schema_revision=known or None)


def _log_reason(error: SQLAlchemyError) -> None:
    # The reason names hosts and users: it goes to the log, not to the caller.
    _log.warning("database check failed", extra={"reason": str(getattr(error, "orig", None) or error)})
