"""The OpenAPI document: what the library answers by itself, which FastAPI does not know.

FastAPI documents its own form of 422, and none of the other errors. Here each operation gets the problem documents that
the library's middleware and exception handlers answer with, and the header of every response.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from fargate_app.health.router import PATHS
from fargate_app.problems import problem_responses

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_FASTAPI_ERROR = {"$ref": "#/components/schemas/HTTPValidationError"}
_PROBLEM = {
    "title": "ProblemDetails",
    "description": "Problem details (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "`about:blank`, or `urn:problem-type:<service>:<kind>`."},
        "title": {"type": "string", "description": "The kind, for people."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What happened, for people."},
        "errors": {
            "type": "array",
            "description": "The parts of the request that are wrong.",
            "items": {
                "type": "object",
                "required": ["location", "message"],
                "properties": {
                    "location": {"type": "array", "items": {"type": "string"}},
                    "message": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string", "description": "The value of `X-Request-Id`."},
    },
}
_REQUEST_ID = {
    "description": "The `Root` of the request's `X-Amzn-Trace-Id`, or a new one. The service's log contains it.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"},
}


def install_openapi(app: FastAPI, *, database: bool, authenticated: bool) -> None:
    """Complete the document that `app` generates.

    `database`: whether an operation may find no database. `authenticated`: whether callers need a token.
    """
    generate = app.openapi
    completed: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        nonlocal completed
        document = generate()
        if document is not completed:  # FastAPI generates it again when routes are added
            _complete(document, database=database, authenticated=authenticated)
            completed = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # https://fastapi.tiangolo.com/how-to/extending-openapi/


def _complete(document: dict[str, Any], *, database: bool, authenticated: bool) -> None:
    for path, operation in _operations(document):
        responses = operation["responses"]
        statuses: set[HTTPStatus] = set()
        if "requestBody" in operation:
            statuses.add(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if _content_of(responses.get("422")) == _FASTAPI_ERROR:
            del responses["422"]
            statuses.add(HTTPStatus.UNPROCESSABLE_ENTITY)
        if path not in PATHS:
            if authenticated:
                # Beside what the application itself asks for.
                operation["security"] = [own | {"bearer": []} for own in operation.get("security", [{}])]
                statuses.add(HTTPStatus.UNAUTHORIZED)
            if authenticated or database:
                statuses.add(HTTPStatus.SERVICE_UNAVAILABLE)
        for status, response in problem_responses(*statuses).items():
            responses.setdefault(str(status), response)
        for response in responses.values():
            response["headers"] = response.get("headers", {}) | {
                "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}
            }
        operation["responses"] = dict(sorted(responses.items()))

    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    if _FASTAPI_ERROR["$ref"] not in str(document["paths"]):
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
    schemas["ProblemDetails"] = _PROBLEM
    components.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID
    if authenticated:
        components.setdefault("securitySchemes", {})["bearer"] = {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
        }


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, operation


def _content_of(response: dict[str, Any] | None) -> Any:
    return (response or {}).get("content", {}).get("application/json", {}).get("schema")
