"""The local cloud's process: the emulator, moto's server and the threads of patches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.core.runtime import Cloud
from local_cloud.daemon import single_packet
from local_cloud.daemon.addresses import check_addresses
from local_cloud.daemon.control import CAPACITY_PATH, GIB_PATH, HEALTH_PATH, MINUTE_PATH
from local_cloud.moto_server.autoscaling import AutoscalingServer

logger = logging.getLogger(__name__)


KEEP_ALIVE_SECONDS = 120.0
SHUTDOWN_SECONDS = 2.0
"""How long requests in progress may take after SIGTERM."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def run(config: CloudConfig) -> None:
    """Serve until SIGTERM or SIGINT, then stop everything that was started.

    Raises:
        AddressError: an address is taken or missing.
        emulator.EmulatorError: MiniStack is missing or of another version.
    """
    config.work_dir.mkdir(parents=True, exist_ok=True)
    check_addresses(config)
    emulator.configure(config)
    with _pid_file(config):
        asyncio.run(_serve(config))


async def _serve(config: CloudConfig) -> None:
    # Imported here because patches import the emulator, which reads its environment when it is imported.
    from local_cloud.daemon.composition import compose

    application = emulator.application()
    logging.getLogger().setLevel(config.log_level)
    cloud = Cloud(config)
    compose(cloud)
    autoscaling = AutoscalingServer(cloud)
    cloud.at_start(autoscaling.start)
    cloud.each_minute(autoscaling.track)
    cloud.at_stop(autoscaling.stop)

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    gateway = _Gateway(application.app, cloud)
    single_packet.install()
    hypercorn = Config()
    hypercorn.bind = [
        f"{config.loopback_address}:{config.api_port}",
        f"{config.gateway_address}:{config.api_port}",
    ]
    hypercorn.keep_alive_timeout = KEEP_ALIVE_SECONDS
    hypercorn.keep_alive_max_requests = sys.maxsize
    hypercorn.graceful_timeout = SHUTDOWN_SECONDS
    hypercorn.loglevel = config.log_level
    hypercorn.accesslog = None

    async def shutdown() -> None:
        await stopping.wait()
        logger.info("stopping")
        gateway.ready = False
        # The emulator saves its state and removes its containers after this returns. By then nothing may start
        # another container.
        await asyncio.to_thread(cloud.stop)

    served: Any = gateway  # plain ASGI; hypercorn's own types are narrower
    serving = asyncio.create_task(serve(served, hypercorn, shutdown_trigger=shutdown))
    starting = asyncio.create_task(_start(cloud, gateway))
    try:
        await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            error = starting.exception()
            if error is not None:
                stopping.set()
                await serving
                raise error
        await serving
    finally:
        starting.cancel()
        logger.info("stopped")


async def _start(cloud: Cloud, gateway: _Gateway) -> None:
    await gateway.serving.wait()
    started = time.monotonic()
    await asyncio.to_thread(cloud.start)
    gateway.ready = True
    logger.info("ready (%.1f s after the API answered)", time.monotonic() - started)


class _Gateway:
    """ASGI: answers the control's endpoints, and passes other requests to the emulator's application."""

    def __init__(self, application: Any, cloud: Cloud) -> None:
        self._application = application
        self._config = cloud.config
        self._switches: dict[str, tuple[object, str, Callable[[Any], Any]]] = {
            MINUTE_PATH: (cloud.pace, "minute_seconds", float),
            GIB_PATH: (cloud.storage, "gib_bytes", float),
            CAPACITY_PATH: (cloud, "has_capacity", _boolean),
        }
        self._digest = cloud.config.digest  # of the running code: its files may change later
        self.ready = False
        self.serving = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, self._watch_lifespan(send))
        elif scope["type"] == "http" and scope["path"] == HEALTH_PATH:
            await self._answer_health(send)
        elif scope["type"] == "http" and scope["path"] in self._switches:
            await self._answer_switch(*self._switches[scope["path"]], scope["method"], receive, send)
        else:
            await self._application(scope, receive, send)

    def _watch_lifespan(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.serving.set()

        return watched

    async def _answer_health(self, send: Send) -> None:
        document = {
            "status": "ready" if self.ready else "starting",
            "pid": os.getpid(),
            "instance": self._config.instance,
            "config_digest": self._digest,
        }
        await _answer(send, 200 if self.ready else 503, document)

    async def _answer_switch(
        self, owner: object, name: str, convert: Callable[[Any], Any], method: str, receive: Receive, send: Send
    ) -> None:
        if method == "PUT":
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            try:
                setattr(owner, name, convert(json.loads(body)))
            except (ValueError, TypeError) as error:
                await _answer(send, 400, str(error))
                return
            logger.info("%s: %s", name, getattr(owner, name))
        await _answer(send, 200, getattr(owner, name))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"true or false, not {value!r}")
    return value


async def _answer(send: Send, status: int, document: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})


@contextlib.contextmanager
def _pid_file(config: CloudConfig) -> Iterator[None]:
    config.pid_file.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        config.pid_file.unlink(missing_ok=True)
