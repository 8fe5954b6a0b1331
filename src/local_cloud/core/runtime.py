"""The running cloud as patches see it: its configuration, and hooks at its start and end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.core.pace import Pace
from local_cloud.core.storage import Storage

logger = logging.getLogger(__name__)

Hook = Callable[[], None]


class Cloud:
    """One running cloud.

    Patches register hooks: ``at_start`` hooks run in order once the API answers, ``at_stop`` hooks in reverse order
    before the emulator saves its state and removes its containers. ``each_minute`` hooks run in between, each in a
    thread of its own, in the cloud's account and region.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.config = config
        self.pace = Pace(config.minute_seconds)
        self.storage = Storage()
        self.has_capacity = True
        """Whether Fargate can start another task, see ``ecs/capacity.py``."""
        self._stopping = threading.Event()
        self._start: list[Hook] = []
        self._stop: list[Hook] = []

    def at_start(self, hook: Hook) -> None:
        self._start.append(hook)

    def at_stop(self, hook: Hook) -> None:
        self._stop.append(hook)

    def each_minute(self, hook: Hook, *, times: int = 1, after: float = 0.0) -> None:
        """Run the hook so many times a minute of this cloud's pace; `after` as in `Pace.repeat`."""

        def run() -> None:
            with emulator.core("responses").request_scope(self.config.account_id, self.config.region):
                hook()

        name = f"{hook.__module__.rpartition('.')[2]}-{hook.__name__.strip('_')}"
        self.at_start(lambda: self.pace.repeat(name, run, self._stopping, times=times, after=after))

    def start(self) -> None:
        for hook in self._start:
            hook()

    def stop(self) -> None:
        """Run every stop hook. A failing hook is logged, and the others still run."""
        self._stopping.set()
        for hook in reversed(self._stop):
            try:
                hook()
            except Exception:
                logger.exception("stopping %s failed", getattr(hook, "__qualname__", hook))
        self._stop.clear()
