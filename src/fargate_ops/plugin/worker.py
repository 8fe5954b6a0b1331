"""How an action that lasts lives with the playbook: it ends with it, and does not leave it waiting."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

Sleep = Callable[[float], None]

#: What Ansible ends its workers by.
ENDING = frozenset({signal.SIGINT, signal.SIGTERM})


class Orphaned(BaseException):
    """The playbook is gone. Not an Exception: nothing may go on, least of all an error path that changes something."""


def sleep_with_parent(parent: int | None = None) -> Sleep:
    """A ``sleep`` that raises when this process lost its parent.

    Ansible runs an action in a child of ``ansible-playbook``. When that is killed (``kill -9``), the child lives on: it
    must not wait out a rollout and then stop it under the hands of the next flow.
    """
    expected = os.getppid() if parent is None else parent

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if os.getppid() != expected:
            raise Orphaned

    return sleep


def whole_lines(display: Callable[[str], None]) -> Callable[[str], None]:
    """``display``, which a signal that ends this process interrupts before or after a line only.

    A worker hands its lines to ``ansible-playbook`` through a queue with a lock. On Ctrl-C Ansible ends the worker in a
    signal handler: hit while it holds that lock, it would leave ``ansible-playbook`` waiting for ever.
    """

    def say(line: str) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            display(line)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return say
