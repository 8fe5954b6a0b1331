"""The checks of health and readiness, and the task definition's revision."""

import json
import logging
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from fargate_app.authentication import KeySet
from fargate_app.database import Database
from fargate_app.health.schemas import ReadinessOut
from fargate_app.problems import Unavailable
from fargate_app.schema import database_revisions, is_current, schema

_log = logging.getLogger(__name__)
_METADATA_TIMEOUT_SECONDS = 1


class Health:
    """The health of this process.

    It becomes healthy once a database check has passed, so a release with wrong credentials never replaces a task.
    Where callers need tokens, the issuer's keys must have been read as well. From then on only the process counts: a
    short database outage must not make the load balancer replace all tasks at once.
    """

    def __init__(self, database: Database, keys: KeySet | None = None) -> None:
        self._database = database
        self._keys = keys
        self.is_healthy = False

    def check(self) -> None:
        """Run the checks. Raises Unavailable if one fails."""
        if self._keys and not self._keys.known:
            self._keys.refresh()
            if not self._keys.known:
                raise Unavailable("issuer-not-seen", "The issuer's keys have not been read since this process started.")
        try:
            self._database.ping()
        except SQLAlchemyError as error:
            _log_reason(error)
            raise Unavailable(
                "database-not-seen", "No database check has passed since this process started."
            ) from error
        self.is_healthy = True


def readiness(database: Database) -> ReadinessOut:
    """Query the database. Raises Unavailable if it cannot be used or its schema is older than this image's."""
    try:
        with database.connect() as connection:
            revisions = database_revisions(connection)
    except SQLAlchemyError as error:
        _log_reason(error)
        raise Unavailable("database-unavailable", "The database cannot be used.") from error
    known = ", ".join(revisions)
    if not is_current(revisions):
        raise Unavailable(
            "schema-too-old",
            f"The database's schema is at {known or 'no revision'}, this image needs {schema().head} or later.",
        )
    return ReadinessOut(schema_revision=known)


def _log_reason(error: SQLAlchemyError) -> None:
    # The reason names hosts and users: it goes to the log, not to the caller.
    _log.warning("database check failed", extra={"reason": str(getattr(error, "orig", None) or error)})


def task_definition_revision(metadata_uri: str | None) -> int | None:
    """Return this task's revision from the task metadata endpoint; None outside ECS or without an answer.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
    """
    if metadata_uri is None:
        return None
    address = urlsplit(metadata_uri)
    try:
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_METADATA_TIMEOUT_SECONDS)
        try:
            connection.request("GET", f"{address.path}/task")
            return int(json.loads(connection.getresponse().read())["Revision"])
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        _log.warning("the task metadata endpoint did not answer", extra={"reason": repr(error)})
        return None
