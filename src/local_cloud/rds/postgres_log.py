"""PostgreSQL's log as RDS puts it into CloudWatch Logs: one event a message, however many lines it has.

Fed with what Docker's API gives of a container that has no terminal: one frame a line, begun by the engine's time.
"""

from __future__ import annotations

import datetime
import re
from typing import NamedTuple

MAX_EVENT_BYTES = 1024 * 1024 - 26
"""CloudWatch Logs' limit of an event, less what it counts for itself
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html)."""

_START = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+?:")
"""``log_line_prefix`` of RDS, ``%t:%r:%u@%d:[%p]:``, as far as it always looks the same."""


class Event(NamedTuple):
    timestamp: int
    """Milliseconds since the epoch."""
    message: str


class Assembler:
    """Makes events of frames."""

    def __init__(self, seen_until: str = "") -> None:
        self.seen_until = seen_until
        """The engine's time of the newest line read; older ones are skipped when a log is read again."""
        self._line: list[bytes] = []
        self._time = ""
        self._pending: list[str] = []
        self._pending_time = ""
        self._done: list[Event] = []

    def feed(self, frame: bytes) -> None:
        """One frame: the engine's time, a space, and a line, or a part of one that is longer than 16 KiB."""
        time, _, text = frame.partition(b" ")
        if not self._line:
            self._time = time.decode("ascii", "replace")
        self._line.append(text)
        if text.endswith(b"\n"):
            line = b"".join(self._line).decode("utf-8", "replace").removesuffix("\n")
            self._line = []
            if self._time > self.seen_until:
                self.seen_until = self._time
                self._take(line)

    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._done or self._pending)

    def take(self) -> list[Event]:
        """What has come, the newest message included: call it when no more lines follow for a moment."""
        self._finish()
        events, self._done = self._done, []
        return events

    def _take(self, line: str) -> None:
        if _START.match(line):
            self._finish()
            self._pending, self._pending_time = [line], self._time
        elif self._pending and line.startswith("\t"):
            # PostgreSQL begins each further line of a message with a tab.
            self._pending.append(line)
        # Else it is none of PostgreSQL's: the image's entrypoint has a word to say, which RDS has not.

    def _finish(self) -> None:
        if self._pending:
            self._done.append(Event(milliseconds(self._pending_time), _cut("\n".join(self._pending))))
            self._pending = []


def milliseconds(time: str) -> int:
    """Milliseconds since the epoch of the engine's time, ``2026-01-31T14:00:00.123456789Z``."""
    seconds, _, fraction = time.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1000 + int(fraction[:3].ljust(3, "0"))


def _cut(message: str) -> str:
    return message.encode()[:MAX_EVENT_BYTES].decode("utf-8", "ignore")
