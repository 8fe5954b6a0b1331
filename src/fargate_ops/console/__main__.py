"""Serve the console of one environment until Ctrl-C: ``python -m fargate_ops.console .local/<env>/console.json``."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from fargate_ops.aws.session import aws_session, client_config
from fargate_ops.console.budget import Budget, CountedClients
from fargate_ops.console.document import Page
from fargate_ops.console.poller import Poller
from fargate_ops.console.readings import readings
from fargate_ops.console.server import create_app
from fargate_ops.console.settings import Settings, port_of
from fargate_ops.core.problem import OperationsError
from fargate_ops.state.lock import Machine
from fargate_ops.terraform.stack import Stack

ADDRESS = "127.0.0.1"


class Server(uvicorn.Server):
    """Ends the streams on Ctrl-C: uvicorn waits for open connections."""

    poller: Poller

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.loop.call_soon_threadsafe(self.poller.close)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().serve(sockets)


def listen(port: int) -> socket.socket:
    """Return a socket on the loopback to which one can connect: the address is printed before the server runs.

    Raises:
        OperationsError: the port is taken.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise OperationsError(
            f"port {port} of this machine cannot be used ({error.strerror}). Next: make console without PORT"
        ) from None
    return listener


def serve(settings: Settings, port: int) -> None:
    """Serve the page until a signal ends it."""
    settings.apply(os.environ)
    stack = Stack(settings.stack, settings.environment)
    # A reading is repeated at its interval, and each attempt counts.
    config = client_config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=10)
    budget = Budget()
    clients = CountedClients(aws_session(settings.aws_environment, settings.region, config), budget)
    page = Page(environment=settings.environment, stack=stack, machine=Machine.this())
    sources = readings(clients, stack, environment=settings.environment, bucket=settings.bucket)
    poller = Poller(sources, budget, page)
    listener = listen(port)
    port = listener.getsockname()[1]
    app = create_app(poller, port)
    server = Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off"))
    server.poller = poller
    print(f"{settings.environment}: http://{ADDRESS}:{port}  (read-only; Ctrl-C ends it)", flush=True)
    server.run([listener])


def main() -> None:
    try:
        serve(Settings.read(Path(sys.argv[1])), port_of(os.environ))
    except OperationsError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
    # A call that is still under way changes nothing: it is not waited for.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
