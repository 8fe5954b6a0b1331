"""The length of a minute: drills shorten the minutes of alarms and of scaling.

CloudWatch's periods, the cool-downs of scaling and the bake time of a deployment follow it. Drains, stop timeouts and
health checks do not: the application and its clients live in real time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 1.0
"""After this time at the latest, a change of the pace is noticed."""


class Pace:
    """How many seconds a minute takes. Safe to use from any thread."""

    def __init__(self, minute_seconds: float = 60.0) -> None:
        self.minute_seconds = minute_seconds

    @property
    def minute_seconds(self) -> float:
        return self._minute_seconds

    @minute_seconds.setter
    def minute_seconds(self, seconds: float) -> None:
        if not 1 <= seconds <= 60:
            raise ValueError(f"a minute takes 1 to 60 seconds, not {seconds:g}")
        self._minute_seconds = float(seconds)

    def seconds(self, seconds: float) -> float:
        """Return how long a time of AWS takes here."""
        return seconds * self._minute_seconds / 60

    def repeat(
        self, name: str, call: Callable[[], None], stopped: threading.Event, *, times: int = 1, after: float = 0.0
    ) -> None:
        """Start a thread that calls `call` so many times a minute until `stopped`, at the same moments of each minute.

        `after` is the share of a minute that every call is late by. An error is logged, and the next call is made.
        Moments that pass during a call are left out.
        """
        threading.Thread(target=self._repeat, args=(call, stopped, times, after), name=name, daemon=True).start()

    def _repeat(self, call: Callable[[], None], stopped: threading.Event, times: int, after: float) -> None:
        last = time.time()
        while not stopped.is_set():
            minute = self._minute_seconds
            due = _next(last, minute / times, minute * after)
            while (pause := due - time.time()) > 0 and minute == self._minute_seconds:
                if stopped.wait(min(pause, _LONGEST_PAUSE_SECONDS)):
                    return
            last = time.time()
            if last < due:
                continue  # the pace changed
            try:
                call()
            except Exception:
                logger.exception("%s failed", threading.current_thread().name)


def _next(moment: float, interval: float, late: float) -> float:
    return ((moment - late) // interval + 1) * interval + late
