"""A sign of life: while one task lasts, a line every `INTERVAL_SECONDS` that says which and for how long."""

from __future__ import annotations

import threading
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: still_running
type: notification
short_description: Say that a long task is still running
description: Prints a line with the task's name and its time while the task lasts, so that nobody has to guess.
"""

INTERVAL_SECONDS = 15.0


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "still_running"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ended = threading.Event()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._ended.set()
        self._ended = threading.Event()
        threading.Thread(target=self._tick, args=(task.get_name(), self._ended), daemon=True).start()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._ended.set()

    def _tick(self, name: str, ended: threading.Event) -> None:
        started = time.monotonic()
        while not ended.wait(INTERVAL_SECONDS):
            self._display.display(f"  … {name}: {time.monotonic() - started:.0f} s so far")
