"""Failures of the admin task: one JSON object, the last line of the output, which the release reads."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError

from fargate_app.driver import is_full, sqlstate

#: The next step depends on the kind alone:
#: `lock_wait`      another session holds a lock that was needed, and can be terminated
#: `invalid_index`  an index has to be dropped first, by a command in `cures`
#: `migration`      a revision is wrong, and only another commit helps
#: `time_limit`     a statement exceeded its time limit
#: `stopped`        somebody stopped the task or cancelled its statement
#: `full`           the server has no free connection
#: `unreachable`    the server did not answer, or refused the master user
#: `secret`         Secrets Manager refused the call
#: `other`          anything else, including wrong settings of the task
Kind = Literal[
    "lock_wait", "invalid_index", "migration", "time_limit", "stopped", "full", "unreachable", "secret", "other"
]

_DATA_EXCEPTION = "22"  # the class of SQLSTATEs whose messages repeat the value


class AdminError(Exception):
    """The database is in a state that this program must not or cannot correct.

    `details` are sentences about the cause; `cures` are arguments of the admin command that remove it.
    """

    def __init__(
        self, message: str, *, kind: Kind = "other", details: Sequence[str] = (), cures: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.details = list(details)
        self.cures = list(cures)


class Stopped(BaseException):
    """This process got SIGTERM. No Exception, so that code of a revision does not catch it."""


def server_message(error: DBAPIError) -> str:
    """Return the server's message without its DETAIL and without values, which are customers' data.

    A failed connection has no SQLSTATE, and its message names only host and user.
    """
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig).strip()
    if (sqlstate(error) or "").startswith(_DATA_EXCEPTION):
        said = re.sub(r'"[^"]*"', '"…"', said)
    return f"{type(error.orig).__name__}: {said}"


def failure(error: Exception) -> dict[str, Any]:
    """Return the last line of the output for an error that ended the task."""
    details, cures = getattr(error, "details", []), getattr(error, "cures", [])
    return {"error": _message(error), "kind": _kind(error), "details": details, "cures": cures}


def _message(error: Exception) -> str:
    if isinstance(error, AdminError):
        return str(error)
    if isinstance(error, DBAPIError):
        return server_message(error)
    # SQLAlchemy and pydantic are configured to hide parameters and inputs, so the message contains no secret.
    return f"{type(error).__name__}: {error}"


def _kind(error: Exception) -> Kind:
    match error:
        case AdminError():
            return error.kind
        case DBAPIError() if is_full(error):
            return "full"
        case DBAPIError() if sqlstate(error) is None:
            return "unreachable"
        case BotoCoreError() | ClientError():
            return "secret"
        case _:
            return "other"
