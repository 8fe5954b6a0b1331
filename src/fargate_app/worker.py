"""gunicorn's worker: uvicorn with the service's options, and a shutdown that loses no request."""

import asyncio
import sys
from contextlib import suppress
from functools import partial
from socket import socket
from typing import Any, ClassVar, cast

from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

#: How long an open connection may still send a request after SIGTERM. An idle one of a load balancer lasts as long.
_IDLE_SECONDS = 1.0
#: How long after SIGTERM a request's body may take to arrive. After that, its client has stalled.
_BODY_SECONDS = 3.0


class GracefulServer(Server):
    """uvicorn's server, which answers each request that arrives on a connection that it has accepted.

    uvicorn closes every connection that is between two requests, whose client may be sending the next one, and waits
    without limit for a body. This server accepts no new connection, but answers a last request on the open ones with
    `Connection: close` (https://www.rfc-editor.org/rfc/rfc9112#section-9.6).
    """

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let the connections send what they have begun, then shut down as uvicorn does."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        await self._accept_the_last(sockets or [])
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in self._connections():
            if connection.cycle and not connection.cycle.response_started:
                connection.cycle.keep_alive = False
        while self._connections() and loop.time() < started + _IDLE_SECONDS:
            await asyncio.sleep(0.05)
        stalled = loop.call_at(started + _BODY_SECONDS, self._close_stalled)
        await super().shutdown(sockets)
        stalled.cancel()

    def _connections(self) -> list[HttpToolsProtocol]:
        return list(cast("set[HttpToolsProtocol]", self.server_state.connections))

    async def _accept_the_last(self, sockets: list[socket]) -> None:
        """Accept what the kernel has connected already, and close the listening sockets.

        The kernel resets a connection that it makes between the two, within microseconds.
        """
        accepted: list[socket] = []
        for listening in sockets:
            with suppress(OSError):  # BlockingIOError: there is none left
                while True:
                    accepted.append(listening.accept()[0])
        for server in self.servers:
            server.close()
        for listening in sockets:
            listening.close()
        protocol = partial(HttpToolsProtocol, self.config, self.server_state, self.lifespan.state)
        for connection in accepted:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)

    def _close_stalled(self) -> None:
        """Close the connections whose request has not arrived completely."""
        for connection in self._connections():
            if connection.cycle and connection.cycle.more_body:
                connection.transport.close()


class Worker(UvicornWorker):  # type: ignore[misc]  # has no type information
    """uvicorn on asyncio and httptools; a lifespan that fails stops the worker; the service logs requests itself."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",  # uvloop adds 16 MB and gains nothing, because each request waits for a thread
        "http": "httptools",
        "lifespan": "on",
        "ws": "none",
        "access_log": False,
        "server_header": False,
        # Of X-Forwarded-*, the load balancer's only: a redirect then leads back to https. gunicorn reads its range from
        # FORWARDED_ALLOW_IPS, without which only this machine is trusted.
        "proxy_headers": True,
    }

    async def _serve(self) -> None:
        """Serve until SIGTERM, as the parent class does with uvicorn's own server."""
        self.config.app = self.wsgi
        server = GracefulServer(self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
