"""Who holds a connection of the pool, since when, for which endpoint; and the pool's metrics in the log.

Two things come out of it, both as lines of the log:
- a warning for each session that is held longer than it should be, with the endpoint that took it: a leak tells its
  origin while it happens, and not when the database is full;
- the pool's metrics once a period, in CloudWatch's embedded metric format: CloudWatch Logs makes metrics of them, and
  the application needs neither a right nor a client for that
  (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

from settlement.logs import endpoint, request_id

_log = logging.getLogger(__name__)
_metrics = logging.getLogger("settlement.metrics")

NAMESPACE = "Settlement"
#: Its dimensions. Neither task nor worker is one: each value of a dimension is a metric that is paid for.
_DIMENSIONS = ("Service", "Environment")
_METRICS = (
    ("PoolSize", "Count"),
    ("PoolInUse", "Count"),
    ("PoolOverflow", "Count"),
    ("PoolWaits", "Count"),
    ("PoolTimeouts", "Count"),
    ("PoolLongestWait", "Milliseconds"),
)


@dataclass(slots=True)
class _Holding:
    """A connection that is in use. `since` is of the monotonic clock."""

    since: float
    endpoint: str
    request_id: str | None
    warned: bool = False


class PoolWatch:
    """Counts what happens in the pool of one engine, and tells of it.

    `size` and `overflow` are the pool's limits. The counters are changed without a lock: a count lost between two
    threads costs less than every request waiting for one.
    """

    def __init__(self, engine: Engine, *, size: int, overflow: int, warn_seconds: float, environment: str) -> None:
        self._size = size
        self._limit = size + overflow
        self._warn_seconds = warn_seconds
        self._environment = environment
        self._held: dict[Any, _Holding] = {}
        self._most = self._waits = self._timeouts = 0
        self._longest_wait = 0.0
        self._stopped = threading.Event()
        event.listen(engine, "checkout", self._taken)
        event.listen(engine, "checkin", self._given_back)

    @property
    def in_use(self) -> int:
        """Connections that are in use now."""
        return len(self._held)

    def _taken(self, _: Any, record: Any, __: Any) -> None:
        self._held[record] = _Holding(time.monotonic(), endpoint(), request_id.get())
        if len(self._held) > self._most:
            self._most = len(self._held)

    def _given_back(self, _: Any, record: Any) -> None:
        holding = self._held.pop(record, None)
        if holding is not None and time.monotonic() - holding.since > self._warn_seconds:
            self._warn(holding, "a session was held too long")

    def is_full(self) -> bool:
        """Whether the next one that asks has to wait."""
        return len(self._held) >= self._limit

    def waited(self, seconds: float, *, in_vain: bool) -> None:
        """Count a wait for a connection."""
        self._waits += 1
        self._timeouts += in_vain
        self._longest_wait = max(self._longest_wait, seconds)

    def warn_of_leaks(self) -> None:
        """Warn of each session that is held too long and was not warned of; it may never be given back."""
        now = time.monotonic()
        for holding in list(self._held.values()):
            if not holding.warned and now - holding.since > self._warn_seconds:
                holding.warned = True
                self._warn(holding, "a session is held too long")

    def _warn(self, holding: _Holding, message: str) -> None:
        _log.warning(
            message,
            extra={
                "endpoint": holding.endpoint,
                "held_seconds": round(time.monotonic() - holding.since, 1),
                "of_request": holding.request_id,
            },
        )

    def report(self) -> None:
        """Log the metrics since the last report, and begin anew."""
        in_use = max(self._most, len(self._held))
        _metrics.info(
            "database pool",
            extra={
                "_aws": {
                    "Timestamp": time.time_ns() // 1_000_000,
                    "CloudWatchMetrics": [
                        {
                            "Namespace": NAMESPACE,
                            "Dimensions": [list(_DIMENSIONS)],
                            "Metrics": [{"Name": name, "Unit": unit} for name, unit in _METRICS],
                        }
                    ],
                },
                "Service": "settlement",
                "Environment": self._environment,
                "worker": os.getpid(),
                "PoolSize": self._size,
                "PoolInUse": in_use,
                "PoolOverflow": max(0, in_use - self._size),
                "PoolWaits": self._waits,
                "PoolTimeouts": self._timeouts,
                "PoolLongestWait": round(self._longest_wait * 1000, 1),
            },
        )
        self._most, self._waits, self._timeouts, self._longest_wait = len(self._held), 0, 0, 0.0

    def start(self, period_seconds: float) -> None:
        """Report each period, and look for leaks at least as often, in a thread of its own until `stop`."""
        look_seconds = min(period_seconds, self._warn_seconds)
        threading.Thread(target=self._run, args=(period_seconds, look_seconds), name="pool-watch", daemon=True).start()

    def _run(self, period_seconds: float, look_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        due = clock() + period_seconds
        while not self._stopped.wait(min(look_seconds, max(due - clock(), 0.0))):
            self.warn_of_leaks()
            if clock() >= due:
                self.report()
                due += period_seconds

    def stop(self) -> None:
        """End the thread, with a last report: what was counted is not lost when a task ends."""
        if not self._stopped.is_set():
            self._stopped.set()
            self.report()
