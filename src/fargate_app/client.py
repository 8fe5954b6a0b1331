"""The client of a request: the messages that it sends, and whether it is still connected."""

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fargate_app.logs import request_scope

if TYPE_CHECKING:  # the admin command, which needs no Starlette, imports this module too
    from starlette.types import Message, Receive, Scope

_KEY: Final = "fargate_app.client"


class Client:
    """What the client of one request sends: at most `limit_bytes`, and in the end that it disconnected.

    ASGI has no other sign of a disconnect than a message that follows the body. So `disconnected` reads ahead, and
    keeps for the application what it reads
    (https://asgi.readthedocs.io/en/latest/specs/www.html#disconnect-receive-event).
    """

    __slots__ = ("_kept", "_limit_bytes", "_receive", "_received_bytes", "since")

    def __init__(self, scope: "Scope", receive: "Receive", limit_bytes: int) -> None:
        #: When the request came, as a time of the monotonic clock.
        self.since = time.monotonic()
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._received_bytes = 0
        self._kept: list[Message] = []
        scope[_KEY] = self

    async def receive(self) -> "Message":
        """Return the next message. Raises HTTPException 413 for a body that is too large."""
        message = self._kept.pop(0) if self._kept else await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._limit_bytes:
            from starlette.exceptions import HTTPException

            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The limit is {self._limit_bytes} bytes.")
        return message

    async def disconnected(self) -> bool:
        """Wait until the client disconnects. Return false if the application has not read the body: it comes first."""
        while not self._kept or not self._kept[-1].get("more_body"):
            if self._kept and self._kept[-1]["type"] == "http.disconnect":
                return True
            self._kept.append(await self._receive())
        return False


def current_client() -> Client | None:
    """Return the client of the current request; none outside a request."""
    scope = request_scope.get()
    return None if scope is None else scope.get(_KEY)
