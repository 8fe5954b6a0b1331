"""Serve the page on the loopback: its files, the state document, and the stream of changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fargate_ops.console.poller import ALIVE, Event, Poller

STATIC = Path(__file__).with_name("static")
#: The page loads what this server serves, and nothing else.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "font", "connect")),
        *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Milliseconds after which a browser reconnects to the stream.
_RETRY_MILLISECONDS = 2000


def create_app(poller: Poller, port: int) -> ASGIApp:
    """Return the application for the server on this port of the loopback."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/api/state")
    async def state() -> JSONResponse:
        return JSONResponse(poller.document())

    @app.get("/api/events")
    async def events() -> EventStream:
        return EventStream(poller)

    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    return Guard(app, port)


class EventStream(StreamingResponse):
    """The stream of one viewer: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

    def __init__(self, poller: Poller) -> None:
        super().__init__(_stream(poller.events()), media_type="text/event-stream")
        self._poller = poller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._poller.viewer():
            await super().__call__(scope, receive, send)


class Guard:
    """Refuses what is not a reading request of this page, and adds the headers that each answer has.

    A page of another site can reach the loopback from this machine's browser. It is refused by the ``Host`` that it
    sends (DNS rebinding), or by the browser's ``Sec-Fetch-Site``; following a link to the page itself is allowed.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse(f"The console answers only to {' and '.join(sorted(self._hosts))}\n", 421)
        if scope["type"] != "http" or scope["method"] != "GET":
            return PlainTextResponse("The console only reads\n", 405, headers={"Allow": "GET"})
        if scope["path"] != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("Another site may not read the console\n", 403)
        return None


async def _stream(events: AsyncIterator[Event]) -> AsyncIterator[str]:
    yield f"retry: {_RETRY_MILLISECONDS}\n\n"
    async for name, data in events:
        yield ": alive\n\n" if name == ALIVE else f"event: {name}\ndata: {_json(data)}\n\n"


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"))
