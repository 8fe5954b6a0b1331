"""Functions for a long-running action: it ends with its playbook, and does not leave the playbook waiting."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Sleep = Callable[[float], None]

#: The signals with which Ansible ends its workers.
ENDING = frozenset({signal.SIGINT, signal.SIGTERM})


class Orphaned(BaseException):
    """The playbook has ended. Not an Exception, so that no error handler continues and changes something."""


def sleep_with_parent(parent: int | None = None) -> Sleep:
    """Return a ``sleep`` that raises `Orphaned` if this process has lost its parent.

    Ansible runs an action in a child of ``ansible-playbook``. If that is killed (``kill -9``), the child keeps running.
    It must not time out later and stop a rollout of the next flow.
    """
    expected = os.getppid() if parent is None else parent

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if os.getppid() != expected:
            raise Orphaned

    return sleep


def whole_lines(display: Callable[[str], None]) -> Callable[[str], None]:
    """Return ``display`` such that a signal that ends this process interrupts it only before or after a line.

    A worker passes its lines to ``ansible-playbook`` through a queue with a lock. On Ctrl-C Ansible ends the worker in
    a signal handler. If the worker held the lock at that moment, ``ansible-playbook`` would wait forever.
    """

    def say(line: str) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            display(line)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return say


@contextmanager
def meanwhile(tick: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `tick` every `seconds` in a thread while the block runs.

    A signal that ends this process waits until a tick is over, for the reason of `whole_lines`: Python runs handlers in
    the main thread, whatever another thread does at that moment. The thread blocks these signals, so that `whole_lines`
    can hold them off in the main thread.
    """
    ended, ticking = threading.Event(), threading.Lock()

    def work() -> None:
        while not ended.wait(seconds):
            with ticking:
                if not ended.is_set():
                    tick()

    def end(number: int, _: Any) -> None:
        with ticking:
            ended.set()
        signal.signal(number, handlers[number])
        signal.raise_signal(number)

    handlers: dict[int, Any] = {number: signal.signal(number, end) for number in ENDING}
    thread = threading.Thread(target=work, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # a thread inherits it
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
