"""The running cloud as patches see it: its configuration, and hooks at its start and end."""

from __future__ import annotations

import logging
from collections.abc import Callable

from local_cloud.core.config import CloudConfig

logger = logging.getLogger(__name__)

Hook = Callable[[], None]


class Cloud:
    """One running cloud.

    Patches register hooks: ``at_start`` hooks run in order once the API answers, ``at_stop`` hooks in reverse order
    before the emulator saves its state and removes its containers.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.config = config
        self._start: list[Hook] = []
        self._stop: list[Hook] = []

    def at_start(self, hook: Hook) -> None:
        self._start.append(hook)

    def at_stop(self, hook: Hook) -> None:
        self._stop.append(hook)

    def start(self) -> None:
        for hook in self._start:
            hook()

    def stop(self) -> None:
        """Run every stop hook. A failing hook is logged, and the others still run."""
        for hook in reversed(self._stop):
            try:
                hook()
            except Exception:
                logger.exception("stopping %s failed", getattr(hook, "__qualname__", hook))
        self._stop.clear()
