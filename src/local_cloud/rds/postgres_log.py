"""PostgreSQL's log as RDS writes it to CloudWatch Logs: one event for each message, which may have several lines.

The input is the log of a container without a terminal from Docker's API: one frame for each line, with the engine's
time before it.
"""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

MAX_EVENT_BYTES = 1024 * 1024 - 26
"""CloudWatch Logs' limit for an event, without its overhead
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html)."""

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_START = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? \S+?:")
"""Matches both values of ``log_line_prefix`` that RDS allows: one begins with ``%t``, the other with ``%m``."""


class Event(NamedTuple):
    timestamp: int
    """Milliseconds since the epoch."""
    message: str


class Assembler:
    """Combines frames to events."""

    def __init__(self, seen_until: str = "") -> None:
        self.seen_until = seen_until
        """The engine's time of the newest line read. Lines up to it are skipped when a log is read again."""
        self._line: list[bytes] = []
        self._time = ""
        self._pending: list[str] = []
        self._pending_time = ""
        self._seen_before = ""
        """``seen_until`` before the message in ``_pending``."""
        self._done: list[Event] = []

    def feed(self, frame: bytes) -> bool:
        """Add one frame: the engine's time, a space, and a line. A line longer than 16 KiB comes in several frames.

        Return False for the engine's own words, such as ``Error grabbing logs: unexpected EOF``, which end a stream.
        The message that they interrupt is left out, and comes when the log is read again.
        """
        time, _, text = frame.partition(b" ")
        if not _TIME.fullmatch(time):
            if self._pending:
                self.seen_until = self._seen_before
            self._line, self._pending = [], []
            return False
        if not self._line:
            self._time = time.decode("ascii", "replace")
        self._line.append(text)
        if text.endswith(b"\n"):
            line = b"".join(self._line).decode("utf-8", "replace").removesuffix("\n")
            self._line = []
            if self._time > self.seen_until:
                before, self.seen_until = self.seen_until, self._time
                self._take(line, before)
        return True

    def waiting(self) -> bool:
        """Return whether there are lines to take."""
        return bool(self._done or self._pending)

    def take(self) -> list[Event]:
        """Return the events so far, including the newest message. Call it when no lines have followed for a moment."""
        self._finish()
        events, self._done = self._done, []
        return events

    def _take(self, line: str, seen_before: str) -> None:
        if _START.match(line):
            self._finish()
            self._pending, self._pending_time, self._seen_before = [line], self._time, seen_before
        elif self._pending and line.startswith("\t"):
            # PostgreSQL begins each further line of a message with a tab.
            self._pending.append(line)
        # Other lines come from the image's entrypoint, which RDS does not have.

    def _finish(self) -> None:
        if self._pending:
            self._done.append(Event(milliseconds(self._pending_time), _cut("\n".join(self._pending))))
            self._pending = []


def milliseconds(time: str) -> int:
    """Return milliseconds since the epoch for the engine's time, ``2026-01-31T14:00:00.123456789Z``."""
    seconds, _, fraction = time.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1000 + int(fraction[:3].ljust(3, "0"))


def _cut(message: str) -> str:
    return message.encode()[:MAX_EVENT_BYTES].decode("utf-8", "ignore")
