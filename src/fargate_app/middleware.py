"""Middleware around every request: its identifier and log line, the body limit, and the answer to an exception.

It is plain ASGI: Starlette's BaseHTTPMiddleware costs a task and two queues for each request.
"""

import logging
import random
import re
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fargate_app.client import Client
from fargate_app.logs import request_id, request_scope
from fargate_app.problems import problem_response

_log = logging.getLogger("fargate_app.access")
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
_TRACE_HEADER = b"x-amzn-trace-id"
_TRACE_ROOT = re.compile(r"(?:^|;)\s*Root=([0-9A-Za-z-]{1,64})\s*(?:;|$)")
_HEALTH_PATHS = frozenset({"/healthz", "/readyz"})


def trace_identifier(header: str | None) -> str:
    """Return the Root of an `X-Amzn-Trace-Id` header, or a new one of the same form: `1-<time>-<random>` in hex."""
    if header and (match := _TRACE_ROOT.search(header)):
        return match.group(1)
    return f"1-{int(time.time()):08x}-{random.getrandbits(96):024x}"


class RequestContextMiddleware:
    """Gives each request an identifier, logs it once, and turns an unhandled exception into a 500 problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = time.perf_counter()
        traces = [value for name, value in scope["headers"] if name == _TRACE_HEADER]
        identifier = trace_identifier(traces[0].decode("latin-1") if traces else None)
        header = (b"x-request-id", identifier.encode("latin-1"))
        token, scope_token = request_id.set(identifier), request_scope.set(scope)
        status: int | None = None

        async def send_with_identifier(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(scope, receive, send_with_identifier)
        except Exception:
            _log.exception("unhandled exception")
            if status is not None:
                raise  # the response has begun: only a broken connection shows the client that it is incomplete
            response = problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, kind="internal-error")
            await response(scope, receive, send_with_identifier)
        finally:
            quiet = scope["path"] in _HEALTH_PATHS and status == HTTPStatus.OK
            _log.log(
                logging.DEBUG if quiet else logging.INFO,
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "route": getattr(scope.get("route"), "path", None),
                    "status": status,
                    "duration_ms": round((time.perf_counter() - started) * 1000, 2),
                },
            )
            request_id.reset(token)
            request_scope.reset(scope_token)


class BodyLimitMiddleware:
    """Answers 413 to a body that is too large, before it fills the memory.

    Starlette's own limit bypasses the exception handlers and answers in plain text.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, Client(scope, receive, self._limit_bytes).receive, send)
