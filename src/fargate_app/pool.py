"""Monitor the connection pool, and log what it finds:

- a warning for each session that is held too long, with the endpoint that took it: the origin of a leak is known before
  the database is full;
- the pool's metrics once a period, in CloudWatch's embedded metric format: CloudWatch Logs turns them into metrics, so
  the application needs neither a permission nor a client for that
  (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fargate_app.client import current_client
from fargate_app.logs import endpoint, request_id

_log = logging.getLogger(__name__)
_metrics = logging.getLogger("fargate_app.metrics")

#: Task and worker are not dimensions: AWS bills each value of a dimension as a metric of its own.
_DIMENSIONS = ("Service", "Environment")
_METRICS = (
    ("PoolSize", "Count"),
    ("PoolInUse", "Count"),
    ("PoolOverflow", "Count"),
    ("PoolWaits", "Count"),
    ("PoolTimeouts", "Count"),
    ("PoolRefused", "Count"),
    ("PoolLongestWait", "Milliseconds"),
)


@dataclass(slots=True)
class _Holding:
    """A connection in use. `since` is a time of the monotonic clock."""

    since: float
    endpoint: str
    request_id: str | None
    warned: bool = False


class PoolWatch:
    """Counts and logs the use of one engine's pool, from `start` to `stop`.

    `service` and `environment` are the metrics' dimensions, and the service's name, capitalised, is their namespace.
    The counters have no lock: a count lost between two threads costs less than a lock in every request.
    """

    def __init__(self, engine: Engine, *, warn_seconds: float, service: str, environment: str) -> None:
        """Raise TypeError for a pool without a size, RuntimeError for an engine that is watched already."""
        if not isinstance(engine.pool, QueuePool):
            raise TypeError(
                f"The pool of this engine is a {type(engine.pool).__name__}, which has no size to watch. Next: create "
                "the engine without the argument poolclass"
            )
        if "connect" in vars(engine.pool):  # the wrapper of `_measure_waits`
            raise RuntimeError("This engine is watched already. Next: pass it to `install` or to `watch`, not to both")
        self._engine = engine
        self._size = engine.pool.size()
        overflow = engine.pool._max_overflow
        #: The most connections that the pool opens. 0 and -1 are SQLAlchemy's values for a pool without a limit.
        self.limit = math.inf if self._size == 0 or overflow == -1 else self._size + overflow
        #: The longest time that a request waits for a connection.
        self.timeout_seconds = engine.pool.timeout()
        self._warn_seconds = warn_seconds
        self._service = service
        self._environment = environment
        self._held: dict[Any, _Holding] = {}
        self._most = self._waits = self._timeouts = self._refused = 0
        self._longest_wait = 0.0
        #: Whether a connection has been taken, which proves that the database could be used.
        self.was_used = False
        self._stopped = threading.Event()
        self._listeners: dict[str, Callable[..., Any]] = {
            "checkout": self._taken,
            "checkin": self._given_back,
            "connect": self._measure_waits,  # the first one of another pool, which a disposed engine has
        }

    @property
    def in_use(self) -> int:
        """The number of connections in use now."""
        return len(self._held)

    def _taken(self, _: Any, record: Any, __: Any) -> None:
        self.was_used = True
        self._held[record] = _Holding(time.monotonic(), endpoint(), request_id.get())
        if len(self._held) > self._most:
            self._most = len(self._held)

    def _given_back(self, _: Any, record: Any) -> None:
        holding = self._held.pop(record, None)
        if holding is not None and time.monotonic() - holding.since > self._warn_seconds:
            self._warn(holding, "a session was held too long")

    def is_full(self) -> bool:
        """Return whether the next request for a connection has to wait."""
        return len(self._held) >= self.limit

    def _measure_waits(self, *_: Any) -> None:
        """Count the waits for a connection. SQLAlchemy has no event for them, so the pool's `connect` is wrapped."""
        pool = self._engine.pool
        connect = partial(type(pool).connect, pool)

        def measured() -> PoolProxiedConnection:
            had_to_wait, started = self.is_full(), time.monotonic()
            try:
                connection = connect()
            except PoolTimeoutError:
                self.waited(time.monotonic() - started, in_vain=True)
                raise
            if had_to_wait:
                self.waited(time.monotonic() - started, in_vain=False)
            return connection

        vars(pool).setdefault("connect", measured)
        if not self._engine.dialect.is_async:
            self._limit_waits_in_threads(pool)

    def _limit_waits_in_threads(self, pool: Any) -> None:
        """Let the pool's timeout begin with the request: a synchronous endpoint may have waited for a thread before.

        SQLAlchemy has one timeout for all waits, so the `get` of the pool's queue is wrapped.
        """
        queue = pool._pool
        get = partial(type(queue).get, queue)

        def limited(block: bool = True, timeout: float | None = None) -> Any:
            if block and timeout is not None and self.is_full() and (client := current_client()):
                timeout = max(0.0, client.since + timeout - time.monotonic())
            return get(block, timeout)

        vars(queue).setdefault("get", limited)

    def waited(self, seconds: float, *, in_vain: bool) -> None:
        """Count a wait for a connection. `in_vain`: it ended with the timeout."""
        self._waits += 1
        self._timeouts += in_vain
        self._longest_wait = max(self._longest_wait, seconds)

    def refused(self) -> None:
        """Count a request that found no connection and could not wait for one."""
        self._refused += 1

    def warn_of_leaks(self) -> None:
        """Warn once of each session that is held too long, while it is held: it may never be returned."""
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
        """Log the metrics since the last report, and reset them."""
        in_use = max(self._most, len(self._held))
        _metrics.info(
            "database pool",
            extra={
                "_aws": {
                    "Timestamp": time.time_ns() // 1_000_000,
                    "CloudWatchMetrics": [
                        {
                            "Namespace": self._service.capitalize(),
                            "Dimensions": [list(_DIMENSIONS)],
                            "Metrics": [{"Name": name, "Unit": unit} for name, unit in _METRICS],
                        }
                    ],
                },
                "Service": self._service,
                "Environment": self._environment,
                "worker": os.getpid(),
                "PoolSize": self._size,
                "PoolInUse": in_use,
                "PoolOverflow": max(0, in_use - self._size),
                "PoolWaits": self._waits,
                "PoolTimeouts": self._timeouts,
                "PoolRefused": self._refused,
                "PoolLongestWait": round(self._longest_wait * 1000, 1),
            },
        )
        self._most, self._longest_wait = len(self._held), 0.0
        self._waits = self._timeouts = self._refused = 0

    def start(self, period_seconds: float) -> None:
        """Start a thread that reports each period and looks for leaks at least as often, until `stop`."""
        for name, listener in self._listeners.items():
            event.listen(self._engine, name, listener)
        self._measure_waits()
        check_seconds = min(period_seconds, self._warn_seconds)
        threading.Thread(target=self._run, args=(period_seconds, check_seconds), name="pool-watch", daemon=True).start()

    def _run(self, period_seconds: float, check_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        due = clock() + period_seconds
        while not self._stopped.wait(min(check_seconds, max(due - clock(), 0.0))):
            self.warn_of_leaks()
            if clock() >= due:
                self.report()
                due += period_seconds

    def stop(self) -> None:
        """End the thread after a last report, so that no count is lost when a task ends."""
        if not self._stopped.is_set():
            self._stopped.set()
            for name, listener in self._listeners.items():
                event.remove(self._engine, name, listener)
            # The wrappers: the methods themselves stay.
            pool: Any = self._engine.pool
            for wrapped, name in ((pool, "connect"), (pool._pool, "get")):
                vars(wrapped).pop(name, None)
            self.report()
