"""Errors as RFC 9457 problem details.

    Problem
    ├── NotFound          404
    ├── Conflict          409
    ├── InvalidInput      422
    └── Unavailable       503, with Retry-After

An application raises them. The handlers below turn the exceptions of FastAPI, Starlette and SQLAlchemy into the same
form.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fargate_app.logs import request_id, request_scope
from fargate_app.settings import DEFAULT_NAME

_log = logging.getLogger(__name__)
_RETRY_AFTER_SECONDS = 1
# Not registered with IANA. nginx logs it for a client that closed the connection before the response.
_CLIENT_CLOSED_REQUEST = 499


class Problem(Exception):
    """An error with its own response."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, kind: str, detail: str) -> None:
        """`kind` is the last part of the problem type, stable for clients; `detail` is for people."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class NotFound(Problem):
    """A resource named in the path or in the body does not exist."""

    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    """The request contradicts an earlier one."""

    status = HTTPStatus.CONFLICT


class InvalidInput(Problem):
    """Well-formed input that breaks a rule."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Unavailable(Problem):
    """The request is valid and may succeed if it is sent again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def problem_response(
    status: int,
    *,
    kind: str | None = None,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] | None = None,
) -> Response:
    """Build an `application/problem+json` response (https://www.rfc-editor.org/rfc/rfc9457)."""
    title = HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"urn:problem-type:{_service()}:{kind}" if kind else "about:blank",
        "title": kind.replace("-", " ").capitalize() if kind else title,
        "status": int(status),
    }
    if detail:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
    if (identifier := request_id.get()) is not None:
        body["request_id"] = identifier
    all_headers = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        all_headers.setdefault("Retry-After", str(_RETRY_AFTER_SECONDS))
    # json.dumps escapes all but ASCII, so a lone surrogate that a client sent as a key cannot break the response.
    return Response(json.dumps(body), status, all_headers, media_type="application/problem+json")


_HEADERS: Mapping[HTTPStatus, Mapping[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {
            "description": "The challenge (RFC 6750).",
            "required": True,
            "schema": {"type": "string", "pattern": "^Bearer"},
        }
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "Retry-After": {
            "description": "Seconds to wait before the request is sent again.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


def problem_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers with problem documents of these statuses.

    Only an application's own: `fargate_app.openapi` adds those that the library answers with to each operation.
    """
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        int(status): {"description": status.phrase, "content": content}
        | ({"headers": dict(_HEADERS[status])} if status in _HEADERS else {})
        for status in statuses
    }


def _service() -> str:
    """Return the name of the service that answers the current request."""
    scope = request_scope.get()
    return str(scope["app"].state.settings.app_name) if scope else DEFAULT_NAME


def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - narrows the type that Starlette's signature widens
    return problem_response(error.status, kind=error.kind, detail=error.detail)


def _on_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [{"location": [str(part) for part in e["loc"]], "message": e["msg"]} for e in error.errors()]
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, kind="invalid-request", errors=errors)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == HTTPStatus.BAD_REQUEST:
        # FastAPI's error for a body that json cannot read (not UTF-8, an integer of 5,000 digits, nested too deep).
        return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, kind="invalid-request", detail=error.detail)
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND and request.url.path.endswith("/") and not _has_slashes(request):
        detail = "No path of this service ends with a slash."
    return problem_response(error.status_code, detail=detail, headers=error.headers)


def _has_slashes(request: Request) -> bool:
    return any(getattr(route, "path", "").endswith("/") for route in request.app.routes)


def _on_pool_timeout(_: Request, error: Exception) -> Response:
    # Not the incident of a database that is down or full: terminating sessions there does not help.
    _log.error("no free database connection in this process's pool", extra={"reason": str(error)})
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        kind="database-pool-exhausted",
        detail="Every database connection of this process is in use.",
    )


def _on_database_error(_: Request, error: Exception) -> Response:
    _log.error("the database cannot be used", extra={"reason": str(getattr(error, "orig", error))})
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE, kind="database-unavailable", detail="The database did not answer in time."
    )


def _on_data_error(_: Request, error: Exception) -> Response:
    # Validation should have refused this value: the log line shows what to add to it.
    _log.error("the database refused a value", extra={"reason": str(getattr(error, "orig", error))})
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY, kind="invalid-request", detail="The database cannot store one of the values."
    )


def _on_disconnect(_: Request, __: Exception) -> Response:
    # Nobody receives it, but the request's log line shows it.
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


def install_problem_handlers(app: FastAPI, *, database: bool) -> None:
    """Turn every error of a request into a problem document; with `database`, those of SQLAlchemy too."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    if not database:
        return
    from sqlalchemy.exc import DataError, InterfaceError, InternalError, OperationalError, TimeoutError

    app.add_exception_handler(TimeoutError, _on_pool_timeout)
    # InternalError includes "read-only transaction", which a write gets during a failover.
    for unavailable in (OperationalError, InterfaceError, InternalError):
        app.add_exception_handler(unavailable, _on_database_error)
    app.add_exception_handler(DataError, _on_data_error)
