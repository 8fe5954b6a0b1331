"""At most so many AWS calls a minute: count every request that botocore sends, and hold back one too many."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from fargate_ops.aws.clients import Clients

#: AWS throttles an account, not a caller, so the console takes a small share of it.
CALLS_A_MINUTE = 30
_MINUTE = 60.0


class Budget:
    """Counts the requests of the last 60 seconds. A request above the limit waits until it fits."""

    def __init__(
        self,
        limit: int = CALLS_A_MINUTE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limit = limit
        self._clock, self._sleep = clock, sleep
        self._sent: deque[float] = deque()
        self._lock = threading.Lock()

    def used(self) -> int:
        """Return the number of requests of the last minute."""
        with self._lock:
            return self._used()

    def seconds_until(self, calls: int) -> float:
        """Return in how many seconds there is room for so many more requests, if no others are sent."""
        with self._lock:
            missing = self._used() + calls - self.limit
            if missing <= 0:
                return 0.0
            if missing > len(self._sent):
                return _MINUTE
            return max(0.0, self._sent[missing - 1] + _MINUTE - self._clock())

    def take(self, **_: Any) -> None:
        """Count a request, and wait while there is no room for it: a handler of botocore's ``before-send``."""
        while (rest := self.seconds_until(1)) or not self._add():
            self._sleep(rest)

    def _add(self) -> bool:
        with self._lock:
            if self._used() >= self.limit:
                return False
            self._sent.append(self._clock())
            return True

    def _used(self) -> int:
        while self._sent and self._clock() - self._sent[0] >= _MINUTE:
            self._sent.popleft()
        return len(self._sent)


class CountedClients:
    """AWS clients whose requests, each attempt of them, are counted."""

    def __init__(self, clients: Clients, budget: Budget) -> None:
        self._clients, self._budget = clients, budget
        self._counted: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """Return the client of a service, created once. boto3 does not create clients in several threads at once."""
        with self._lock:
            if service not in self._counted:
                client = self._clients.client(service)
                client.meta.events.register_first("before-send", self._budget.take)
                self._counted[service] = client
            return self._counted[service]
