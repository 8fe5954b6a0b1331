"""JSON logs, one object a line, each with the identifier of its request.

Context variables hold the current request, so that code in any thread can name it and its endpoint.
"""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
# The ASGI scope of the request. The router adds the endpoint to it after the middleware has set this.
request_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("request_scope", default=None)

_encode = json.JSONEncoder(default=str).encode
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def endpoint() -> str:
    """Return the current request's endpoint, such as `GET /items/{item_id}`; empty outside a request."""
    scope = request_scope.get()
    if scope is None:
        return ""
    route = scope.get("route")
    return f"{scope['method']} {route.path}" if route is not None else ""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; each key of `extra` becomes a field."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (identifier := request_id.get()) is not None:
            entry["request_id"] = identifier
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD_ATTRIBUTES}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _encode(entry)


def logging_config(level: str) -> dict[str, Any]:
    """Return a configuration for logging.config.dictConfig that writes JSON to standard output."""
    own = {"handlers": ["stdout"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
        "root": {"handlers": ["stdout"], "level": "WARNING"},
        "loggers": {
            "fargate_app": own,
            # Metrics are logged at any level: CloudWatch reads them from these lines.
            "fargate_app.metrics": own | {"level": "INFO"},
            "gunicorn.error": own,  # uvicorn's worker class gives these handlers to uvicorn.error
            "alembic": own,
        },
    }
