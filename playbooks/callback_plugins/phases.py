"""Show that a long run is alive, and at the end how long each phase took."""

from __future__ import annotations

import io
import sys
import threading
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: phases
type: notification
short_description: Show progress while a task runs, and the time of each phase at the end
description:
  - While a task runs, prints a line every 15 seconds with its name and duration.
  - Writes each line at once, also to a pipe or a file. By default the system buffers 8 KiB.
  - At the end, prints one line with the time of each phase (role), in the order of the run.
"""

INTERVAL_SECONDS = 15.0


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "phases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
        self._seconds: dict[str, float] = {}
        self._phase = ""
        self._since = self._started = time.monotonic()
        self._task_ended = threading.Event()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._enter(task._role.get_name() if task._role else "")
        self._task_ended = threading.Event()
        threading.Thread(target=self._tick, args=(task.get_name(), self._task_ended), daemon=True).start()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._enter("")
        phases = [f"{phase} {seconds:.1f} s" for phase, seconds in self._seconds.items() if seconds >= 0.05]
        total = time.monotonic() - self._started
        self._display.display(f"Time: {' · '.join(phases)} · in all {total:.1f} s\n")

    def _enter(self, phase: str) -> None:
        """Add the elapsed time to the current phase, and start the next one."""
        self._task_ended.set()
        now = time.monotonic()
        if self._phase:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def _tick(self, name: str, ended: threading.Event) -> None:
        started = time.monotonic()
        while not ended.wait(INTERVAL_SECONDS):
            self._display.display(f"  … {name}: {time.monotonic() - started:.0f} s so far")
