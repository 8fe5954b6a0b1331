"""Write lines to the screen, and between them show that the current step is alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TextIO

from fargate_ops.screen import render
from fargate_ops.screen.look import Look

REDRAWN_SECONDS = 0.1
#: A step that lasts this long shows a sign of life where no line is redrawn, and again after each interval.
ALIVE_SECONDS = 10.0
ALIVE_AGAIN_SECONDS = 30.0

_CLEAR = "\r\x1b[K"


class Output:
    """The screen. Lines come from several threads; `lock` is the one that Ansible holds while it forks."""

    def __init__(
        self,
        stream: TextIO,
        look: Look,
        lock: AbstractContextManager[object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.look = look
        self._stream = stream
        self._lock = lock
        self._clock = clock
        self._name = ""
        self._said = ""
        self._since = self._due = 0.0
        self._frame = 0
        self._drawn = False
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None

    def watch(self, name: str) -> None:
        """Show from now on that this step is alive."""
        with self._lock:
            self._name, self._said, self._since = name, "", self._clock()
            self._due = self._since + (0.0 if self.look.live else ALIVE_SECONDS)
            self.tick()
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()

    def said(self, line: str) -> None:
        """Show this line beside the current step, while it lasts."""
        self._said = line

    def rest(self) -> None:
        """Show no step any more."""
        with self._lock:
            self._name = ""
            self._clear()

    def print(self, lines: Iterable[str]) -> None:
        """Print whole lines at once."""
        with self._lock:
            self._clear()
            self._write("".join(f"{line}\n" for line in lines))

    def beside(self, write: Callable[[], None]) -> None:
        """Let something else write to the terminal."""
        with self._lock:
            self._clear()
            write()

    def close(self) -> None:
        self.rest()
        self._ended.set()

    def _tick(self) -> None:
        interval = REDRAWN_SECONDS if self.look.live else REDRAWN_SECONDS * 5
        while not self._ended.wait(interval):
            with self._lock:
                self.tick()

    def tick(self) -> None:
        """Draw the live line, or print a sign of life if one is due."""
        now = self._clock()
        if not self._name or now < self._due:
            return
        if self.look.live:
            self._frame += 1
            line = render.live(self.look, self._frame, self._name, now - self._since, self._said)
            self._write(f"{_CLEAR}{line}")
            self._drawn = True
        else:
            self._due = now + ALIVE_AGAIN_SECONDS
            self._write(f"{render.alive(self.look, self._name, now - self._since, self._said)}\n")

    def _clear(self) -> None:
        if self._drawn:
            self._write(_CLEAR)
            self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
