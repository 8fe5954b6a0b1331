"""Why the admin task failed, as the release that runs it reads it: one JSON object, the last line of the output."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError

#: What a person can do next depends on this alone:
#: `lock_wait`      a session that can be ended holds what was needed
#: `invalid_index`  an index has to be dropped first, by a command in `cures`
#: `migration`      a revision is wrong, and only another commit helps
#: `time_limit`     a statement took longer than it may
#: `stopped`        somebody stopped the task or cancelled its statement
#: `full`           the server has no connection left
#: `unreachable`    the server did not answer, or refused the master user
#: `secret`         Secrets Manager refused
#: `other`          anything else, the task's own settings among it
Kind = Literal[
    "lock_wait", "invalid_index", "migration", "time_limit", "stopped", "full", "unreachable", "secret", "other"
]

_FULL = ("connection slots are reserved", "too many clients", "too many connections")
_DATA_EXCEPTION = "22"  # the class of SQLSTATEs whose messages repeat the value


class AdminError(Exception):
    """The database is in a state that this program must not, or cannot, put right.

    `details` are sentences about the cause; `cures` are arguments of `settlement.admin` that remove it.
    """

    def __init__(
        self, message: str, *, kind: Kind = "other", details: Sequence[str] = (), cures: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.details = list(details)
        self.cures = list(cures)


class Stopped(BaseException):
    """This process got SIGTERM. No exception that code of a revision might catch."""


def is_full(error: DBAPIError) -> bool:
    """Whether the server refused a connection because it has none left."""
    return any(words in str(error.orig) for words in _FULL)


def server_message(error: DBAPIError) -> str:
    """What the server said, without a row's values, which are customers' data: those are in its DETAIL.

    A connection that failed has no SQLSTATE, and its message names host and user alone.
    """
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig).strip()
    if (getattr(error.orig, "pgcode", None) or "").startswith(_DATA_EXCEPTION):
        said = re.sub(r'"[^"]*"', '"…"', said)
    return f"{type(error.orig).__name__}: {said}"


def failure(error: Exception) -> dict[str, Any]:
    """The line for an error that ended the task."""
    details, cures = getattr(error, "details", []), getattr(error, "cures", [])
    return {"error": _message(error), "kind": _kind(error), "details": details, "cures": cures}


def _message(error: Exception) -> str:
    if isinstance(error, AdminError):
        return str(error)
    if isinstance(error, DBAPIError):
        return server_message(error)
    # SQLAlchemy and pydantic are told to hide parameters and inputs: what is left holds no secret.
    return f"{type(error).__name__}: {error}"


def _kind(error: Exception) -> Kind:
    match error:
        case AdminError():
            return error.kind
        case DBAPIError() if is_full(error):
            return "full"
        case DBAPIError() if getattr(error.orig, "pgcode", None) is None:
            return "unreachable"
        case BotoCoreError() | ClientError():
            return "secret"
        case _:
            return "other"
