"""Make the errors of an engine with asyncpg those that SQLAlchemy has for the other drivers.

A connection that fails is asyncio's OSError, which SQLAlchemy does not translate. Most errors of the server are a plain
DBAPIError: https://docs.sqlalchemy.org/en/21/core/events.html#sqlalchemy.events.DialectEvents.handle_error
"""

from typing import Any

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from fargate_app import driver

#: The class of SQLSTATE for values that the server cannot take.
_DATA_EXCEPTION = "22"


def connect(dialect: Any, _: Any, arguments: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
    """Connect as the dialect does. Raises the dialect's OperationalError if the server cannot be reached in time."""
    try:
        return dialect.connect(*arguments, **parameters)
    except OSError as error:
        raise dialect.loaded_dbapi.OperationalError(str(error) or type(error).__name__) from error


def translate(context: ExceptionContext) -> DBAPIError | None:
    """Return the error for a plain DBAPIError; None if the error is more specific."""
    error = context.sqlalchemy_exception
    if type(error) is not DBAPIError:
        return None
    kind = DataError if (driver.sqlstate(error) or "").startswith(_DATA_EXCEPTION) else OperationalError
    return kind(
        error.statement,
        error.params,
        error.orig,  # type: ignore[arg-type]  # an error of the driver
        hide_parameters=error.hide_parameters,
        connection_invalidated=error.connection_invalidated,
    )
