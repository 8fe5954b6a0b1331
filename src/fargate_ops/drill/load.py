"""A steady stream of requests, without retries, that counts every lost one.

`background` runs it in this process while a block runs. ``python -m fargate_ops.drill.load <json>`` runs it in a
detached process of bounded duration that writes its report to a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fargate_ops.core import trust
from fargate_ops.state.lock import Machine, is_alive

#: A request without a response after this many seconds is lost.
ANSWER_SECONDS = 30.0
#: How often the detached process writes its report and checks whether to stop.
REPORT_SECONDS = 0.2
#: Lost requests shown one by one, for each kind of request; all are counted.
EXAMPLES = 10
#: Number of pieces of a body that is sent slowly.
PIECES = 20


@dataclass(frozen=True, kw_only=True)
class Request:
    """One kind of request. A response with another status than ``status`` counts as lost."""

    name: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class Clients:
    """``count`` identical clients that send ``per_second`` requests in total; 0: one after the other, without a pause.

    A slow client takes ``body_seconds`` to send its body, so its request occupies a target for as long.
    """

    request: Request
    count: int
    per_second: float = 0.0
    keep_alive: bool = True
    body_seconds: float = 0.0

    @property
    def period(self) -> float:
        """Seconds between two requests of one client."""
        return self.count / self.per_second if self.per_second else 0.0

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Clients:
        return cls(**{**plain, "request": Request(**plain["request"])})


@dataclass(kw_only=True)
class Tally:
    """The results of one kind of request. Times are seconds since the load began."""

    answers: Counter[str] = field(default_factory=Counter)
    """Successes by status and body: ``200 2``."""
    lost: int = 0
    examples: list[str] = field(default_factory=list)
    first_lost: float | None = None
    last_lost: float | None = None
    last_lost_sent: float | None = None
    """When the lost request that was sent last was sent."""
    last_answer: float | None = None

    @property
    def answered(self) -> int:
        return sum(self.answers.values())


@dataclass(kw_only=True)
class Report:
    """The results of all requests, by their names. ``began`` is a time of this machine's monotonic clock."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    began: float = 0.0
    seconds: float = 0.0
    done: bool = False

    @property
    def answers(self) -> Counter[str]:
        # Copies: another thread may be counting.
        return sum((tally.answers.copy() for tally in list(self.tallies.values())), Counter())

    @property
    def lost(self) -> int:
        return sum(tally.lost for tally in list(self.tallies.values()))

    @property
    def examples(self) -> list[str]:
        return [line for tally in self.tallies.values() for line in tally.examples]

    @property
    def total(self) -> int:
        return self.answers.total() + self.lost

    def to_json(self) -> str:
        # asdict would rebuild each Counter from pairs, and so count the pairs.
        return json.dumps(vars(self) | {"tallies": {name: vars(tally) for name, tally in self.tallies.items()}})

    @classmethod
    def from_json(cls, body: str) -> Report:
        plain = json.loads(body)
        tallies = {
            name: Tally(**{**tally, "answers": Counter(tally["answers"])}) for name, tally in plain["tallies"].items()
        }
        return cls(**{**plain, "tallies": tallies})


class _Client:
    """Sends one request after the other, on one connection or on a fresh one each."""

    def __init__(self, url: str, clients: Clients) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = trust.context() if parts.scheme == "https" else None
        self._path = parts.path.rstrip("/") + clients.request.path
        self.clients = clients
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, report: Report, began: float, stop: asyncio.Event) -> None:
        request = self.clients.request
        tally = report.tallies.setdefault(request.name, Tally())
        while not stop.is_set():
            started = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_SECONDS + self.clients.body_seconds):
                    status, body = await self._request()
            except (OSError, EOFError, ValueError) as error:
                self._close()
                why = f"{error!r}"
            else:
                why = "" if status == request.status else f"{status} {body[:80]}"
            now = time.monotonic() - began
            if why:
                tally.lost += 1
                tally.first_lost = now if tally.first_lost is None else tally.first_lost
                tally.last_lost = now
                tally.last_lost_sent = max(tally.last_lost_sent or 0.0, started - began)
                if len(tally.examples) < EXAMPLES:
                    tally.examples.append(f"{now:.1f} s {request.method} {request.path}: {why}")
            else:
                tally.answers[f"{status} {body}"] += 1
                tally.last_answer = now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.0, self.clients.period - (time.monotonic() - started)) + 1e-6)
        self._close()

    async def _request(self) -> tuple[int, str]:
        request = self.clients.request
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        reader, writer = self._streams
        body = request.body.encode()
        headers = {
            "Host": self._host,
            "Connection": "keep-alive" if self.clients.keep_alive else "close",
            **({"Content-Length": str(len(body))} if body else {}),
            **request.headers,
        }
        lines = [f"{request.method} {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._send(writer, body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        _, found, rest = head.partition("\r\ncontent-length:")
        answer = await (reader.readexactly(int(rest.split("\r\n")[0])) if found else reader.read())
        if not self.clients.keep_alive or not found or "connection: close" in head:
            self._close()
        return int(head.split()[1]), answer.decode(errors="replace")

    async def _send(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        if not self.clients.body_seconds:
            writer.write(body)
            await writer.drain()
            return
        size = -(-len(body) // PIECES) or 1
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(self.clients.body_seconds / len(pieces))

    def _close(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            if self._tls:
                writer.transport.abort()  # TLS's closing handshake would outlast the load
            else:
                writer.close()
            self._streams = None


async def send(url: str, clients: Sequence[Clients], report: Report, stop: asyncio.Event) -> None:
    """Send requests to ``url`` until ``stop`` is set and the requests in progress have ended."""
    began = report.began = time.monotonic()
    try:
        await asyncio.gather(
            *(_Client(url, group).run(report, began, stop) for group in clients for _ in range(group.count))
        )
    finally:
        report.seconds = time.monotonic() - began


@contextlib.contextmanager
def background(url: str, clients: Sequence[Clients]) -> Iterator[Report]:
    """Send requests while the block runs. The report is updated meanwhile and complete afterwards."""
    report = Report()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(send(url, clients, report, stop),))
    thread.start()
    try:
        yield report
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        report.done = True


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The task of the detached process. It ends after the limit, if `stop_file` exists, or with the playbook."""

    url: str
    clients: Sequence[Clients]
    report: str
    limit_seconds: float
    pid: int
    holder: str

    def to_argument(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, argument: str) -> Assignment:
        plain = json.loads(argument)
        return cls(**{**plain, "clients": [Clients.from_plain(item) for item in plain["clients"]]})


def stop_file(report: str | Path) -> Path:
    """Return the file whose existence ends the load."""
    return Path(f"{report}.stop")


async def _run(assignment: Assignment) -> None:
    report = Report()
    stop = asyncio.Event()
    path, machine, began = Path(assignment.report), Machine.this(), time.monotonic()
    sending = asyncio.ensure_future(send(assignment.url, assignment.clients, report, stop))
    while not sending.done():
        await asyncio.wait([sending], timeout=REPORT_SECONDS)
        report.seconds = time.monotonic() - began
        _write(path, report)
        over = report.seconds > assignment.limit_seconds or stop_file(path).exists()
        if over or not is_alive(machine, assignment.pid, assignment.holder):
            stop.set()
    sending.result()
    report.done = True
    _write(path, report)


def _write(path: Path, report: Report) -> None:
    """Replace the file atomically: a reader never sees half of it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(report.to_json(), encoding="utf-8")
    new.replace(path)


def main(argument: str) -> int:
    asyncio.run(_run(Assignment.from_argument(argument)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
