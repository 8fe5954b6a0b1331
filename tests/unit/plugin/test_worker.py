"""A long-running action ends with its playbook, and a signal does not interrupt a line."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from fargate_ops.plugin.worker import Orphaned, sleep_with_parent, whole_lines


def test_a_signal_waits_until_the_line_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def end(*_: Any) -> None:
        said.append("ended")

    def display(line: str) -> None:
        # To this thread: another thread of the process could receive it otherwise. Ansible's workers have only one.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        said.append(line)

    before = signal.signal(signal.SIGTERM, end)
    try:
        whole_lines(display)("a line")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert said == ["a line", "ended"]


def test_waiting_ends_with_the_parent() -> None:
    sleep_with_parent()(0)
    with pytest.raises(Orphaned):
        sleep_with_parent(parent=1 if os.getppid() != 1 else 2)(0)
