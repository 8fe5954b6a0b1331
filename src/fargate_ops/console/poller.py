"""Reads AWS while somebody looks: one poller for all viewers, within one budget of calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from fargate_ops.console.budget import Budget
from fargate_ops.console.document import Page, Seen, difference
from fargate_ops.console.readings import Reading

#: Seconds after which a stream without a change says that it is alive.
ALIVE_SECONDS = 15.0

#: Calls of the budget that the other readings leave for the first one, so that it goes on while they wait.
LEFT_FOR_FIRST = 3
#: The share of the budget above which the other readings are spread, and the seconds between two of their calls.
SPREAD_ABOVE = 0.6
SPREAD_SECONDS = 2.0

#: An event of the stream: its name and its data.
Event = tuple[str, dict[str, Any]]
#: The name of the event that has no data.
ALIVE = "alive"


def in_thread(work: Callable[[], None]) -> None:
    """Do work in a thread of its own, which an end of the console does not wait for."""
    threading.Thread(target=work, daemon=True).start()


class Poller:
    """Runs each reading at its interval while there is a viewer. None waits for the answer of another."""

    def __init__(
        self,
        readings: Sequence[Reading],
        budget: Budget,
        page: Page,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        run: Callable[[Callable[[], None]], None] = in_thread,
    ) -> None:
        self._readings = {reading.name: reading for reading in readings}
        self._budget, self._page, self._now, self._run_apart = budget, page, now, run
        self._seen = {reading.name: Seen() for reading in readings}
        self._last = {reading.name: float("-inf") for reading in readings}
        self._running: set[str] = set()
        self._hurried: set[str] = set()
        self._others_from = float("-inf")
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

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield the whole document, then what changes in it, until `close`."""
        changed, sent = self._changed, self.document()
        yield "state", sent
        while not self._closed:
            if not await _is_set(changed, ALIVE_SECONDS):
                yield ALIVE, {}
                continue
            changed, current = self._changed, self.document()
            change = difference(sent, current)
            if change["sections"]:
                yield "delta", change
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
        """Start each reading when it is due and the budget has room for it."""
        while True:
            self._wake.clear()
            rest = self._start_due()
            await _is_set(self._wake, rest)

    def _start_due(self) -> float | None:
        """Start what can start. Return the seconds until the next can; None if everything is being read.

        The first reading goes before the others, which leave it some room. Of those, the one that is due the longest
        goes first, and without room for it the later ones wait too. Once much of the budget is used they are spread,
        except those that follow a change.
        """
        first, *others = self._readings
        rests = []
        for name in (first, *sorted(others, key=self._due)):
            if name in self._running:
                continue
            reading, now = self._readings[name], self._now_seconds()
            under_way = sum(self._readings[other].calls for other in self._running)
            no_room = self._budget.seconds_until(reading.calls + under_way + (0 if name == first else LEFT_FOR_FIRST))
            spread = name != first and name not in self._hurried
            too_early = max(self._due(name), self._others_from if spread else 0) - now
            if too_early <= 0 and no_room <= 0:
                self._start(reading)
                if name != first and self._budget.used() > self._budget.limit * SPREAD_ABOVE:
                    self._others_from = now + reading.calls * SPREAD_SECONDS
                continue
            rests.append(max(too_early, no_room))
            if too_early <= 0 and name != first:
                break
        return min(rests, default=None)

    def _due(self, name: str) -> float:
        return self._last[name] + self._interval(name)

    def _interval(self, name: str) -> float:
        reading = self._readings[name]
        return reading.busy_interval if self._page.is_busy(self._seen) else reading.interval

    def _start(self, reading: Reading) -> None:
        """Read apart from the event loop."""
        loop = asyncio.get_running_loop()
        busy = self._page.is_busy(self._seen)
        self._running.add(reading.name)
        self._hurried.discard(reading.name)
        self._last[reading.name] = self._now_seconds()

        def read() -> None:
            result: Any
            try:
                result = reading.read(busy)
            except Exception as error:
                result = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._finish, reading.name, result)

        self._run_apart(read)

    def _finish(self, name: str, result: Any) -> None:
        self._running.remove(name)
        before, at = self._seen[name], self._now()
        self._seen[name] = before.bad(result, at) if isinstance(result, Exception) else before.good(result, at)
        if name == "service" and not isinstance(result, Exception):
            self._follow(before.value, result)
        self._wake.set()
        self._notify()

    def _follow(self, before: Any, after: Any) -> None:
        for name, reading in self._readings.items():
            if reading.follows and before is not None and reading.follows(before) != reading.follows(after):
                self._hurried.add(name)
                self._last[name] = min(self._last[name], self._now_seconds() - self._interval(name))

    @staticmethod
    def _now_seconds() -> float:
        return asyncio.get_running_loop().time()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _is_set(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until the event is set, for so long at most. `asyncio.wait_for` of Python 3.11 can lose a cancellation."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
