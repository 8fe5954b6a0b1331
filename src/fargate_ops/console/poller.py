"""Reads AWS while somebody looks: one poller for all viewers, within one budget of calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from fargate_ops.console.budget import Budget
from fargate_ops.console.document import Page, Seen, difference
from fargate_ops.console.readings import Reading

#: Seconds after which a stream without a change says that it is alive.
ALIVE_SECONDS = 15.0

#: An event of the stream: its name and its data.
Event = tuple[str, dict[str, Any]]
#: The name of the event that has no data.
ALIVE = "alive"


class Poller:
    """Runs each reading at its interval while there is a viewer. Readings do not wait for each other."""

    def __init__(
        self,
        readings: Sequence[Reading],
        budget: Budget,
        page: Page,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        alive_seconds: float = ALIVE_SECONDS,
    ) -> None:
        self._readings = {reading.name: reading for reading in readings}
        self._budget, self._page, self._now, self._alive_seconds = budget, page, now, alive_seconds
        self._seen = {reading.name: Seen() for reading in readings}
        self._last = {reading.name: float("-inf") for reading in readings}
        self._running: dict[str, int] = {}
        self._viewers = 0
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._closed = False

    def document(self) -> dict[str, Any]:
        """Return the state document as of now. It calls nothing."""
        intervals = {name: self._interval(name) for name in self._readings}
        return {
            "now": self._now().isoformat(timespec="seconds"),
            "aws_calls": {"last_minute": self._budget.used(), "limit": self._budget.limit},
        } | self._page.document(self._seen, intervals)

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Read AWS as long as somebody is in here."""
        self._viewers += 1
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._stop()

    async def events(self) -> AsyncIterator[Event]:
        """Yield the whole document, then what changes in it, until `close`."""
        changed, sent = self._changed, self.document()
        yield "state", sent
        while not self._closed:
            try:
                await asyncio.wait_for(changed.wait(), self._alive_seconds)
            except TimeoutError:
                yield ALIVE, {}
                continue
            changed, current = self._changed, self.document()
            yield "delta", difference(sent, current)
            sent = current

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._stop()
        self._notify()

    def _stop(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        """Start each reading when it is due and the budget has room for it, those first that are due the longest."""
        clock, names = asyncio.get_running_loop().time, list(self._readings)

        def order(name: str) -> tuple[float, int]:
            return self._due(name), names.index(name)

        while True:
            self._wake.clear()
            rest: float | None = None
            for name in sorted(self._readings.keys() - self._running.keys(), key=order):
                reading, left = self._readings[name], self._due(name) - clock()
                rest = max(left, self._budget.seconds_until(reading.calls + sum(self._running.values())))
                if rest > 0:
                    break
                self._start(reading)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), rest)

    def _due(self, name: str) -> float:
        return self._last[name] + self._interval(name)

    def _interval(self, name: str) -> float:
        reading = self._readings[name]
        return reading.busy_interval if self._page.is_busy(self._seen) else reading.interval

    def _start(self, reading: Reading) -> None:
        """Read in a thread of its own, which an end of the console does not wait for."""
        loop = asyncio.get_running_loop()
        room = self._budget.limit - self._budget.used() - sum(self._running.values())
        calls = min(room, max(reading.calls, reading.most))
        self._running[reading.name] = calls
        self._last[reading.name] = loop.time()

        def read() -> None:
            result: Any
            try:
                result = reading.read(calls)
            except Exception as error:
                result = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._finish, reading.name, result)

        threading.Thread(target=read, name=f"console-{reading.name}", daemon=True).start()

    def _finish(self, name: str, result: Any) -> None:
        del self._running[name]
        before, at = self._seen[name], self._now()
        self._seen[name] = before.bad(result, at) if isinstance(result, Exception) else before.good(result, at)
        if name == "service" and not isinstance(result, Exception):
            self._follow(before.value, result)
        self._wake.set()
        self._notify()

    def _follow(self, before: Any, after: Any) -> None:
        for name, reading in self._readings.items():
            if reading.follows and before is not None and reading.follows(before) != reading.follows(after):
                self._last[name] = float("-inf")

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
