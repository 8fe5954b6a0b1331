"""A steady stream of requests that counts every one that is lost. Nothing is retried."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator


@dataclasses.dataclass
class Report:
    """What happened to the requests."""

    answers: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """By status code and body, ``200 2``."""
    lost: list[str] = dataclasses.field(default_factory=list)
    """One line for each request without a 200."""
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.answers.values()) + len(self.lost)


class _Client:
    """Sends one request after the other, on one connection or each on a fresh one."""

    def __init__(self, port: int, path: str, *, keep_alive: bool, pause: float) -> None:
        self.port, self.path, self.keep_alive, self.pause = port, path, keep_alive, pause
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, report: Report, stop: asyncio.Event) -> None:
        while not stop.is_set():
            started = time.monotonic()
            try:
                status, body = await self._request()
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self._close()
                report.lost.append(f"{time.strftime('%H:%M:%S')} {self.path} {error!r}")
            else:
                if status == 200:
                    report.answers[f"{status} {body}"] += 1
                else:
                    report.lost.append(f"{time.strftime('%H:%M:%S')} {self.path} {status} {body[:80]}")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.0, self.pause - (time.monotonic() - started)) + 1e-6)
        self._close()

    async def _request(self) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        mode = "keep-alive" if self.keep_alive else "close"
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: test\r\nConnection: {mode}\r\n\r\n".encode())
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        body = (await reader.readexactly(length)).decode()
        if not self.keep_alive or "connection: close" in head:
            self._close()
        return int(head.split()[1]), body

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@contextlib.contextmanager
def load(port: int, *, per_second: int = 250) -> Iterator[Report]:
    """Send requests to a port while the block runs: kept-alive, fresh and two-second ones."""
    report = Report()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    clients = [_Client(port, "/", keep_alive=True, pause=20 / (per_second / 2)) for _ in range(20)]
    clients += [_Client(port, "/", keep_alive=False, pause=20 / (per_second / 2)) for _ in range(20)]
    clients += [_Client(port, "/slow/2", keep_alive=number % 2 == 0, pause=0.0) for number in range(6)]

    async def run() -> None:
        await asyncio.gather(*(client.run(report, stop) for client in clients))

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    started = time.monotonic()
    thread.start()
    try:
        yield report
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        report.seconds = time.monotonic() - started
